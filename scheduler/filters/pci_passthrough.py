"""Guests with host devices."""

from kilonova.common.fitting import pci
from kilonova.common.objects.host import HostState
from kilonova.common.objects.numa import host_topology
from kilonova.common.objects.pci import PciRequest, devices_of
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask


class PciPassthroughFilter(Filter):
    """The host has as many free devices as ``pci_passthrough:alias`` and ports ask for."""

    once = False

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        requests = self._requests(spec)
        if not requests:
            return None
        return hosts.where(lambda state: _has(state, requests), alive)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        wanted = ', '.join(f'{one.count} {one.name}' for one in self._requests(spec))
        return f'with too few free PCI devices ({wanted})'

    def _requests(self, spec: RequestSpec) -> list[PciRequest]:
        return pci.wanted(self.conf, spec)


def _has(state: HostState, requests: list[PciRequest]) -> bool:
    if not state.node.pci_devices:
        return False
    free = pci.free_of(devices_of(state.node.pci_devices), set(state.pci_taken))
    return pci.choose(requests, free, host_topology(state.node.numa_topology), None) is not None
