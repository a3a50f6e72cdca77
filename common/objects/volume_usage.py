"""How much servers read from and write to their volumes."""

import msgspec


class VolumeCounters(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Requests and bytes of one volume since its guest was started."""

    reads: int = 0
    read_bytes: int = 0
    writes: int = 0
    write_bytes: int = 0


class VolumeUsage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one server does with one volume."""

    volume_id: str
    instance_uuid: str
    project_id: str
    user_id: str
    availability_zone: str | None = None
    counters: VolumeCounters
