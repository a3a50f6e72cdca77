"""Metrics that hosts report ([metrics]weight_setting)."""

from collections.abc import Iterable

from oslo_log import log as logging

from kilonova.common.objects.host import HostState
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices, column
from kilonova.scheduler.weights.base import Weigher

LOG = logging.getLogger(__name__)


def settings_of(option: Iterable[str]) -> dict[str, float]:
    """Read ``name=ratio`` items; what is malformed is left out with a warning."""
    found = {}
    for item in option:
        name, _, ratio = item.partition('=')
        try:
            found[name.strip()] = float(ratio)
        except ValueError:
            LOG.warning('[metrics]weight_setting: %s is not name=ratio', item)
    return found


def values_of(state: HostState) -> dict[str, float]:
    """Return a host's metrics by name."""
    return {metric['name']: float(metric['value']) for metric in state.node.metrics}


class MetricsWeigher(Weigher):
    option = 'metrics_weight_multiplier'

    def default(self) -> float:
        return float(self.conf.metrics.weight_multiplier)

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        ratios = settings_of(self.conf.metrics.weight_setting)
        if not ratios:
            return None
        return column(self._sum(hosts.states[i], ratios) for i in alive)

    def _sum(self, state: HostState, ratios: dict[str, float]) -> float:
        known = values_of(state)
        missing = sorted(set(ratios) - set(known))
        if not missing:
            return sum(ratio * known[name] for name, ratio in ratios.items())
        if self.conf.metrics.required:
            # MetricsFilter keeps such hosts away; without it they must at least come last.
            LOG.warning('Host %s has no metric %s', state.service.host, ', '.join(missing))
        return float(self.conf.metrics.weight_of_unavailable)
