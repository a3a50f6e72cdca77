"""The root disk of a new server.

Volumes are not served yet: a block device that needs one is refused, and the message
names the field.
"""

from typing import Any

from kilonova.api.faults import Fault
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server

Json = dict[str, Any]
_FIELD = 'block_device_mapping_v2'


def is_volume(server: Server) -> bool:
    """Tell whether a server boots from a volume."""
    return any(
        device.boot_index == 0 and device.destination_type == 'volume'
        for device in server.block_devices
    )


def read(asked: Json) -> tuple[str | None, list[BlockDevice]]:
    """Return the id of the image to boot (None: there is none) and the root disk."""
    if asked.get('block_device_mapping'):
        raise Fault(400, 'block_device_mapping: volumes are not supported yet')
    image_id = asked.get('imageRef') or None
    entries = asked.get(_FIELD) or []
    if not entries:
        return image_id, [_device({}, image_id)] if image_id else []
    if len(entries) > 1:
        raise Fault(400, f'{_FIELD}[1]: only the root disk is supported yet')
    entry = entries[0]
    _check(entry)
    source = entry.get('uuid') or entry.get('image_id')
    if image_id and source and source != image_id:
        raise Fault(400, f'{_FIELD}[0].uuid: it must be the image of imageRef')
    return image_id or source, [_device(entry, image_id or source)]


def _check(entry: Json) -> None:
    """Only ``image`` to ``local`` with boot index 0 works now."""
    if entry.get('source_type') != 'image':
        raise Fault(400, f"{_FIELD}[0].source_type: only 'image' is supported yet")
    if entry.get('destination_type', 'local') != 'local':
        raise Fault(400, f"{_FIELD}[0].destination_type: only 'local' is supported yet")
    index = entry.get('boot_index')
    # Zero, however it is written; int() refuses thousands of digits.
    if index is None or str(index).strip().strip('-0'):
        raise Fault(400, f'{_FIELD}[0].boot_index: an image on a local disk must have 0')
    for field in ('volume_id', 'snapshot_id', 'volume_size', 'volume_type', 'no_device'):
        if entry.get(field):
            raise Fault(400, f'{_FIELD}[0].{field}: volumes are not supported yet')


def _device(entry: Json, image_id: str | None) -> BlockDevice:
    return BlockDevice(
        source_type='image',
        destination_type='local',
        device_type=entry.get('device_type') or 'disk',
        disk_bus=entry.get('disk_bus'),
        device_name=entry.get('device_name'),
        boot_index=0,
        image_id=image_id,
        delete_on_termination=True,
        tag=entry.get('tag'),
    )
