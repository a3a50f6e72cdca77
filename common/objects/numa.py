"""The NUMA nodes of a guest."""

import msgspec


class NumaNode(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One guest node on the host's node ``id``; ``cpu_pinning``: guest to host processor."""

    id: int
    vcpus: list[int]
    memory_mb: int
    pagesize_kb: int | None = None
    siblings: list[list[int]] = []
    cpu_pinning: dict[int, int] | None = None


class NumaTopology(msgspec.Struct, kw_only=True, omit_defaults=True):
    nodes: list[NumaNode] = []
