"""Block device mappings."""

from collections.abc import Iterable
from typing import Any

import msgspec

from kilonova.common.objects.place import Place


class BlockDevice(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One disk of a server; words as in ``block_device_mapping_v2``.

    Size in GiB, that of swap in MiB.  ``connection_info`` is Cinder's, for the host alone: it may
    hold secrets.  ``host`` is the one that it was made for.
    ``place`` is kept of tagged ones.
    """

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
    multiattach: bool = False
    host: str | None = None
    place: Place | None = None

    @property
    def is_volume(self) -> bool:
        return self.destination_type == 'volume'

    @property
    def is_root(self) -> bool:
        return self.boot_index == 0

    @property
    def is_swap(self) -> bool:
        return self.source_type == 'blank' and self.guest_format == 'swap'

    @property
    def is_ephemeral(self) -> bool:
        return self.source_type == 'blank' and not self.is_volume and not self.is_swap

    @property
    def is_given(self) -> bool:
        """Whether the volume was there before the server."""
        return self.is_volume and self.source_type == 'volume'


def volumes(devices: Iterable[BlockDevice]) -> list[BlockDevice]:
    """Return the devices that are (or become) volumes."""
    return [device for device in devices if device.is_volume]


def root(devices: Iterable[BlockDevice]) -> BlockDevice | None:
    return next((device for device in devices if device.is_root), None)


def boots_from_volume(devices: Iterable[BlockDevice]) -> bool:
    """Tell whether the root disk is a volume."""
    found = root(devices)
    return found is not None and found.is_volume
