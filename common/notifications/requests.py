"""Payloads about what the scheduler is asked for, and what came of it."""

from typing import ClassVar

from kilonova.common.notifications.hosts import ExceptionPayload
from kilonova.common.notifications.images import ImageMetaPayload
from kilonova.common.notifications.payload import Payload
from kilonova.common.notifications.resources import FlavorPayload, ServerGroupPayload


class VirtCPUTopologyPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    cores: int | None
    sockets: int | None
    threads: int | None


class InstanceNUMACellPayload(Payload):
    VERSION: ClassVar[str] = '1.2'

    cpu_pinning_raw: dict[str, int] | None
    cpu_policy: str | None
    cpu_thread_policy: str | None
    cpu_topology: VirtCPUTopologyPayload | None
    cpuset: str
    cpuset_reserved: str | None
    id: int
    memory: int
    pagesize: int | None
    pcpuset: str


class InstanceNUMATopologyPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    cells: list[InstanceNUMACellPayload]
    emulator_threads_policy: str | None
    instance_uuid: str


class InstancePCIRequestPayload(Payload):
    VERSION: ClassVar[str] = '1.1'

    alias_name: str | None
    count: int
    numa_policy: str | None
    request_id: str | None
    spec: list[dict[str, str | None]]


class InstancePCIRequestsPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    instance_uuid: str
    requests: list[InstancePCIRequestPayload]


class CellMappingPayload(Payload):
    VERSION: ClassVar[str] = '2.0'

    disabled: bool
    name: str | None
    uuid: str


class DestinationPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    aggregates: list[str] | None
    cell: CellMappingPayload | None
    host: str
    node: str | None


class SchedulerRetriesPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    hosts: list[str]
    num_attempts: int


class RequestSpecPayload(Payload):
    VERSION: ClassVar[str] = '1.1'

    availability_zone: str | None
    flavor: FlavorPayload | None
    force_hosts: str | None
    force_nodes: str | None
    ignore_hosts: list[str] | None
    image: ImageMetaPayload | None
    image_meta: ImageMetaPayload | None
    instance_group: ServerGroupPayload | None
    instance_uuid: str
    num_instances: int
    numa_topology: InstanceNUMATopologyPayload | None
    pci_requests: InstancePCIRequestsPayload | None
    project_id: str | None
    requested_destination: DestinationPayload | None
    retry: SchedulerRetriesPayload | None
    scheduler_hints: dict[str, list[str]] | None
    security_groups: list[str]
    user_id: str | None


class ComputeTaskPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    instance_uuid: str
    reason: ExceptionPayload
    request_spec: RequestSpecPayload | None
    state: str | None
