"""Guests with NUMA nodes, huge pages or processors of their own."""

from kilonova.common import exception
from kilonova.common.fitting import claim, guest, numa, pci
from kilonova.common.fitting.guest import Wish
from kilonova.common.objects.host import HostState
from kilonova.common.objects.pci import PciRequest
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask


class NUMATopologyFilter(Filter):
    """The guest can be laid out on the host's nodes, near enough to its PCI devices."""

    once = False

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        wish = guest.wish_of(spec.flavor, spec.image)
        if wish is None:
            return None
        requests = pci.wanted(self.conf, spec)
        return hosts.where(lambda state: not self._misfit(state, wish, requests), alive)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        wish = guest.wish_of(spec.flavor, spec.image)
        requests = pci.wanted(self.conf, spec)
        return self._misfit(hosts.states[i], wish, requests)

    def _misfit(self, state: HostState, wish: Wish | None, requests: list[PciRequest]) -> str:
        pack = self.conf.compute.packing_host_numa_cells_allocation_strategy
        try:
            claim.claim(state.node, state.guests, set(state.pci_taken), wish, requests, pack)
        except numa.Misfit as error:
            return str(error)
        except exception.KilonovaError as error:
            return error.message
        return ''
