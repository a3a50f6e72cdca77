"""Which disks a server has: files, buses, device names."""

import dataclasses
import string
from collections.abc import Iterator

from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects import block_device
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.image_props import ImageProps

GIB, MIB = 1024**3, 1024**2
PREFIX = {'virtio': 'vd', 'scsi': 'sd', 'sata': 'sd', 'usb': 'sd', 'ide': 'hd', 'fdc': 'fd'}
PLACES = {'ide': 4, 'fdc': 2}
LETTERS = string.ascii_lowercase


@dataclasses.dataclass(frozen=True)
class PlannedDisk:
    """One disk to be.  ``size`` in bytes; 0 for a root disk means: as the image has it."""

    name: str
    target: str
    bus: str
    device: str = 'disk'
    size: int = 0
    filesystem: str | None = None
    """For ephemeral disks: what was asked for, or None for the default."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """All disks of a server."""

    root: PlannedDisk | None
    ephemeral: list[PlannedDisk]
    swap: PlannedDisk | None
    config_drive: PlannedDisk | None

    @property
    def disks(self) -> list[PlannedDisk]:
        """All of them, in the order of their names."""
        found = [self.root, *self.ephemeral, self.swap, self.config_drive]
        return [disk for disk in found if disk is not None]

    @property
    def buses(self) -> set[str]:
        return {disk.bus for disk in self.disks}


def default_cdrom_bus(arch: str, machine: str | None) -> str:
    """Return the bus of CD drives: q35 has no IDE, other architectures have neither."""
    if arch not in ('x86_64', 'i686'):
        return 'scsi'
    return 'sata' if machine and 'q35' in machine else 'ide'


class _Names:
    """Hands out device names, by the order of asking."""

    def __init__(self, prefix: str | None, taken: set[str]) -> None:
        self._prefix, self._taken = prefix, taken
        self._free: dict[str, Iterator[str]] = {}

    def next(self, bus: str) -> str:
        prefix = self._prefix or PREFIX[bus]
        letters = LETTERS[: PLACES.get(bus, 26)]
        for letter in self._free.setdefault(prefix, iter(letters)):
            if prefix + letter not in self._taken:
                return prefix + letter
        raise exception.InvalidInput(reason=f'There are too many disks on the {bus} bus')


def plan(
    conf: cfg.ConfigOpts,
    server: Server,
    arch: str,
    machine: str | None,
    config_drive: bool,
) -> Layout:
    """Return the disks of a server.  Raises ImageUnacceptable, InvalidInput."""
    props = ImageProps(server.image)
    disk_bus = props.get('hw_disk_bus') or 'virtio'
    cdrom_bus = props.get('hw_cdrom_bus') or default_cdrom_bus(arch, machine)
    taken = {
        (device.device_name or '').removeprefix('/dev/')
        for device in server.block_devices
        if device.is_volume
    }
    names = _Names(conf.libvirt.disk_prefix, taken)
    root = None
    if server.image.id and not block_device.boots_from_volume(server.block_devices):
        root = _root(server, disk_bus, cdrom_bus, names)
    ephemeral = [
        PlannedDisk(
            name=f'disk.eph{number}',
            target=names.next(bus or disk_bus),
            bus=bus or disk_bus,
            size=size * GIB,
            filesystem=kind,
        )
        for number, (size, kind, bus) in enumerate(_ephemeral(server))
    ]
    swap = _swap(server, disk_bus, names)
    drive = None
    if config_drive:
        iso = conf.config_drive_format == 'iso9660'
        bus = cdrom_bus if iso else disk_bus
        drive = PlannedDisk(
            name='disk.config',
            target=names.next(bus),
            bus=bus,
            device='cdrom' if iso else 'disk',
        )
    return Layout(root, ephemeral, swap, drive)


def _root(server: Server, disk_bus: str, cdrom_bus: str, names: _Names) -> PlannedDisk:
    is_iso = server.image.disk_format == 'iso'
    bus = cdrom_bus if is_iso else disk_bus
    return PlannedDisk(
        name='disk',
        target=names.next(bus),
        bus=bus,
        device='cdrom' if is_iso else 'disk',
        size=0 if is_iso else server.flavor.root_gb * GIB,
    )


def _ephemeral(server: Server) -> list[tuple[int, str | None, str | None]]:
    """Return (GiB, file system, bus) of each ephemeral disk."""
    asked = [
        (device.volume_size, device.guest_format, device.disk_bus)
        for device in server.block_devices
        if device.source_type == 'blank'
        and device.destination_type == 'local'
        and device.guest_format != 'swap'
    ]
    if not asked:
        asked = [(server.flavor.ephemeral_gb, None, None)]
    return [(size, kind, bus) for size, kind, bus in asked if size]


def _swap(server: Server, disk_bus: str, names: _Names) -> PlannedDisk | None:
    size, bus = server.flavor.swap, disk_bus
    for device in server.block_devices:
        if device.source_type == 'blank' and device.guest_format == 'swap':
            # Swap alone is counted in MiB, not in GiB.
            size, bus = device.volume_size or size, device.disk_bus or disk_bus
    if not size:
        return None
    return PlannedDisk(name='disk.swap', target=names.next(bus), bus=bus, size=size * MIB)
