"""Limits on what goes on on a host."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Floats, Hosts, Indices, Mask


class _Below(Filter):
    """``column`` of the host table is below ``option``; ``what`` is counted."""

    once = False
    column: str
    option: str
    what: str

    def limit(self, hosts: Hosts) -> Floats | float:
        return float(self.conf.filter_scheduler[self.option])

    def counts(self, hosts: Hosts) -> Floats:
        found: Floats = getattr(hosts, self.column)
        return found

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask:
        mask: Mask = (self.counts(hosts) < self.limit(hosts))[alive]
        return mask

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return f'with {int(self.counts(hosts)[i])} {self.what}'


class _BelowOfAggregate(_Below):
    """The limit comes from aggregate metadata."""

    def limit(self, hosts: Hosts) -> Floats | float:
        return hosts.aggregate_numbers(self.option, float(super().limit(hosts)))


class IoOpsFilter(_Below):
    """Builds, resizes, snapshots … on the host."""

    column, option, what = 'num_io_ops', 'max_io_ops_per_host', 'heavy operations'


class AggregateIoOpsFilter(_BelowOfAggregate, IoOpsFilter):
    pass


class NumInstancesFilter(_Below):
    column, option, what = 'num_instances', 'max_instances_per_host', 'servers'


class AggregateNumInstancesFilter(_BelowOfAggregate, NumInstancesFilter):
    pass
