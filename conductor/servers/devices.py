"""Block devices of a new server."""

import uuid
from collections.abc import Sequence

import msgspec

from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.server import Server


def of_server(asked: Sequence[BlockDevice], flavor: Flavor) -> list[BlockDevice]:
    """Return one server's own devices: those asked for, and what the flavor brings."""
    found = list(asked)
    blank = [device for device in asked if device.source_type == 'blank']
    has_swap = any(device.guest_format == 'swap' for device in blank)
    has_ephemeral = any(
        device.guest_format != 'swap' and device.destination_type == 'local' for device in blank
    )
    if flavor.ephemeral_gb and not has_ephemeral:
        found.append(_local(volume_size=flavor.ephemeral_gb))
    if flavor.swap and not has_swap:
        found.append(_local(guest_format='swap'))
    return [msgspec.structs.replace(device, uuid=str(uuid.uuid4())) for device in found]


def is_volume_backed(server: Server) -> bool:
    """Tell whether the root disk is a volume."""
    return any(
        device.boot_index == 0 and device.destination_type == 'volume'
        for device in server.block_devices
    )


def _local(volume_size: int | None = None, guest_format: str | None = None) -> BlockDevice:
    return BlockDevice(
        source_type='blank',
        destination_type='local',
        boot_index=-1,
        delete_on_termination=True,
        volume_size=volume_size,
        guest_format=guest_format,
    )
