"""Volumes in guests: attached, detached, exchanged, grown.

A disk is known by its serial number, which is the volume's id; after an exchange the guest
goes on seeing the old one until it is started again, so its name counts, too, unless another
one of the server's volumes is there.
"""

import os
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects import block_device
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.volume_usage import VolumeCounters
from kilonova.compute.virt.libvirt import hotplug
from kilonova.compute.virt.libvirt.disk.layout import PREFIX
from kilonova.compute.virt.libvirt.guest import Guest, Guests
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.volume import blockjob, brick, drivers
from kilonova.compute.virt.libvirt.volume.encryption import Encryptions
from kilonova.compute.virt.libvirt.volume.secrets import Secrets
from kilonova.compute.virt.libvirt.xml.disk import Disk
from kilonova.compute.virt.libvirt.xml.element import Element, Node

LOG = logging.getLogger(__name__)

HEADROOM = 2068480
"""What QEMU's LUKS header takes of a volume."""
BUSES = {prefix: bus for bus, prefix in reversed(PREFIX.items())}


class Volumes:
    """Those of one host's guests."""

    def __init__(self, host: Host, guests: Guests) -> None:
        self._host, self._guests = host, guests
        secrets = Secrets(host.connection)
        self._ways = drivers.table(host.conf, secrets)
        self._encryptions = Encryptions(host.conf, secrets)

    def connector(self, host: str) -> dict[str, Any]:
        return brick.properties(self._host.conf, host)

    # -- reaching them

    def connect(self, server: Server, device: BlockDevice) -> Disk:
        """Make a volume reachable; returns its <disk>.  Raises VirtDriverError."""
        way, data = self._way(device)
        target, bus = place(server, device)
        disk = way.connect(data, {'target': target, 'bus': bus})
        disk.device = device.device_type or 'disk'
        disk.serial = device.volume_id
        disk.shareable = device.multiattach
        disk.readonly = data.get('access_mode') == 'ro' or disk.device == 'cdrom'
        for name, value in (data.get('qos_specs') or {}).items():
            if hasattr(disk, name) and name.endswith('_sec'):
                setattr(disk, name, str(value))
        if data.get('encryption'):
            try:
                self._encryptions.add(device, data['encryption'], disk)
            except Exception:
                way.disconnect(data)
                raise
        return disk

    def connect_all(self, server: Server) -> list[Disk]:
        """The same for all volumes; none stays connected when one cannot be."""
        done: list[BlockDevice] = []
        disks = []
        try:
            for device in block_device.volumes(server.block_devices):
                disks.append(self.connect(server, device))
                done.append(device)
        except exception.KilonovaError:
            for device in done:
                self.disconnect(device)
            raise
        return disks

    def disconnect(self, device: BlockDevice) -> None:
        """Let go of a volume; one that never was connected is none of ours."""
        if not device.connection_info:
            return
        way, data = self._way(device)
        way.disconnect(data)
        if data.get('encryption'):
            self._encryptions.forget(device)

    def disconnect_all(self, server: Server) -> None:
        """All are tried.  Raises VirtDriverError."""
        failed = []
        for device in block_device.volumes(server.block_devices):
            try:
                self.disconnect(device)
            except exception.VirtDriverError as error:
                failed.append(f'{device.volume_id} ({error.message})')
        if failed:
            raise exception.VirtDriverError(
                reason=f'These volumes could not be disconnected: {", ".join(failed)}'
            )

    def nodes(self, server: Server, domain: Node) -> list[Node]:
        """Return the disks of a domain that are the server's volumes."""
        found = [finder(server, one)(domain) for one in block_device.volumes(server.block_devices)]
        return [node for node in found if node is not None]

    # -- in guests

    def attach(self, server: Server, device: BlockDevice) -> None:
        guest = self._guests.find(server.uuid)
        disk = self.connect(server, device)
        try:
            hotplug.attach(guest, disk, finder(server, device))
        except exception.KilonovaError:
            self.disconnect(device)
            raise

    def detach(self, server: Server, device: BlockDevice) -> None:
        guest = self._guests.find(server.uuid)
        hotplug.detach(self._host.conf, guest, finder(server, device))
        self.disconnect(device)

    def swap(self, server: Server, old: BlockDevice, new: BlockDevice) -> None:
        """Copy while the guest goes on; what fails leaves it with the old volume."""
        guest = self._guests.find(server.uuid)
        new.device_name, new.disk_bus = old.device_name, old.disk_bus
        disk = self.connect(server, new)
        try:
            target = self._target(guest, server, old)
            disk.target = target
            if not guest.is_active():
                raise exception.VirtDriverError(reason='Only a running guest can copy a volume.')
            blockjob.copy(guest, target, disk)
        except exception.KilonovaError:
            self.disconnect(new)
            raise
        self._remember(guest, server, old, disk)
        self.disconnect(old)

    def _remember(self, guest: Guest, server: Server, old: BlockDevice, disk: Disk) -> None:
        """Let the next start have the new disk."""
        node = finder(server, old)(guest.xml())
        if node is not None:
            guest.detach_device(hotplug.text(node), live=False, config=True)
        guest.attach_device(disk.to_xml(), live=False, config=True)

    def extend(self, server: Server, device: BlockDevice, size: int) -> None:
        guest = self._guests.find(server.uuid)
        way, data = self._way(device)
        way.extend(data)
        if guest.is_active():
            encrypted = HEADROOM if data.get('encryption') else 0
            guest.resize_block_device(self._target(guest, server, device), size - encrypted)

    def counters(self, server: Server, device: BlockDevice) -> VolumeCounters | None:
        """Return what a running guest has done with a volume."""
        guest = self._guests.find(server.uuid)
        if not guest.is_active():
            return None
        counted = guest.disk_counters(self._target(guest, server, device))
        # What a kind of disk does not count is -1.
        reads, read, writes, written = (max(number, 0) for number in counted[:4])
        return VolumeCounters(reads=reads, read_bytes=read, writes=writes, write_bytes=written)

    # -- snapshots that Cinder cannot make alone

    def create_snapshot(self, server: Server, volume_id: str, info: dict[str, Any]) -> None:
        guest, device = self._guests.find(server.uuid), _device(server, volume_id)
        node = finder(server, device)(guest.live_xml())
        current = None if node is None else node.find('source')
        if current is None or not current.get('file'):
            raise exception.VirtDriverError(
                reason=f'Volume {volume_id} is no file, so the guest cannot help with a snapshot.'
            )
        path = os.path.join(os.path.dirname(str(current.get('file'))), info['new_file'])
        if current.get('file') != path:
            target = self._target(guest, server, device)
            blockjob.snapshot(guest, {target: path}, quiesce=_quiesces(server))

    def delete_snapshot(self, server: Server, volume_id: str, info: dict[str, Any]) -> None:
        guest, device = self._guests.find(server.uuid), _device(server, volume_id)
        if not guest.is_active():
            raise exception.VirtDriverError(
                reason='Only a running guest can merge the files of a volume.'
            )
        target = self._target(guest, server, device)
        top, base = info['file_to_merge'], info.get('merge_target_file')
        blockjob.merge(guest, target, top, base)

    # -- how

    def _way(self, device: BlockDevice) -> tuple[drivers.Way, dict[str, Any]]:
        info = device.connection_info
        if not info:
            raise exception.VirtDriverError(reason=f'Volume {device.volume_id} is not connected.')
        kind = str(info.get('driver_volume_type'))
        way = self._ways.get(kind)
        if way is None:
            raise exception.VirtDriverError(
                reason=f'Volumes of type {kind} are not supported ({device.volume_id}).'
            )
        return way, info.get('data') or info

    @staticmethod
    def _target(guest: Guest, server: Server, device: BlockDevice) -> str:
        xml = guest.live_xml() if guest.is_active() else guest.xml()
        node = finder(server, device)(xml)
        target = None if node is None else node.find('target')
        if target is None:
            raise exception.VirtDriverError(
                reason=f'The guest does not have volume {device.volume_id}.'
            )
        return str(target.get('dev'))


