"""The hosts, as columns.

``Hosts`` is one copy of the conductor's host table: lists of states and NumPy arrays of
the same order.  ``HostCache`` keeps the newest copy, and lays over it what this
scheduler has picked since, as the conductor cannot know that yet.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from oslo_log import log as logging

from kilonova.common.objects.host import HostState, HostTable
from kilonova.common.objects.request_spec import RequestSpec

LOG = logging.getLogger(__name__)

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

MAX_AGE = 10.0
# How long a pick may be missing in the conductor's table before it counts as given up.
PICK_MEMORY = 5.0


class Hosts:
    """All hosts.  ``take`` and ``give`` are the only changes."""

    def __init__(self, states: list[HostState], version: int = 0) -> None:
        self.states, self.version = states, version
        self.index = {state.node.uuid: i for i, state in enumerate(states)}
        self.by_host: dict[str, list[int]] = {}
        for i, state in enumerate(states):
            self.by_host.setdefault(state.service.host, []).append(i)
        self.enabled: Mask = column((not s.service.disabled for s in states), bool)
        self.up: Mask = column((s.service.up and not s.service.forced_down for s in states), bool)
        self.free_ram_mb: Floats = column(_free_ram(states))
        self.free_disk_mb: Floats = column(_free_disk(states))
        self.free_vcpus: Floats = column(_free_vcpus(states))
        self.num_instances: Floats = column(s.num_instances for s in states)
        self.num_io_ops: Floats = column(s.num_io_ops for s in states)
        self.failed_builds: Floats = column(s.failed_builds for s in states)
        self.hypervisor_version: Floats = column(s.node.hypervisor_version for s in states)
        self.zones = [_zone(state) for state in states]
        self.servers = {uuid: i for i, state in enumerate(states) for uuid in state.instances}
        self.aggregates = {a.uuid: a for state in states for a in state.aggregates}
        self._aggregate_keys = {key for a in self.aggregates.values() for key in a.metadata}
        self._values: dict[str, list[frozenset[str]]] = {}

    def __len__(self) -> int:
        return len(self.states)

    def where(self, test: Callable[[HostState], bool], alive: Indices) -> Mask:
        """Ask each host of ``alive``: for what no column can say."""
        states = self.states
        return np.fromiter((test(states[i]) for i in alive), dtype=bool, count=len(alive))

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

    def aggregate_values(self, key: str) -> list[frozenset[str]] | None:
        """Return each host's values (comma separated) of a metadata key; None: no host has it."""
        if key not in self._aggregate_keys:
            return None
        if key not in self._values:
            self._values[key] = [
                frozenset(
                    value.strip()
                    for aggregate in state.aggregates
                    if key in aggregate.metadata
                    for value in aggregate.metadata[key].split(',')
                )
                for state in self.states
            ]
        return self._values[key]

    def aggregate_numbers(self, key: str, default: float) -> Floats | float:
        """Return what aggregates say instead of an option, the smallest where they disagree."""
        values = self.aggregate_values(key)
        if values is None:
            return default
        return column(_smallest(found, default, key) for found in values)

    # -- own picks

    def take(self, i: int, uuid: str, spec: RequestSpec) -> None:
        """Count a server that has just been claimed for a host."""
        self._change(i, spec, 1)
        self.states[i].instances[uuid] = spec.project_id
        self.servers[uuid] = i

    def give(self, i: int, uuid: str, spec: RequestSpec) -> None:
        """Forget a server whose claim was given back."""
        self._change(i, spec, -1)
        self.states[i].instances.pop(uuid, None)
        self.servers.pop(uuid, None)

    def _change(self, i: int, spec: RequestSpec, sign: int) -> None:
        flavor, alike = spec.flavor, self.states[i].image_properties
        for name, value in spec.image.known_properties().items():
            counts = alike.setdefault(name, {})
            counts[value] = counts.get(value, 0) + sign
        self.free_ram_mb[i] -= sign * flavor.memory_mb
        self.free_disk_mb[i] -= sign * disk_mb(spec)
        self.free_vcpus[i] -= sign * flavor.vcpus
        self.num_instances[i] += sign
        self.num_io_ops[i] += sign


def column(values: Iterable[Any], kind: type = float) -> npt.NDArray[Any]:
    """Return values of any iterable as an array."""
    return np.array(list(values), dtype=kind)


def disk_mb(spec: RequestSpec) -> int:
    """Return what a server takes of its host's disk; a root disk may be a volume."""
    root = 0 if spec.is_bfv else spec.flavor.root_gb
    return (root + spec.flavor.ephemeral_gb) * 1024 + spec.flavor.swap


