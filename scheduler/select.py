"""The one algorithm: candidates, filters, weights, claim.

Candidates come from the host table when that knows all that placement would go by, else from
placement.  The best host is claimed; when placement refuses (another scheduler was quicker) the
next one is.  What the table alone could not find is looked for once more with placement's
candidates.  Servers of one request are placed one after the other, all or none.
"""

import random
import time

import numpy as np
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import placement
from kilonova.common.objects.explanation import Explanation
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.scheduler import loader
from kilonova.scheduler.attempt import Attempt, TooManyRefusals
from kilonova.scheduler.cache import HostCache
from kilonova.scheduler.diagnose import Diagnosis
from kilonova.scheduler.hosts import Floats, Hosts, Indices
from kilonova.scheduler.plain import Sharing
from kilonova.scheduler.routed_networks import RoutedNetworks
from kilonova.scheduler.timing import timed

LOG = logging.getLogger(__name__)


class Selector:
    """Picks hosts.  ``rng`` decides between hosts that are as good; ``routed`` is asked for segments."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        client: placement.Placement,
        cache: HostCache,
        rng: random.Random | None = None,
        routed: RoutedNetworks | None = None,
    ) -> None:
        self.conf, self.client, self.cache, self.routed = conf, client, cache, routed
        self.rng = rng or random.Random()
        self.diagnosis, self.sharing = Diagnosis(client), Sharing(client)
        self.filters = loader.load_filters(conf)
        self.weighers = loader.load_weighers(conf)

    def select(
        self, spec: RequestSpec, uuids: list[str], table_version: int, alternates: int = 0
    ) -> list[list[Selection]]:
        """See ``SchedulerInterface.select_destinations``."""
        started = time.monotonic()
        with timed('total'):
            hosts = self.cache.get(table_version)
            if self.cache.forget(uuids):
                hosts = self.cache.newer_than(time.monotonic())
            attempt = Attempt(self, hosts, spec, uuids)
            try:
                return attempt.run(alternates)
            except (exception.NoValidHost, TooManyRefusals) as error:
                fresh = attempt.asked_at > started
                if fresh and not attempt.refusals and not attempt.by_table:
                    raise
                LOG.info('%s; looking again with a fresh host table', error)
            if not fresh or attempt.refusals:
                hosts = self.cache.newer_than(time.monotonic())
            return Attempt(self, hosts, spec, uuids, by_table=False).run(alternates)

    def explain(self, spec: RequestSpec, number: int, table_version: int) -> Explanation:
        """See ``SchedulerInterface.explain``."""
        hosts = self.cache.get(table_version)
        uuids = [f'{n}' for n in range(number)]
        return Attempt(self, hosts, spec, uuids, by_table=False).explain()

    def check_rebuild(self, spec: RequestSpec, table_version: int) -> None:
        """See ``SchedulerInterface.check_rebuild``."""
        Attempt(self, self.cache.get(table_version), spec, ['0']).check_rebuild()

    def scores(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> dict[str, Floats]:
        """Return what each weigher that has an opinion adds to the hosts' weights."""
        found: dict[str, Floats] = {}
        for weigher in self.weighers:
            scores = weigher.score(hosts, alive, spec)
            if scores is not None:
                found[type(weigher).__name__] = scores
        return found

    def order(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Indices:
        """Return hosts, best first."""
        with timed('weights'):
            total = np.zeros(len(alive))
            for scores in self.scores(hosts, alive, spec).values():
                total += scores
            ranked = np.argsort(-total, kind='stable')
            order: Indices = alive[ranked]
        if self.conf.filter_scheduler.shuffle_best_same_weighed_hosts:
            best = int(np.count_nonzero(total == total[ranked[0]])) if len(ranked) else 0
            order[:best] = self.rng.sample(order[:best].tolist(), best)
        subset = min(self.conf.filter_scheduler.host_subset_size, len(order))
        if subset > 1:
            chosen = self.rng.randrange(subset)
            order[: chosen + 1] = np.roll(order[: chosen + 1], 1)
        return order
