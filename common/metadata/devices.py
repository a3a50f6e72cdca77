"""Devices that a guest is told of: those that its owner gave a tag, and shares."""

from typing import Any

from kilonova.common.metadata.versions import EPOXY, OCATA, ROCKY, reaches
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import ACTIVE

Json = dict[str, Any]

_BUSES = {'scsi': 'scsi', 'ide': 'ide', 'usb': 'usb', 'xen': 'xen', 'virtio': 'pci'}
_UNKNOWN = 'none'
"""What stands for an address that only the hypervisor knows."""


def told(server: Server, version: str) -> list[Json]:
    """Return ``devices`` of meta_data.json."""
    found = [_nic(vif, version) for vif in server.network_info if vif.tag or _vlan(vif) is not None]
    found += [_disk(device) for device in server.block_devices if device.tag]
    if reaches(version, EPOXY):
        shares = [share for share in server.shares if share.status == ACTIVE]
        found += [{'type': 'share', 'share_id': s.share_id, 'tag': s.tag} for s in shares]
    return found


def _nic(vif: VIF, version: str) -> Json:
    device: Json = {
        'type': 'nic',
        'bus': _UNKNOWN,
        'address': _UNKNOWN,
        'mac': vif.address,
        'tags': [vif.tag] if vif.tag else [],
    }
    vlan = _vlan(vif)
    if vlan is not None and reaches(version, OCATA):
        device['vlan'] = vlan
    if reaches(version, ROCKY):
        device['vf_trusted'] = vif.profile.get('trusted') in (True, 'true', 'True')
    return device


def _vlan(vif: VIF) -> int | None:
    """Return the VLAN that a virtual function leaves to its guest."""
    given = vif.details.get('vlan')
    return int(given) if given and vif.vnic_type in ('direct', 'macvtap') else None


def _disk(device: BlockDevice) -> Json:
    found: Json = {
        'type': 'disk',
        'bus': _BUSES.get(device.disk_bus or '', _UNKNOWN),
        'address': _UNKNOWN,
        'tags': [device.tag],
    }
    if device.device_name:
        found['path'] = device.device_name
    if device.volume_id:
        found['serial'] = device.volume_id
    return found