def free_disk_gb(state: HostState) -> int:
    """What is neither taken nor, on a sparse backend, really used up."""
    free = state.node.local_gb - state.node.local_gb_used
    least = state.node.disk_available_least
    return free if least is None else min(free, least)


def _free_ram(states: list[HostState]) -> Iterable[int]:
    return (
        s.node.memory_mb - s.node.reserved_host_memory_mb - s.node.memory_mb_used for s in states
    )


def _free_disk(states: list[HostState]) -> Iterable[int]:
    return (free_disk_gb(s) * 1024 - s.node.reserved_host_disk_mb for s in states)


def _free_vcpus(states: list[HostState]) -> Iterable[float]:
    return (
        (s.node.vcpus - s.node.reserved_host_cpus) * s.node.cpu_allocation_ratio - s.node.vcpus_used
        for s in states
    )


def _zone(state: HostState) -> str:
    zones = (aggregate.availability_zone for aggregate in state.aggregates)
    return next((zone for zone in zones if zone), None) or state.service.availability_zone or 'nova'


def _smallest(values: Iterable[str], default: float, key: str) -> float:
    numbers = []
    for value in values:
        try:
            numbers.append(float(value))
        except ValueError:
            LOG.warning('Aggregate metadata %s=%s is not a number and is ignored', key, value)
    return min(numbers, default=default)


class _Pick:
    def __init__(self, node: str, spec: RequestSpec) -> None:
        self.node, self.spec = node, spec
        self.until = time.monotonic() + PICK_MEMORY


class HostCache:
    """The newest copy of the host table.  ``fetch`` asks the conductor."""

    def __init__(self, fetch: Callable[[], HostTable], max_age: float = MAX_AGE) -> None:
        self._fetch, self._max_age = fetch, max_age
        self._hosts = Hosts([], -1)
        self._asked_at = float('-inf')
        self._picks: dict[str, _Pick] = {}
        self._fetching, self._changing = threading.Lock(), threading.Lock()

    def get(self, version: int) -> Hosts:
        """Return a copy that is at least of that version and not too old."""
        if self._hosts.version >= version and self._age() <= self._max_age:
            return self._hosts
        return self._refresh(
            lambda: self._hosts.version >= version and self._age() <= self._max_age
        )

    def newer_than(self, moment: float) -> Hosts:
        """Return a copy that was asked for after a moment of ``time.monotonic``."""
        return self._refresh(lambda: self._asked_at > moment)

    def asked_after(self, moment: float) -> bool:
        return self._asked_at > moment

    def take(self, hosts: Hosts, i: int, uuid: str, spec: RequestSpec) -> None:
        """Remember a pick, in this copy and in those to come."""
        with self._changing:
            if uuid in self._picks:  # it was sent away from there
                for one in {id(one): one for one in (self._hosts, hosts)}.values():
                    if uuid in one.servers:
                        one.give(one.servers[uuid], uuid, spec)
            self._picks[uuid] = _Pick(hosts.states[i].node.uuid, spec)
            hosts.take(i, uuid, spec)
            if hosts is not self._hosts:
                self._lay(self._hosts, uuid, self._picks[uuid])

    def give(self, uuid: str, spec: RequestSpec) -> None:
        """Forget a pick whose claim was given back."""
        with self._changing:
            self._picks.pop(uuid, None)
            i = self._hosts.servers.get(uuid)
            if i is not None:
                self._hosts.give(i, uuid, spec)

    def _age(self) -> float:
        return time.monotonic() - self._asked_at

    def _refresh(self, enough: Callable[[], bool]) -> Hosts:
        """Fetch, unless another request has done so while this one waited."""
        with self._fetching:
            if not enough():
                asked_at = time.monotonic()
                table = self._fetch()
                with self._changing:
                    self._hosts = Hosts(table.hosts, table.version)
                    self._asked_at = asked_at
                    self._lay_picks()
            return self._hosts

    def _lay_picks(self) -> None:
        now = time.monotonic()
        self._picks = {uuid: pick for uuid, pick in self._picks.items() if pick.until > now}
        for uuid, pick in self._picks.items():
            self._lay(self._hosts, uuid, pick)

    @staticmethod
    def _lay(hosts: Hosts, uuid: str, pick: _Pick) -> None:
        i = hosts.index.get(pick.node)
        if i is not None and uuid not in hosts.servers:
            hosts.take(i, uuid, pick.spec)
