"""Devices that a guest is told of: those that its owner gave a tag, and shares.

Where they are is asked of the hypervisor whenever it makes a guest, or gives it one more, and
kept with the port or block device, so it goes with it.
"""

from collections.abc import Iterable
from typing import Any

from kilonova.common.metadata.versions import EPOXY, OCATA, ROCKY, reaches
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF
from kilonova.common.objects.place import Place, Places
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import ACTIVE

Json = dict[str, Any]

_BUSES = {'scsi': 'scsi', 'ide': 'ide', 'usb': 'usb', 'xen': 'xen', 'virtio': 'pci'}


def put(places: Places, vifs: Iterable[VIF], devices: Iterable[BlockDevice]) -> None:
    """Note where the guest has what it is told of."""
    for vif in vifs:
        if vif.is_told:
            vif.place = places.get(vif.address.lower())
    for device in devices:
        if device.tag:
            device.place = places.get((device.device_name or '').removeprefix('/dev/'))


def are_told(server: Server) -> bool:
    """Return whether there is a device whose place matters."""
    return any(vif.is_told for vif in server.network_info) or any(
        device.tag for device in server.block_devices
    )


def told(server: Server, version: str) -> list[Json]:
    """Return ``devices`` of meta_data.json."""
    found = [_nic(vif, version) for vif in server.network_info if vif.is_told]
    found += [_disk(device) for device in server.block_devices if device.tag]
    if reaches(version, EPOXY):
        shares = [share for share in server.shares if share.status == ACTIVE]
        found += [{'type': 'share', 'share_id': s.share_id, 'tag': s.tag} for s in shares]
    return found


def _nic(vif: VIF, version: str) -> Json:
    place = vif.place or Place()
    device: Json = {
        'type': 'nic',
        'bus': place.bus,
        'address': place.address,
        'mac': vif.address,
        'tags': [vif.tag] if vif.tag else [],
    }
    if vif.vlan is not None and reaches(version, OCATA):
        device['vlan'] = vif.vlan
    if reaches(version, ROCKY):
        device['vf_trusted'] = vif.profile.get('trusted') in (True, 'true', 'True')
    return device


def _disk(device: BlockDevice) -> Json:
    place = device.place or Place(bus=_BUSES.get(device.disk_bus or '', 'none'))
    found: Json = {
        'type': 'disk',
        'bus': place.bus,
        'address': place.address,
        'tags': [device.tag],
    }
    if device.device_name:
        found['path'] = device.device_name
    if device.volume_id:
        found['serial'] = device.volume_id
    return found
