"""Keep a server that moves in its cell."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices
from kilonova.scheduler.weights.base import Weigher


class CrossCellWeigher(Weigher):
    option = 'cross_cell_move_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        if spec.cell_id is None:
            return None
        same: Floats = (hosts.cell[alive] == spec.cell_id).astype(float)
        return same
