"""Limits on what goes on on a host."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Floats, Hosts, Indices, Mask


class IoOpsFilter(Filter):
    """Fewer than ``max_io_ops_per_host`` builds, resizes, snapshots … on the host."""

    once = False

    def limit(self, hosts: Hosts) -> Floats | float:
        return self.option()

    def option(self) -> float:
        return float(self.conf.filter_scheduler.max_io_ops_per_host)

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask:
        mask: Mask = (hosts.num_io_ops < self.limit(hosts))[alive]
        return mask

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return f'with {int(hosts.num_io_ops[i])} heavy operations'


class AggregateIoOpsFilter(IoOpsFilter):
    """The limit comes from aggregate metadata."""

    def limit(self, hosts: Hosts) -> Floats | float:
        return hosts.aggregate_numbers('max_io_ops_per_host', self.option())


class NumInstancesFilter(Filter):
    """Fewer than ``max_instances_per_host`` servers on the host."""

    once = False

    def limit(self, hosts: Hosts) -> Floats | float:
        return self.option()

    def option(self) -> float:
        return float(self.conf.filter_scheduler.max_instances_per_host)

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask:
        mask: Mask = (hosts.num_instances < self.limit(hosts))[alive]
        return mask

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return f'with {int(hosts.num_instances[i])} servers'


class AggregateNumInstancesFilter(NumInstancesFilter):
    """The limit comes from aggregate metadata."""

    def limit(self, hosts: Hosts) -> Floats | float:
        return hosts.aggregate_numbers('max_instances_per_host', self.option())
