"""Metrics that hosts report ([metrics]weight_setting)."""

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common.objects.host import HostState
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices, column
from kilonova.scheduler.weights.base import Weigher, ratios_of

LOG = logging.getLogger(__name__)


def settings_of(conf: cfg.ConfigOpts) -> dict[str, float]:
    """Return the wanted metrics with their ratios."""
    return ratios_of('[metrics]weight_setting', conf.metrics.weight_setting)


def values_of(state: HostState) -> dict[str, float]:
    """Return a host's metrics by name."""
    return {metric['name']: float(metric['value']) for metric in state.node.metrics}


class MetricsWeigher(Weigher):
    option = 'metrics_weight_multiplier'

    def default(self) -> float:
        return float(self.conf.metrics.weight_multiplier)

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        ratios = settings_of(self.conf)
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
