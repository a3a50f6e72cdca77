"""NUMA nodes: those of a host, and what a guest has of them."""

from typing import Any

import msgspec


class NumaNode(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One guest node on the host's node ``id``.

    ``cpu_pinning``: guest to host processor, of the dedicated ones (the others float over
    the node's shared processors).  ``reserved``: host processors that are kept idle beside them.
    ``siblings``: guest processors that are threads of one core.
    """

    id: int
    vcpus: list[int]
    memory_mb: int
    pagesize_kb: int | None = None
    siblings: list[list[int]] = []
    cpu_pinning: dict[int, int] | None = None
    reserved: list[int] = []

    @property
    def taken(self) -> set[int]:
        """The host processors that nobody else may have."""
        return {*(self.cpu_pinning or {}).values(), *self.reserved}

    @property
    def floating(self) -> list[int]:
        """The guest processors that are not pinned."""
        pinned = self.cpu_pinning or {}
        return [cpu for cpu in self.vcpus if cpu not in pinned]


class NumaTopology(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A guest's nodes.  ``emulator_cpus``: host processors for the hypervisor's own threads."""

    nodes: list[NumaNode] = []
    emulator_cpus: list[int] = []


class HostCell(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One NUMA node of a host.

    ``cpus`` are for guests that share them, ``pcpus`` for dedicated use; ``siblings`` are
    threads of one core; ``pages``: size in KiB to number, huge ones and the ordinary.
    """

    id: int
    cpus: list[int] = []
    pcpus: list[int] = []
    memory_mb: int = 0
    siblings: list[list[int]] = []
    pages: dict[int, int] = {}
    socket: int | None = None


class HostTopology(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a driver reports in ``ComputeNode.numa_topology``, made plain by ``to_builtins``."""

    cells: list[HostCell] = []


def host_topology(found: dict[str, Any] | None) -> HostTopology | None:
    """Return the topology that a node reports; None without one."""
    if not found:
        return None
    return msgspec.convert(found, HostTopology, strict=False)
