"""Prefer hosts with traits that a flavor would like but does not need."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices, column
from kilonova.scheduler.weights.base import Weigher


class PreferredTraitsWeigher(Weigher):
    """Counts the traits of ``trait:NAME=preferred`` that a host tells of."""

    option = 'preferred_traits_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        wanted = {
            key.removeprefix('trait:')
            for key, value in spec.flavor.extra_specs.items()
            if key.startswith('trait:') and value == 'preferred'
        }
        if not wanted:
            return None
        found: Floats = column(len(wanted & hosts.amounts.traits_of(int(i))) for i in alive)
        return found
