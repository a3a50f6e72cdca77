"""Hosts: services, compute nodes, aggregates, and what the scheduler sees of them."""

import datetime
from typing import Any

import msgspec

from kilonova.common.objects.numa import NumaTopology


class Service(msgspec.Struct, kw_only=True):
    """One daemon on one host.  ``up`` is derived from the last heartbeat."""

    id: int
    uuid: str
    host: str
    binary: str
    topic: str | None = None
    version: int = 0
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False
    last_seen_up: datetime.datetime | None = None
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    up: bool = False
    availability_zone: str | None = None
    report_count: int = 0
    unreachable: bool = False
    """Its cell is down: only host and binary are known."""


class Amount(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One inventory, as placement has it."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 0
    step_size: int = 1
    allocation_ratio: float = 1.0

    @property
    def capacity(self) -> float:
        return (self.total - self.reserved) * self.allocation_ratio


class ProviderState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A node's resource provider as its host keeps it in placement.

    ``elsewhere``: resource classes that other providers of the node have.
    """

    inventories: dict[str, Amount] = {}
    traits: list[str] = []
    elsewhere: list[str] = []


class ComputeNode(msgspec.Struct, kw_only=True):
    """One hypervisor, as the virt driver reports it.  MiB and GiB.

    ``uuid`` is also the resource provider's in placement.  The ``*_used`` and ``running_vms`` figures
    are computed by the conductor from the servers on the host.
    """

    uuid: str
    host: str
    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str | None = None
    vcpus: int
    memory_mb: int
    local_gb: int
    vcpus_used: int = 0
    memory_mb_used: int = 0
    local_gb_used: int = 0
    running_vms: int = 0
    current_workload: int = 0
    disk_available_least: int | None = None
    cpu_info: dict[str, Any] = {}
    supported_instances: list[tuple[str, str, str]] = []
    cpu_allocation_ratio: float = 4.0
    ram_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    reserved_host_cpus: int = 0
    reserved_host_memory_mb: int = 512
    reserved_host_disk_mb: int = 0
    metrics: list[dict[str, Any]] = []
    stats: dict[str, Any] = {}
    numa_topology: dict[str, Any] | None = None
    pci_devices: list[dict[str, Any]] = []
    provider: ProviderState | None = None
    """What the scheduler can know without asking placement."""
    id: int = 0
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None


class Hypervisor(msgspec.Struct, kw_only=True):
    """A compute node with its service, and on request its servers (uuid, name)."""

    node: ComputeNode
    service: Service
    servers: list[tuple[str, str]] | None = None
    uptime: str | None = None
    """The host's own line, when it was asked for it and has answered."""


class Amounts(msgspec.Struct):
    """What is there, or in use."""

    vcpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0


class HostResources(msgspec.Struct, kw_only=True):
    """What a host has, what is in use now (with what the host keeps for itself), and what its
    servers may use at most, in all and by project."""

    total: Amounts
    used_now: Amounts
    used_max: Amounts
    projects: dict[str, Amounts] = {}


class Aggregate(msgspec.Struct, kw_only=True):
    id: int
    uuid: str
    name: str
    hosts: list[str] = []
    metadata: dict[str, str] = {}
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None

    @property
    def availability_zone(self) -> str | None:
        return self.metadata.get('availability_zone')


class HostState(msgspec.Struct, kw_only=True):
    """One compute node as the scheduler needs it: node, service, aggregates, usage."""

    node: ComputeNode
    service: Service
    aggregates: list[Aggregate] = []
    num_instances: int = 0
    num_io_ops: int = 0
    failed_builds: int = 0
    instances: dict[str, str] = {}
    """Server uuid to project id, of the servers on the host."""
    image_properties: dict[str, dict[str, int]] = {}
    """Property to value to how many servers have it; only when it is asked for."""
    cell_id: int | None = None
    guests: list[NumaTopology] = []
    """Layouts of the servers that have one, or are going to."""
    pci_taken: list[str] = []
    """Addresses of devices that servers have."""


class HostTable(msgspec.Struct, kw_only=True):
    """Every host of the cell, with the version of the table (see ``host_table``)."""

    version: int
    hosts: list[HostState]
