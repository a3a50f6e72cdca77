"""Block devices of a create request, as they are written in the body.

Three forms become one: ``block_device_mapping_v2``, its predecessor (which names no sources
but has ``volume_id``, ``snapshot_id`` or a ``virtual_name``), and what an image of volume
snapshots says of itself in its properties.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from oslo_utils import strutils

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice, root
from kilonova.common.objects.image import Image

Json = dict[str, Any]

ROOT_NAME = 'vda'
_BUSES = frozenset(('fdc', 'ide', 'lxc', 'sata', 'scsi', 'uml', 'usb', 'virtio', 'xen'))
_VIRTUAL = re.compile(r'swap|ephemeral\d+')


def read(asked: Json) -> tuple[str | None, list[BlockDevice], bool]:
    """Return the image's id (None: there is none), the devices, and whether they are of the old form.

    Raises InvalidBDM kinds.
    """
    old, new = asked.get('block_device_mapping'), asked.get('block_device_mapping_v2')
    if old and new:
        raise exception.Invalid(
            'Using different block_device_mapping syntaxes is not allowed in the same request.'
        )
    image_id = asked.get('imageRef') or None
    if new:
        return image_id, [_read(entry, 'imageRef' in asked) for entry in new], False
    return image_id, [_read_old(entry) for entry in old or ()], True


def combine(image: Image | None, devices: list[BlockDevice], old: bool) -> list[BlockDevice]:
    """Put together what the request and the image say, and the image itself as the root disk."""
    root_name = _root_name(image)
    if image is not None and not old:
        _check_root_name(devices, root_name)
    of_image = _of_image(image, root_name) if image else []
    image_has_root = root(of_image) is not None
    if old:
        has_root = _find_root(devices, root_name)
        if image is not None and not has_root and not image_has_root:
            devices = [_root_disk(image), *devices]
    elif image_has_root:
        # Clients put the image itself into the list, which its own root takes the place of.
        devices = [one for one in devices if not (one.is_root and one.source_type == 'image')]
    names = {one.device_name for one in devices if one.device_name}
    devices = devices + [one for one in of_image if one.device_name not in names]
    return [one for one in devices if not one.no_device]


def check(devices: Iterable[BlockDevice]) -> None:
    """Refuse what can be seen without asking anybody.  Raises InvalidBDM kinds."""
    devices = list(devices)
    indexes = sorted(
        d.boot_index for d in devices if d.boot_index is not None and d.boot_index >= 0
    )
    if not indexes or indexes != list(range(len(indexes))):
        raise exception.InvalidBDMBootSequence()
    for device in devices:
        if device.is_volume and not device.volume_size:
            if device.source_type == 'image':
                raise exception.InvalidBDM(
                    "Images with destination_type 'volume' need to have a non-zero size specified"
                )
            if device.source_type == 'blank':
                raise exception.InvalidBDM(
                    "Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size"
                )
        if device.disk_bus and device.disk_bus not in _BUSES:
            raise exception.InvalidBDMDiskBus(disk_bus=device.disk_bus)
    if sum(device.is_swap for device in devices) > 1:
        raise exception.InvalidBDMFormat(details='More than one swap drive requested.')
    tags = [device.tag for device in devices if device.tag]
    if len(tags) != len(set(tags)):
        raise exception.Invalid('Tags for block devices must be unique.')


# -- the present form


def _read(entry: Json, has_image: bool) -> BlockDevice:
    if strutils.bool_from_string(entry.get('no_device')):
        return BlockDevice(no_device=True, device_name=_path(entry.get('device_name')))
    source, uuid = entry.get('source_type'), entry.get('uuid')
    if source is None:
        raise exception.InvalidBDMFormat(details='Some required fields are missing')
    if 'virtual_name' in entry:
        raise exception.InvalidBDMFormat(details='Some fields are invalid.')
    if source == 'blank' and uuid:
        raise exception.InvalidBDMFormat(details='Invalid device UUID.')
    if source != 'blank' and not uuid:
        raise exception.InvalidBDMFormat(details='Missing device UUID.')
    device = _device(entry, {f'{source}_id': uuid} if source != 'blank' else {})
    _check_combination(device, has_image)
    return device


def _check_combination(device: BlockDevice, has_image: bool) -> None:
    source = device.source_type
    if source in ('volume', 'snapshot') and not device.is_volume:
        raise exception.InvalidBDMFormat(details=f'Mapping {source} to local is not supported.')
    if source == 'image' and not device.is_volume and not (has_image and device.is_root):
        raise exception.InvalidBDMFormat(details='Mapping image to local is not supported.')
    if not device.volume_type:
        return
    if not device.is_volume:
        raise exception.InvalidBDMFormat(
            details='Specifying a volume_type with destination_type=local is not supported.'
        )
    if source == 'volume':
        raise exception.InvalidBDMFormat(
            details='Specifying volume type to existing volume is not supported.'
        )


def _device(entry: Json, source: Json) -> BlockDevice:
    kind = str(entry['source_type'])
    destination = entry.get('destination_type')
    if destination is None:
        destination = 'local' if kind in ('blank', 'image') else 'volume'
    local = destination == 'local'
    return BlockDevice(
        source_type=kind,
        destination_type=destination,
        device_type=entry.get('device_type') or 'disk',
        disk_bus=entry.get('disk_bus') or None,
        device_name=_path(entry.get('device_name')),
        boot_index=_boot_index(entry.get('boot_index')),
        guest_format=entry.get('guest_format') or None,
        volume_size=_size(entry.get('volume_size')),
        volume_type=entry.get('volume_type') or None,
        # What is local ends with its server, whatever is asked for.
        delete_on_termination=local
        or strutils.bool_from_string(entry.get('delete_on_termination', False)),
        tag=entry.get('tag'),
        **source,
    )


def _size(value: Any) -> int | None:
    return int(value) if value not in (None, '') else None


def _boot_index(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except ValueError:  # it has more digits than int() takes
        raise exception.InvalidBDMFormat(details='Boot index is invalid.') from None


def _path(name: str | None) -> str | None:
    """Return a device's name with its directory, as it is shown."""
    if not name:
        return None
    return name if name.startswith('/dev/') else f'/dev/{name}'


