"""Payloads about servers ("instances" on the wire)."""

import datetime
from typing import ClassVar

from kilonova.common.notifications.hosts import ExceptionPayload
from kilonova.common.notifications.payload import Payload
from kilonova.common.notifications.resources import FlavorPayload, KeypairPayload


class IpPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    label: str
    mac: str
    meta: dict[str, str]
    port_uuid: str | None
    version: int
    address: str
    device_name: str | None


class BlockDevicePayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    device_name: str | None
    boot_index: int | None
    delete_on_termination: bool
    volume_id: str
    tag: str | None


class SharePayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    share_mapping_uuid: str
    share_id: str
    status: str
    tag: str


class InstancePayload(Payload):
    """What every notification about a server says of it."""

    VERSION: ClassVar[str] = '1.9'

    uuid: str
    user_id: str | None
    tenant_id: str | None
    reservation_id: str | None
    display_name: str | None
    display_description: str | None
    host_name: str | None
    host: str | None
    node: str | None
    os_type: str | None
    architecture: str | None
    availability_zone: str | None
    flavor: FlavorPayload
    image_uuid: str | None
    key_name: str | None
    kernel_id: str | None
    ramdisk_id: str | None
    created_at: datetime.datetime | None
    launched_at: datetime.datetime | None
    terminated_at: datetime.datetime | None
    deleted_at: datetime.datetime | None
    updated_at: datetime.datetime | None
    state: str | None
    power_state: str | None
    task_state: str | None
    progress: int | None
    ip_addresses: list[IpPayload]
    block_devices: list[BlockDevicePayload] | None
    shares: list[SharePayload] | None
    metadata: dict[str, str]
    locked: bool
    locked_reason: str | None
    auto_disk_config: str
    request_id: str | None
    action_initiator_user: str | None
    action_initiator_project: str | None


class InstanceActionPayload(InstancePayload):
    VERSION: ClassVar[str] = '1.9'

    fault: ExceptionPayload | None


class InstanceActionVolumePayload(InstanceActionPayload):
    VERSION: ClassVar[str] = '1.7'

    volume_id: str


class InstanceActionVolumeSwapPayload(InstanceActionPayload):
    VERSION: ClassVar[str] = '1.9'

    old_volume_id: str
    new_volume_id: str


class InstanceActionSharePayload(InstanceActionPayload):
    VERSION: ClassVar[str] = '1.0'

    share_id: str


class InstanceActionSnapshotPayload(InstanceActionPayload):
    VERSION: ClassVar[str] = '1.10'

    snapshot_image_id: str


class InstanceActionResizePrepPayload(InstanceActionPayload):
    VERSION: ClassVar[str] = '1.4'

    new_flavor: FlavorPayload | None


class InstanceActionRescuePayload(InstanceActionPayload):
    VERSION: ClassVar[str] = '1.4'

    rescue_image_ref: str | None


class InstanceActionRebuildPayload(InstanceActionPayload):
    VERSION: ClassVar[str] = '1.10'

    trusted_image_certificates: list[str] | None


class InstanceCreatePayload(InstanceActionPayload):
    VERSION: ClassVar[str] = '1.13'

    keypairs: list[KeypairPayload]
    tags: list[str]
    trusted_image_certificates: list[str] | None
    instance_name: str | None


class InstanceStateUpdatePayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    old_state: str | None
    state: str | None
    old_task_state: str | None
    new_task_state: str | None


class AuditPeriodPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    audit_period_beginning: datetime.datetime
    audit_period_ending: datetime.datetime


class InstanceUpdatePayload(InstancePayload):
    VERSION: ClassVar[str] = '2.1'

    state_update: InstanceStateUpdatePayload
    audit_period: AuditPeriodPayload
    old_display_name: str | None
    tags: list[str]


class InstanceExistsPayload(InstancePayload):
    VERSION: ClassVar[str] = '2.1'

    audit_period: AuditPeriodPayload


class VolumeUsagePayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    volume_id: str
    project_id: str | None
    user_id: str | None
    instance_uuid: str | None
    availability_zone: str | None
    last_refreshed: datetime.datetime | None
    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
