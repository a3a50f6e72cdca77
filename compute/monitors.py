"""What ``compute_monitors`` measure: for the scheduler's metrics, and said on the bus."""

import datetime
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils

from kilonova.common import exception
from kilonova.common.notifications.hosts import MetricPayload
from kilonova.compute.host import Host
from kilonova.compute.virt.driver import CpuStats

LOG = logging.getLogger(__name__)

CPU = 'cpu.virt_driver'
PERCENT = '.percent'
TIMES = ('user', 'kernel', 'idle', 'iowait')


class Monitors:
    """The monitors of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._is_on = CPU in _wanted(host.conf)
        self._before = CpuStats()
        self._metrics: dict[str, float] = {}
        self._when = timeutils.utcnow()

    def measure(self) -> None:
        """Look, and have the host's next report name what is found."""
        if not self._is_on:
            return
        try:
            stats = self._host.driver.get_cpu_stats()
        except exception.KilonovaError as error:
            LOG.warning('The processors cannot be measured: %s', error)
            return
        self._metrics, self._when = values_of(stats, self._before), timeutils.utcnow()
        self._before = stats
        self._host.inventory.metrics = [
            {'name': name, 'value': value, **self._seen(str(self._when))}
            for name, value in self._metrics.items()
        ]

    def announce(self) -> None:
        """Say it on the bus: shares are whole percents there."""
        node = self._host.inventory.node
        if node is None or not self._metrics:
            return
        metrics = [
            MetricPayload(
                name=name,
                value=int(value * 100 if name.endswith(PERCENT) else value),
                numa_membw_values=None,
                **self._seen(self._when),
            )
            for name, value in self._metrics.items()
        ]
        self._host.notices.measured(node, metrics)

    def _seen(self, when: datetime.datetime | str) -> dict[str, Any]:
        return {'timestamp': when, 'source': self._host.conf.compute_driver}


def values_of(stats: CpuStats, before: CpuStats) -> dict[str, float]:
    """Return all metrics; shares are of the time since ``before``."""
    times = {name: getattr(stats, name) for name in TIMES}
    spent = {name: times[name] - getattr(before, name) for name in TIMES}
    total = sum(spent.values())
    shares = {name: spent[name] / total if total > 0 else 0.0 for name in TIMES}
    return {
        'cpu.frequency': stats.frequency,
        **{f'cpu.{name}.time': value for name, value in times.items()},
        **{f'cpu.{name}{PERCENT}': value for name, value in shares.items()},
        f'cpu{PERCENT}': 1.0 - shares['idle'] if total > 0 else 0.0,
    }


def _wanted(conf: cfg.ConfigOpts) -> set[str]:
    """Return the monitors by their full names; one without a dot is a processor's."""
    names = {name if '.' in name else f'cpu.{name}' for name in conf.compute_monitors}
    for unknown in sorted(names - {CPU}):
        LOG.warning('There is no monitor %s; built in is %s', unknown, CPU)
    return names
