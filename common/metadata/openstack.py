"""The OpenStack tree: documents, and since which version each is there."""

import base64
import datetime
import secrets
from collections.abc import Sequence
from typing import Any

from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server

Json = dict[str, Any]

FOLSOM = '2012-08-10'
GRIZZLY = '2013-04-04'
HAVANA = '2013-10-17'
LIBERTY = '2015-10-15'
NEWTON_ONE = '2016-06-30'
NEWTON_TWO = '2016-10-06'
OCATA = '2017-02-22'
ROCKY = '2018-08-27'
VICTORIA = '2020-10-14'
EPOXY = '2025-04-04'
LATEST = 'latest'
VERSIONS = (
    FOLSOM,
    GRIZZLY,
    HAVANA,
    LIBERTY,
    NEWTON_ONE,
    NEWTON_TWO,
    OCATA,
    ROCKY,
    VICTORIA,
    EPOXY,
)

META_DATA = 'meta_data.json'
USER_DATA = 'user_data'
PASSWORD = 'password'
VENDOR_DATA = 'vendor_data.json'
NETWORK_DATA = 'network_data.json'
VENDOR_DATA2 = 'vendor_data2.json'
CONTENT = 'content'

# The order is that of a version's listing.
SINCE = {
    META_DATA: FOLSOM,
    USER_DATA: FOLSOM,
    PASSWORD: GRIZZLY,
    VENDOR_DATA: HAVANA,
    NETWORK_DATA: LIBERTY,
    VENDOR_DATA2: NEWTON_TWO,
}

SEED_BYTES = 512
# On which of the guest's buses a disk is, by how it is attached.
BUSES = {'virtio': 'pci', 'scsi': 'scsi', 'ide': 'ide', 'usb': 'usb'}


def versions(today: datetime.date) -> list[str]:
    """Return the versions that a guest is told of: none from the future."""
    return [v for v in VERSIONS if v <= today.isoformat()] + [LATEST]


def reaches(version: str, since: str) -> bool:
    """Tell whether a version (a known one) has what came with ``since``."""
    return version == LATEST or version >= since


def meta_data(
    server: Server,
    version: str,
    hostname: str,
    *,
    files: Sequence[Json] = (),
    admin_password: str | None = None,
) -> Json:
    """Return meta_data.json of one version."""
    found: Json = {'uuid': server.uuid}
    if server.metadata:
        found['meta'] = server.metadata
    if files:
        found['files'] = list(files)
    if admin_password:
        found['admin_pass'] = admin_password
    if server.key_name and server.key_public:
        name, key = server.key_name, server.key_public
        found['public_keys'] = {name: key}
        found['keys'] = [{'name': name, 'type': server.key_type or 'ssh', 'data': key}]
    found['hostname'] = hostname
    found['name'] = server.name
    found['launch_index'] = server.launch_index
    found['availability_zone'] = server.availability_zone
    if reaches(version, GRIZZLY):
        found['random_seed'] = base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()
    if reaches(version, LIBERTY):
        found['project_id'] = server.project_id
    if reaches(version, NEWTON_ONE):
        found['devices'] = _devices(server, version)
    if reaches(version, VICTORIA):
        found['dedicated_cpus'] = []
    return found


def _devices(server: Server, version: str) -> list[Json]:
    """Return the tagged devices; their addresses are not known outside of the hypervisor."""
    return [
        *[_nic(server, vif, version) for vif in server.network_info if vif.tag],
        *[_disk(server, device) for device in server.block_devices if device.tag],
    ]


def _nic(server: Server, vif: VIF, version: str) -> Json:
    model = str(server.image.properties.get('hw_vif_model', 'virtio'))
    device: Json = {
        'type': 'nic',
        'bus': 'usb' if model.startswith('usb') else 'pci',
        'address': 'none',
        'mac': vif.address,
        'tags': [vif.tag],
    }
    if reaches(version, ROCKY):
        device['vf_trusted'] = vif.profile.get('trusted') in (True, 'true', 'True')
    return device


def _disk(server: Server, disk: BlockDevice) -> Json:
    bus = disk.disk_bus or str(server.image.properties.get('hw_disk_bus', 'virtio'))
    device: Json = {'type': 'disk', 'bus': BUSES.get(bus, 'none'), 'address': 'none'}
    if disk.volume_id:
        device['serial'] = disk.volume_id
    if disk.device_name:
        device['path'] = disk.device_name
    return device | {'tags': [disk.tag]}
