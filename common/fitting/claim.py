"""One guest on one host: its nodes and its devices together."""

from collections.abc import Iterable, Sequence

from kilonova.common.fitting import numa, pci
from kilonova.common.fitting.guest import Wish
from kilonova.common.fitting.numa import Misfit, Ratios
from kilonova.common.objects.host import ComputeNode
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.numa import HostCell, NumaTopology, host_topology
from kilonova.common.objects.pci import PciRequest, devices_of


def claim(
    node: ComputeNode,
    guests: Iterable[NumaTopology],
    taken: set[str],
    wish: Wish | None,
    requests: Sequence[PciRequest],
    pack: bool = False,
) -> Layout:
    """Lay a guest out.  ``guests``, ``taken``: layouts and devices of those that are there.

    Raises Misfit.
    """
    host = host_topology(node.numa_topology)
    free = pci.free_of(devices_of(node.pci_devices), taken) if requests else []
    if requests and pci.choose(requests, free, host, None) is None:
        names = ', '.join(f'{one.count} {one.name}' for one in requests)
        raise Misfit(f'too few free PCI devices ({names})')
    if wish is None:
        return Layout(devices=pci.choose(requests, free, host, None) or [])

    def accepts(cells: list[HostCell]) -> bool:
        near = [cell.id for cell in cells]
        return pci.choose(requests, free, host, near) is not None

    ratios = Ratios(node.cpu_allocation_ratio, node.ram_allocation_ratio)
    topology = numa.fit(wish, host, guests, ratios, accepts, pack)
    near = pci.nodes_of(topology)
    return Layout(topology=topology, devices=pci.choose(requests, free, host, near) or [])