# -- the old form


def _read_old(entry: Json) -> BlockDevice:
    virtual = entry.get('virtual_name') or ''
    if _VIRTUAL.fullmatch(virtual):
        source: Json = {
            'source_type': 'blank',
            'guest_format': 'swap' if virtual == 'swap' else None,
        }
    elif entry.get('snapshot_id'):
        source = {'source_type': 'snapshot', 'snapshot_id': entry['snapshot_id']}
    elif entry.get('volume_id'):
        source = {'source_type': 'volume', 'volume_id': entry['volume_id']}
    elif entry.get('no_device'):
        return BlockDevice(no_device=True, device_name=_path(entry.get('device_name')))
    else:
        raise exception.InvalidBDMFormat(details='Unrecognized legacy format.')
    local = source['source_type'] == 'blank'
    return BlockDevice(
        destination_type='local' if local else 'volume',
        boot_index=-1,
        device_name=_path(entry.get('device_name')),
        volume_size=_size(entry.get('volume_size')),
        delete_on_termination=local
        or strutils.bool_from_string(entry.get('delete_on_termination', False)),
        **source,
    )


def _find_root(devices: list[BlockDevice], root_name: str) -> bool:
    """Mark the device whose name is that of the root; only names tell in the old form."""
    for device in devices:
        if device.is_volume and device.device_name == root_name:
            device.boot_index = 0
            return True
    return False


# -- what an image says of itself


def _of_image(image: Image, root_name: str) -> list[BlockDevice]:
    properties = image.properties
    entries = _list(properties, 'block_device_mapping')
    try:
        if strutils.bool_from_string(properties.get('bdm_v2', False)):
            found = [_read_kept(entry) for entry in entries]
        else:
            found = [_read_old(entry) for entry in entries]
            _find_root(found, root_name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise exception.InvalidBDMFormat(
            details=f'Image {image.id} has a block_device_mapping that cannot be read.'
        ) from error
    names = {device.device_name for device in found}
    virtual = [
        _read_old({'virtual_name': entry['virtual'], 'device_name': entry.get('device')})
        for entry in _list(properties, 'mappings')
        if _VIRTUAL.fullmatch(str(entry.get('virtual')))
    ]
    return found + [device for device in virtual if device.device_name not in names]


def _read_kept(entry: Json) -> BlockDevice:
    """Read a device as we wrote it when the image was made of a server."""
    kind = str(entry['source_type'])
    if strutils.bool_from_string(entry.get('no_device')):
        return BlockDevice(no_device=True, device_name=_path(entry.get('device_name')))
    source = {f'{kind}_id': str(entry[f'{kind}_id'])} if kind != 'blank' else {}
    return _device(entry, source)


def _list(properties: Json, name: str) -> list[Json]:
    """Return a property that is a list of objects; Glance keeps it as text."""
    value = properties.get(name) or []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise exception.InvalidBDMFormat(details=f'The image property {name} is no list.')
    return value


def _root_name(image: Image | None) -> str:
    name = image.properties.get('root_device_name') if image else None
    return _path(str(name) if name else ROOT_NAME) or ''


def _check_root_name(devices: list[BlockDevice], root_name: str) -> None:
    for device in devices:
        if device.is_volume and device.device_name == root_name:
            raise exception.Invalid(
                'The volume cannot be assigned the same device name as the root device '
                f'{root_name.removeprefix("/dev/")}'
            )


def _root_disk(image: Image) -> BlockDevice:
    return BlockDevice(boot_index=0, image_id=image.id, delete_on_termination=True)
