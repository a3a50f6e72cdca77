"""Which of a host node's free processors a guest's dedicated ones get."""

from typing import NamedTuple

from kilonova.common.objects.numa import HostCell


class Picked(NamedTuple):
    """Host processors in order, groups of positions that share a core, and what stays idle."""

    cpus: list[int]
    siblings: list[list[int]]
    reserved: list[int]


def pick(cell: HostCell, free: set[int], number: int, policy: str | None) -> Picked | None:
    """Choose ``number`` of the free processors; None: they do not suffice."""
    cores = _cores(cell, free)
    whole = _threads(cell)
    if policy == 'isolate':
        return _isolated(cell, cores, number)
    least = 2 if policy == 'require' else 1
    for threads in range(min(whole, number), least - 1, -1):
        if number % threads == 0:
            found = _together(cores, number, threads)
            if found is not None:
                return found
    return None


def _threads(cell: HostCell) -> int:
    return max((len(group) for group in cell.siblings), default=1) or 1


def _cores(cell: HostCell, free: set[int]) -> list[list[int]]:
    """Return the free threads of each core that has some, the fullest used cores first."""
    grouped = {cpu for group in cell.siblings for cpu in group}
    groups = [sorted(free & set(group)) for group in cell.siblings]
    groups += [[cpu] for cpu in sorted(free - grouped)]
    return sorted((group for group in groups if group), key=lambda group: (len(group), group))


def _isolated(cell: HostCell, cores: list[list[int]], number: int) -> Picked | None:
    """One thread of a core; its others stay idle."""
    size = {cpu: len(group) for group in cell.siblings for cpu in group}
    idle = [core for core in cores if len(core) == size.get(core[0], 1)]
    if len(idle) < number:
        return None
    chosen = idle[:number]
    return Picked([core[0] for core in chosen], [], [cpu for core in chosen for cpu in core[1:]])


def _together(cores: list[list[int]], number: int, threads: int) -> Picked | None:
    chosen: list[int] = []
    for core in cores:
        for start in range(0, len(core) - threads + 1, threads):
            if len(chosen) < number:
                chosen += core[start : start + threads]
    if len(chosen) < number:
        return None
    groups = [list(range(i, i + threads)) for i in range(0, number, threads)]
    return Picked(chosen, groups if threads > 1 else [], [])
