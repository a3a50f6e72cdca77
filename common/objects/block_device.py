"""Block device mappings."""

from typing import Any

import msgspec


class BlockDevice(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One disk of a server; words as in ``block_device_mapping_v2``.  Size in GiB."""

    id: int = 0
    uuid: str | None = None
    source_type: str = 'image'
    destination_type: str = 'local'
    device_type: str | None = 'disk'
    disk_bus: str | None = None
    device_name: str | None = None
    boot_index: int | None = None
    guest_format: str | None = None
    volume_size: int | None = None
    volume_id: str | None = None
    volume_type: str | None = None
    snapshot_id: str | None = None
    image_id: str | None = None
    delete_on_termination: bool = False
    no_device: bool = False
    tag: str | None = None
    attachment_id: str | None = None
    connection_info: dict[str, Any] | None = None
