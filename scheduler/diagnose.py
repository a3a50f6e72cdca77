"""Which of the things that are asked for is missing, when placement offers nothing at all."""

import time

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients.placement import Placement, PlacementError
from kilonova.scheduler.hosts import Hosts
from kilonova.scheduler.request import DISABLED, Demand, ResourceRequest

LOG = logging.getLogger(__name__)

MEMORY = 30.0
"""Many like requests fail at the same time; placement is asked about them once in so many seconds."""

MOST_HOSTS = 1000
"""Each question is answered with all hosts that match."""

ENABLED = Demand('enabled', {'required': f'!{DISABLED}'})


class Diagnosis:
    """Asks placement for each thing alone.  One object serves all requests."""

    def __init__(self, client: Placement) -> None:
        self._client = client
        self._known: dict[str, tuple[float, str]] = {}

    def explain(self, asked: ResourceRequest, hosts: Hosts) -> str:
        """Return e.g. ``VCPU 64 (no host), MEMORY_MB 512 (5 hosts)``."""
        if len(hosts) > MOST_HOSTS:
            return asked.describe()
        now, key = time.monotonic(), asked.query(1)
        self._known = {k: found for k, found in self._known.items() if found[0] > now}
        if key not in self._known:
            try:
                text = self._ask(asked.demands(), hosts)
            except exception.ServiceUnavailable as error:
                LOG.warning('Placement was not asked what is missing: %s', error)
                return asked.describe()
            self._known[key] = now + MEMORY, text
        return self._known[key][1]

    def _ask(self, demands: list[Demand], hosts: Hosts) -> str:
        parts = []
        for demand in demands:
            count = self._count(demand, hosts)
            parts.append(f'{demand.text} ({_hosts(count)})')
        enabled = self._count(ENABLED, hosts)
        if enabled is not None and enabled < len(hosts):
            parts.append(f'{ENABLED.text} ({_hosts(enabled)})')
        return ', '.join(parts)

    def _count(self, demand: Demand, hosts: Hosts) -> int | None:
        try:
            found = self._client.find_providers(demand.query)
        except PlacementError:  # a trait or a resource class that nobody has ever reported
            return None
        return len({one.root_provider_uuid or one.uuid for one in found} & hosts.index.keys())


def _hosts(number: int | None) -> str:
    if number is None:
        return 'unknown to placement'
    return f'{number or "no"} host{"s" if number > 1 else ""}'
