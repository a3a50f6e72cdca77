"""The hosts, as columns.

``Hosts`` is one copy of the conductor's host table: lists of states and NumPy arrays of
the same order, which ``changes`` brings up to date row by row.  What can be worked out once
for many requests is remembered until a row changes.
"""

import itertools
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from oslo_log import log as logging

from kilonova.common.objects.host import HostState
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler import figures
from kilonova.scheduler.amounts import Amounts

LOG = logging.getLogger(__name__)

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


class Load(NamedTuple):
    """What one server takes of its host."""

    vcpus: float = 0
    memory_mb: float = 0
    disk_mb: float = 0
    busy: bool = False


class Hosts:
    """All hosts.  ``take``, ``give`` and what ``changes`` does are the only changes."""

    enabled: Mask
    up: Mask
    free_ram_mb: Floats
    free_disk_mb: Floats
    free_vcpus: Floats
    num_instances: Floats
    num_io_ops: Floats
    failed_builds: Floats
    hypervisor_version: Floats
    free_devices: Floats
    cell: Floats

    def __init__(
        self, states: list[HostState], version: int = 0, asked_at: float = float('-inf')
    ) -> None:
        self.states, self.version, self.asked_at = states, version, asked_at
        self.index = {state.node.uuid: i for i, state in enumerate(states)}
        self.by_host: dict[str, list[int]] = {}
        for i, state in enumerate(states):
            self.by_host.setdefault(state.service.host, []).append(i)
        for name, (kind, read) in figures.COLUMNS.items():
            setattr(self, name, column((read(state) for state in states), kind))
        self.amounts = Amounts(states)
        self.servers = {uuid: i for i, state in enumerate(states) for uuid in state.instances}
        self.loads: dict[str, Load] = {}
        """Of the servers that are not in the figures which the states came with."""
        self.lent: set[int] = set()
        """Hosts whose nodes and devices are not only what the conductor has told."""
        self.regroup()

    def __len__(self) -> int:
        return len(self.states)

    def where(self, test: Callable[[HostState], bool], alive: Indices) -> Mask:
        """Ask each host of ``alive``: for what no column can say."""
        states = self.states
        return np.fromiter((test(states[i]) for i in alive), dtype=bool, count=len(alive))

    def where_kind(
        self,
        kind: str,
        key: Callable[[HostState], Hashable],
        test: Callable[[HostState], bool],
        alive: Indices,
    ) -> Mask:
        """Ask one host of each kind; ``key`` says of which kind a host is, ``kind`` names it."""
        codes, samples = self._kinds(kind, key)
        verdicts = np.array([test(self.states[i]) for i in samples], dtype=bool)
        mask: Mask = verdicts[codes[alive]]
        return mask

    def _kinds(self, kind: str, key: Callable[[HostState], Hashable]) -> tuple[Indices, list[int]]:
        """Return each host's kind by number, and a host of each."""

        def make() -> tuple[Indices, list[int]]:
            numbers: dict[Hashable, int] = {}
            samples: list[int] = []
            codes = np.empty(len(self), dtype=np.intp)
            for i, state in enumerate(self.states):
                found = key(state)
                if found not in numbers:
                    numbers[found] = len(samples)
                    samples.append(i)
                codes[i] = numbers[found]
            return codes, samples

        found: tuple[Indices, list[int]] = self.remember(('kind', kind), make)
        return found

    def remember(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what was worked out for ``key`` since the last change of a host."""
        memory = self._memory
        if key not in memory:
            memory[key] = make()
        return memory[key]

    def forget(self) -> None:
        """A host has changed: what was remembered may be wrong."""
        self._memory: dict[Hashable, Any] = {}

    def indices_of(self, servers: Iterable[str]) -> list[int]:
        """Return the host of each of the servers that is on one."""
        return [self.servers[uuid] for uuid in servers if uuid in self.servers]

    def count_of(self, servers: Iterable[str]) -> Floats:
        """Return how many of the servers each host has."""
        return self.count_at(self.indices_of(set(servers)))

    def count_at(self, indices: list[int]) -> Floats:
        """Return how often each host is named."""
        return np.bincount(indices, minlength=len(self)).astype(float)

    # -- aggregates

    def regroup(self) -> None:
        """Look anew at the aggregates of all hosts."""
        self.forget()
        self.zones = [figures.zone_of(state) for state in self.states]
        self.aggregates = {a.uuid: a for state in self.states for a in state.aggregates}
        self._aggregate_keys = {key for a in self.aggregates.values() for key in a.metadata}

    def in_zone(self, zone: str) -> Mask:
        """Return which hosts are in a zone."""
        mask: Mask = self.remember(
            ('zone', zone), lambda: column((own == zone for own in self.zones), bool)
        )
        return mask

    def in_any(self, aggregates: frozenset[str]) -> Mask:
        """Return which hosts are in one of some aggregates."""
        return self.where_kind(
            'aggregates',
            aggregates_of,
            lambda state: any(a.uuid in aggregates for a in state.aggregates),
            np.arange(len(self)),
        )

    def aggregate_values(self, key: str) -> list[frozenset[str]] | None:
        """Return each host's values (comma separated) of a metadata key; None: no host has it."""
        if key not in self._aggregate_keys:
            return None

        def make() -> list[frozenset[str]]:
            codes, samples = self._kinds('aggregates', aggregates_of)
            by_kind = [
                frozenset(
                    value.strip()
                    for aggregate in self.states[i].aggregates
                    if key in aggregate.metadata
                    for value in aggregate.metadata[key].split(',')
                )
                for i in samples
            ]
            return [by_kind[code] for code in codes]

        found: list[frozenset[str]] = self.remember(('values', key), make)
        return found

    def aggregate_numbers(self, key: str, default: float) -> Floats | float:
        """Return what aggregates say instead of an option, the smallest where they disagree."""
        values = self.aggregate_values(key)
        if values is None:
            return default
        found: Floats = self.remember(
            ('numbers', key, default),
            lambda: column(_smallest(found, default, key) for found in values),
        )
        return found

    # -- servers

    def take(self, i: int, uuid: str, spec: RequestSpec, layout: Layout | None = None) -> None:
        """Count a server that has just been claimed for a host."""
        for name, value in spec.image.known_properties().items():
            counts = self.states[i].image_properties.setdefault(name, {})
            counts[value] = counts.get(value, 0) + 1
        self.put(i, uuid, spec.project_id, load_of(spec))
        if layout is not None:
            self.occupy(i, layout)

    def give(self, i: int, uuid: str, spec: RequestSpec) -> None:
        """Forget a server whose claim was given back."""
        for name, value in spec.image.known_properties().items():
            counts = self.states[i].image_properties.setdefault(name, {})
            counts[value] = counts.get(value, 0) - 1
        self.remove(uuid)

    def occupy(self, i: int, layout: Layout) -> None:
        """Count nodes and devices until the conductor tells of all that are taken."""
        self.lent.add(i)
        state = self.states[i]
        if layout.topology is not None:
            state.guests = [*state.guests, layout.topology]
        state.pci_taken = [*state.pci_taken, *(device.address for device in layout.devices)]
        self.free_devices[i] = figures.free_devices(state)

    def put(self, i: int, uuid: str, project_id: str, load: Load) -> None:
        """Count a server on a host, instead of wherever it was counted."""
        self.remove(uuid)
        self._change(i, load, 1)
        self.loads[uuid] = load
        self.states[i].instances[uuid] = project_id
        self.servers[uuid] = i

    def remove(self, uuid: str) -> None:
        """Count a server no more."""
        i, load = self.servers.pop(uuid, None), self.loads.pop(uuid, None)
        if i is not None:
            self.states[i].instances.pop(uuid, None)
            if load is not None:
                self._change(i, load, -1)

    def _change(self, i: int, load: Load, sign: int) -> None:
        self.free_ram_mb[i] -= sign * load.memory_mb
        self.free_disk_mb[i] -= sign * load.disk_mb
        self.free_vcpus[i] -= sign * load.vcpus
        self.num_instances[i] += sign
        self.num_io_ops[i] += sign * load.busy
        self.amounts.add(i, load.vcpus, load.memory_mb, load.disk_mb, sign)

    def replace(self, i: int, state: HostState) -> None:
        """Put a new description of a host in place of the old one; its servers stay."""
        old = self.states[i]
        state.instances, state.aggregates = old.instances, old.aggregates
        state.guests, state.pci_taken = old.guests, old.pci_taken
        self.states[i] = state
        for name, (_, read) in figures.COLUMNS.items():
            getattr(self, name)[i] = read(state)
        self.amounts.fill(i, state)
        for uuid in state.instances:
            self._change(i, self.loads.get(uuid, Load()), 1)
        self.forget()


def aggregates_of(state: HostState) -> Hashable:
    """Hosts of the same aggregates are of one kind."""
    return frozenset(aggregate.uuid for aggregate in state.aggregates)


def column(values: Iterable[Any], kind: type = float) -> npt.NDArray[Any]:
    """Return values of any iterable as an array."""
    return np.array(list(values), dtype=kind)


def disk_mb(spec: RequestSpec) -> int:
    """Return what a server takes of its host's disk; a root disk may be a volume."""
    root = 0 if spec.is_bfv else spec.flavor.root_gb
    return (root + spec.flavor.ephemeral_gb) * 1024 + spec.flavor.swap


def load_of(spec: RequestSpec) -> Load:
    """Return what a server that is about to be built takes."""
    return Load(spec.flavor.vcpus, spec.flavor.memory_mb, disk_mb(spec), True)


def _smallest(values: Iterable[str], default: float, key: str) -> float:
    numbers = []
    for value in itertools.chain(values):
        try:
            numbers.append(float(value))
        except ValueError:
            LOG.warning('Aggregate metadata %s=%s is not a number and is ignored', key, value)
    return min(numbers, default=default)
