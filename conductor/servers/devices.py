"""Block devices of a new server, and what they are called."""

import string
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image

_PREFIX = {'virtio': 'vd', 'scsi': 'sd', 'sata': 'sd', 'usb': 'sd', 'ide': 'hd', 'fdc': 'fd'}
_LETTERS = [
    *string.ascii_lowercase,
    *(a + b for a in string.ascii_lowercase for b in string.ascii_lowercase),
]


def of_flavor(asked: Sequence[BlockDevice], flavor: Flavor) -> list[BlockDevice]:
    """Return the devices asked for, and what the flavor brings that nobody asked for."""
    found = list(asked)
    if flavor.ephemeral_gb and not any(device.is_ephemeral for device in asked):
        found.append(_local(volume_size=flavor.ephemeral_gb))
    if flavor.swap and not any(device.is_swap for device in asked):
        found.append(_local(guest_format='swap'))
    return found


def of_server(devices: Iterable[BlockDevice], flavor: Flavor, image: Image) -> list[BlockDevice]:
    """Return one server's own devices: with ids and names, without those that would be empty."""
    own = []
    for device in devices:
        size = device.volume_size
        if device.is_ephemeral:
            size = size or flavor.ephemeral_gb
        if device.is_ephemeral and not size:
            continue
        if device.is_swap and not flavor.swap:
            continue
        own.append(msgspec.structs.replace(device, uuid=str(uuid.uuid4()), volume_size=size))
    for device in sorted(own, key=_rank):
        if not device.device_name:
            device.device_name = next_name(own, device, image)
    return own


def _rank(device: BlockDevice) -> int:
    """Names are given in this order: root disk, ephemeral disks, swap, volumes."""
    order = (device.is_root, device.is_ephemeral, device.is_swap, True)
    return order.index(True)


def next_name(known: Iterable[BlockDevice], device: BlockDevice, image: Image) -> str:
    """Return the first name that is free for a device on its bus.  Raises TooManyDiskDevices."""
    bus = device.disk_bus or image.properties.get('hw_disk_bus') or 'virtio'
    prefix = '/dev/' + _PREFIX.get(str(bus), 'vd')
    taken = {one.device_name for one in known}
    for letters in _LETTERS:
        if prefix + letters not in taken:
            return prefix + letters
    raise exception.TooManyDiskDevices(maximum=len(_LETTERS))


def _local(volume_size: int | None = None, guest_format: str | None = None) -> BlockDevice:
    return BlockDevice(
        source_type='blank',
        destination_type='local',
        boot_index=-1,
        delete_on_termination=True,
        volume_size=volume_size,
        guest_format=guest_format,
    )
