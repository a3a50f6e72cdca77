"""What goes on, and went wrong, on a host."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices
from kilonova.scheduler.weights.base import Weigher


class IoOpsWeigher(Weigher):
    option = 'io_ops_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats:
        return hosts.num_io_ops[alive]


class NumInstancesWeigher(Weigher):
    option = 'num_instances_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats:
        return hosts.num_instances[alive]


class BuildFailureWeigher(Weigher):
    """Failed builds since the last one that went well count against a host."""

    option = 'build_failure_weight_multiplier'

    def multiplier(self, hosts: Hosts) -> Floats | float:
        return -super().multiplier(hosts)

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats:
        return hosts.failed_builds[alive]
