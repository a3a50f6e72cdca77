"""What goes on, and went wrong, on a host."""

from kilonova.scheduler.hosts import Floats, Hosts
from kilonova.scheduler.weights.base import ColumnWeigher


class IoOpsWeigher(ColumnWeigher):
    option, column = 'io_ops_weight_multiplier', 'num_io_ops'


class NumInstancesWeigher(ColumnWeigher):
    option, column = 'num_instances_weight_multiplier', 'num_instances'


class BuildFailureWeigher(ColumnWeigher):
    """Failed builds since the last one that went well count against a host."""

    option, column = 'build_failure_weight_multiplier', 'failed_builds'

    def multiplier(self, hosts: Hosts) -> Floats | float:
        return -super().multiplier(hosts)
