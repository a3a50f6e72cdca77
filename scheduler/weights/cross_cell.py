"""Keep a server that moves in its cell."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices, column
from kilonova.scheduler.weights.base import Weigher


class CrossCellWeigher(Weigher):
    option = 'cross_cell_move_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        if spec.cell_id is None:
            return None
        return column(hosts.states[i].cell_id == spec.cell_id for i in alive)
