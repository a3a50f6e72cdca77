"""Payloads about flavors, key pairs, server groups and volumes."""

import datetime
from typing import ClassVar

from kilonova.common.notifications.payload import Payload


class FlavorPayload(Payload):
    VERSION: ClassVar[str] = '1.4'

    flavorid: str | None
    memory_mb: int | None
    vcpus: int | None
    root_gb: int | None
    ephemeral_gb: int | None
    name: str
    swap: int
    rxtx_factor: float | None
    vcpu_weight: int | None
    disabled: bool
    is_public: bool
    extra_specs: dict[str, str] | None
    projects: list[str] | None
    description: str | None


class KeypairPayload(Payload):
    VERSION: ClassVar[str] = '1.0'

    user_id: str | None
    name: str
    fingerprint: str | None
    public_key: str | None
    type: str


class ServerGroupPayload(Payload):
    VERSION: ClassVar[str] = '1.1'

    uuid: str
    name: str | None
    user_id: str | None
    project_id: str | None
    policies: list[str] | None
    members: list[str] | None
    hosts: list[str] | None
    policy: str | None
    rules: dict[str, str]


class VolumeUsagePayload(Payload):
    """What one volume has moved since it was first attached to a server."""

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
