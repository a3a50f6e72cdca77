"""What placement has of each host, as far as its host says: capacities, and what is used of them."""

import math

import numpy as np
import numpy.typing as npt

from kilonova.common.objects.host import HostState

CLASSES = ('VCPU', 'MEMORY_MB', 'DISK_GB')

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class _Class:
    """One resource class of all hosts; capacity 0 where a host has no inventory of it."""

    def __init__(self, number: int) -> None:
        self.capacity, self.used = np.zeros(number), np.zeros(number)
        self.least, self.most, self.step = np.ones(number), np.zeros(number), np.ones(number)


class Amounts:
    """Three classes of all hosts.  ``known``: the host has told, and gives them itself."""

    def __init__(self, states: list[HostState]) -> None:
        self.known = np.zeros(len(states), dtype=bool)
        self._classes = {name: _Class(len(states)) for name in CLASSES}
        self._traits: list[frozenset[str]] = [frozenset()] * len(states)
        self._shared: dict[frozenset[str], frozenset[str]] = {}
        for i, state in enumerate(states):
            self.fill(i, state)

    def fill(self, i: int, state: HostState) -> None:
        """Read a host's row."""
        node, provider = state.node, state.node.provider
        inventories = provider.inventories if provider else {}
        others = set(provider.elsewhere) if provider else set(CLASSES)
        self.known[i] = not others & set(CLASSES) and inventories.keys() >= set(CLASSES)
        traits = frozenset(provider.traits if provider else ())
        self._traits[i] = self._shared.setdefault(traits, traits)
        used = (
            node.vcpus_used - node.reserved_host_cpus,
            node.memory_mb_used - node.reserved_host_memory_mb,
            node.local_gb_used - node.reserved_host_disk_mb // 1024,
        )
        for (name, one), amount in zip(self._classes.items(), used, strict=True):
            found = inventories.get(name)
            one.used[i] = max(amount, 0)
            one.capacity[i] = found.capacity if found else 0
            one.most[i] = found.max_unit if found else 0
            one.least[i] = found.min_unit if found else 1
            one.step[i] = found.step_size if found else 1

    def add(self, i: int, vcpus: float, memory_mb: float, disk_mb: float, sign: int) -> None:
        """Count what a server takes or gives back."""
        amounts = (vcpus, memory_mb, math.ceil(disk_mb / 1024))
        for one, amount in zip(self._classes.values(), amounts, strict=True):
            one.used[i] += sign * amount

    def fitting(self, resources: dict[str, int], at: Indices | None = None) -> Mask:
        """Return which hosts (of ``at``) have room."""
        some: Indices | slice = slice(None) if at is None else at
        mask = self.known[some].copy()
        for name, amount in resources.items():
            one = self._classes[name]
            mask &= one.used[some] + amount <= one.capacity[some]
            mask &= (one.least[some] <= amount) & (one.most[some] >= amount)
            mask &= amount % one.step[some] == 0
        return mask

    def traits_of(self, i: int) -> frozenset[str]:
        return self._traits[i]