def arranged(server: Server, local: Sequence[Element], volumes: Sequence[Disk]) -> list[Element]:
    """Return all disks, that first which the guest is to boot from."""
    root = block_device.root(server.block_devices)
    first = [one for one in volumes if root is not None and one.serial == root.volume_id]
    return [*first, *local, *(one for one in volumes if one not in first)]


def place(server: Server, device: BlockDevice) -> tuple[str, str]:
    """Return device name and bus: as recorded, else by the name."""
    name = (device.device_name or '').removeprefix('/dev/')
    if not name:
        raise exception.VirtDriverError(reason=f'Volume {device.volume_id} has no device name.')
    props = ImageProps(server.image)
    by_name = BUSES.get(name[:2], 'virtio')
    wanted = device.disk_bus or props.get('hw_disk_bus') or by_name
    # A bus whose names are others would give the guest another name than the recorded one.
    return name, wanted if PREFIX.get(wanted) == name[:2] else by_name


def finder(server: Server, device: BlockDevice) -> hotplug.Find:
    """Return what finds a volume's <disk> in a domain."""
    others = {
        one.volume_id
        for one in block_device.volumes(server.block_devices)
        if one.volume_id != device.volume_id
    }
    name = (device.device_name or '').removeprefix('/dev/')

    def find(domain: Node) -> Node | None:
        disks = domain.findall('devices/disk')
        for disk in disks:
            if disk.findtext('serial') == device.volume_id:
                return disk
        for disk in disks:
            target, serial = disk.find('target'), disk.findtext('serial')
            if serial and serial not in others and target is not None:
                if target.get('dev') == name:
                    return disk
        return None

    return find


def _device(server: Server, volume_id: str) -> BlockDevice:
    for device in block_device.volumes(server.block_devices):
        if device.volume_id == volume_id:
            return device
    raise exception.VirtDriverError(reason=f'The server does not have volume {volume_id}.')


def _quiesces(server: Server) -> bool:
    props = ImageProps(server.image)
    return props.flag('hw_qemu_guest_agent') and props.flag('os_require_quiesce')
