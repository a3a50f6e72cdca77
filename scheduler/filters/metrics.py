"""Hosts that report the metrics which the weigher needs."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask
from kilonova.scheduler.weights.metrics import settings_of, values_of


class MetricsFilter(Filter):
    """Each metric of ``[metrics]weight_setting`` is there."""

    once = False

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        wanted = set(settings_of(self.conf))
        if not wanted:
            return None
        return hosts.where(lambda state: wanted <= set(values_of(state)), alive)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        missing = set(settings_of(self.conf)) - set(values_of(hosts.states[i]))
        return 'without the metrics ' + ', '.join(sorted(missing))
