"""Laying a guest's nodes out on a host's.

``fit`` finds a host node for each guest node, no two on the same, so that processors, pages
and memory suffice; ``usage`` adds up what the guests that are there have.  The scheduler's filter asks
whether there is a way, the conductor writes the way down while it holds the host's row.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from kilonova.common.fitting import cpus
from kilonova.common.fitting.guest import GuestNode, Wish
from kilonova.common.objects.numa import HostCell, HostTopology, NumaNode, NumaTopology

SMALLEST_HUGE = 5
"""KiB: pages up to this size are the ordinary ones."""


class Misfit(Exception):
    """There is no way; says why in a few words."""


class Ratios(NamedTuple):
    cpu: float = 1.0
    ram: float = 1.0


PLAIN = Ratios()


class Used(msgspec.Struct):
    """What is taken of one host node."""

    pinned: set[int] = set()
    floating: int = 0
    memory_mb: int = 0
    pages: dict[int, int] = {}


class _Way(NamedTuple):
    node: NumaNode
    emulator: list[int]


def usage(guests: Iterable[NumaTopology]) -> dict[int, Used]:
    """Return what guests take, by host node."""
    found: dict[int, Used] = {}
    for guest in guests:
        for i, node in enumerate(guest.nodes):
            used = found.setdefault(node.id, Used())
            used.pinned |= node.taken
            if i == 0:
                used.pinned |= set(guest.emulator_cpus)
            used.floating += len(node.floating)
            used.memory_mb += node.memory_mb
            if node.pagesize_kb:
                number = node.memory_mb * 1024 // node.pagesize_kb
                used.pages[node.pagesize_kb] = used.pages.get(node.pagesize_kb, 0) + number
    return found


def fit(
    wish: Wish,
    host: HostTopology | None,
    guests: Iterable[NumaTopology],
    ratios: Ratios = PLAIN,
    accepts: Callable[[list[HostCell]], bool] = lambda cells: True,
    pack: bool = False,
) -> NumaTopology:
    """Return a way.  ``accepts`` has the last word on host nodes; ``pack``: fullest first.

    Raises Misfit.
    """
    if host is None or not host.cells:
        raise Misfit('no NUMA topology reported')
    if len(wish.nodes) > len(host.cells):
        raise Misfit(f'only {len(host.cells)} NUMA nodes')
    taken = usage(guests)
    cells = sorted(host.cells, key=lambda cell: _room(cell, taken), reverse=not pack)
    ways, reasons = [], []
    for i, node in enumerate(wish.nodes):
        mine, why = _ways(wish, node, i == 0, cells, taken, ratios)
        if not mine:
            raise Misfit(why)
        ways.append(mine)
        reasons.append(why)
    by_id = {cell.id: cell for cell in cells}
    tried = False
    for chosen in _matchings(ways):
        tried = True
        if accepts([by_id[cell] for cell in chosen]):
            return _topology(wish, [ways[i][cell] for i, cell in enumerate(chosen)])
    raise Misfit('no NUMA node near enough to the PCI devices' if tried else 'NUMA nodes too full')


def _room(cell: HostCell, taken: dict[int, Used]) -> tuple[int, int, int]:
    used = taken.get(cell.id, Used())
    return (
        len(set(cell.pcpus) - used.pinned),
        len(cell.cpus) - used.floating,
        cell.memory_mb - used.memory_mb,
    )


def _ways(
    wish: Wish,
    node: GuestNode,
    first: bool,
    cells: list[HostCell],
    taken: dict[int, Used],
    ratios: Ratios,
) -> tuple[dict[int, _Way], str]:
    """Return the layout of one guest node on each host node that it fits; and why not on others."""
    found: dict[int, _Way] = {}
    why = ''
    emulator = 1 if first and wish.isolates_emulator else 0
    for cell in cells:
        try:
            found[cell.id] = _lay_out(
                wish, node, emulator, cell, taken.get(cell.id, Used()), ratios
            )
        except Misfit as error:
            why = why or str(error)
    return found, why


def _lay_out(
    wish: Wish, node: GuestNode, emulator: int, cell: HostCell, used: Used, ratios: Ratios
) -> _Way:
    size = _page_size(wish, node, cell, used, ratios)
    floating = len(node.vcpus) - len(node.dedicated)
    if floating:
        if floating > len(cell.cpus):
            raise Misfit(f'no NUMA node with {floating} shared CPUs')
        if used.floating + floating > len(cell.cpus) * ratios.cpu:
            raise Misfit(f'no NUMA node with {floating} shared CPUs free')
    picked = cpus.Picked([], [], [])
    free = set(cell.pcpus) - used.pinned
    if node.dedicated:
        better = cpus.pick(cell, free, len(node.dedicated), wish.thread_policy)
        if better is None:
            policy = f' ({wish.thread_policy})' if wish.thread_policy else ''
            raise Misfit(f'no NUMA node with {len(node.dedicated)} dedicated CPUs free{policy}')
        picked = better
    rest = sorted(free - {*picked.cpus, *picked.reserved})
    if len(rest) < emulator:
        raise Misfit('no dedicated CPU free for the emulator threads')
    laid = NumaNode(
        id=cell.id,
        vcpus=node.vcpus,
        memory_mb=node.memory_mb,
        pagesize_kb=size,
        siblings=[[node.dedicated[i] for i in group] for group in picked.siblings],
        cpu_pinning=dict(zip(node.dedicated, picked.cpus, strict=True)) or None,
        reserved=picked.reserved,
    )
    return _Way(laid, rest[:emulator])


def _page_size(
    wish: Wish, node: GuestNode, cell: HostCell, used: Used, ratios: Ratios
) -> int | None:
    if node.memory_mb > cell.memory_mb:
        raise Misfit(f'no NUMA node with {node.memory_mb} MB of memory')
    if wish.page_size is None:
        if used.memory_mb + node.memory_mb > cell.memory_mb * ratios.ram:
            raise Misfit(f'no NUMA node with {node.memory_mb} MB of memory free')
        return None
    for size in _sizes(wish.page_size, cell):
        number, rest = divmod(node.memory_mb * 1024, size)
        if not rest and number <= cell.pages.get(size, 0) - used.pages.get(size, 0):
            return size
    raise Misfit(f'no {_name(wish.page_size)} pages free')


def _sizes(wanted: str | int, cell: HostCell) -> list[int]:
    """Return the sizes that will do, the best first."""
    if isinstance(wanted, int):
        return [wanted]
    sizes = sorted(cell.pages, reverse=True)
    huge = [size for size in sizes if size >= SMALLEST_HUGE]
    return {'large': huge, 'small': [s for s in sizes if s not in huge]}.get(wanted, sizes)


def _name(size: str | int) -> str:
    if isinstance(size, str):
        return size
    for unit, kib in (('GiB', 1024**2), ('MiB', 1024)):
        if size % kib == 0:
            return f'{size // kib} {unit}'
    return f'{size} KiB'


def _matchings(ways: list[dict[int, _Way]], used: tuple[int, ...] = ()) -> Iterator[list[int]]:
    """Give the host node of each guest node, in every way that uses none twice."""
    if len(used) == len(ways):
        yield list(used)
        return
    for cell in ways[len(used)]:
        if cell not in used:
            yield from _matchings(ways, (*used, cell))


def _topology(wish: Wish, ways: list[_Way]) -> NumaTopology:
    return NumaTopology(nodes=[way.node for way in ways], emulator_cpus=ways[0].emulator)
