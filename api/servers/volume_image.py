"""Images of servers that boot from a volume: snapshots of the volumes, and a record that names them."""

import json
from typing import Any

from oslo_log import log as logging

from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.clients import cinder, glance, glance_snapshots
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server

LOG = logging.getLogger(__name__)

Json = dict[str, Any]

# What only the server that was has.
_NOT_KEPT = ('bdm_v2', 'block_device_mapping', 'root_device_name', 'mappings')
_KEPT = (
    'boot_index',
    'destination_type',
    'device_name',
    'device_type',
    'disk_bus',
    'guest_format',
    'delete_on_termination',
    'volume_size',
    'volume_type',
    'tag',
)


def create(request: Request, server: Server, name: str, metadata: dict[str, str]) -> str:
    """Snapshot all volumes and make the image; returns its id.  A failure leaves nothing behind.

    Raises InvalidInput (Cinder refuses a snapshot), Forbidden (quota), FellowServiceError.
    """
    client = cinder.client(request.conf, request.context)
    made: list[str] = []
    try:
        mapping = [
            _kept(device, _snapshot(client, name, device, made))
            for device in server.block_devices
            if device.is_volume or device.source_type == 'blank'
        ]
        return _record(request, server, name, metadata, mapping)
    except exception.KilonovaError:
        for snapshot_id in made:
            _discard(client, snapshot_id)
        raise


def _snapshot(client: cinder.Cinder, name: str, device: BlockDevice, made: list[str]) -> str | None:
    if not device.is_volume:
        return None
    snapshot = client.create_snapshot(
        device.volume_id or '', f'snapshot for {name}', '', force=True
    )
    made.append(str(snapshot['id']))
    return made[-1]


def _kept(device: BlockDevice, snapshot_id: str | None) -> Json:
    """Return a device as an image's property has it."""
    kept: Json = {field: getattr(device, field) for field in _KEPT}
    source = 'snapshot' if snapshot_id else 'blank'
    nothing = {'image_id': None, 'volume_id': None, 'no_device': None}
    return {**kept, 'source_type': source, 'snapshot_id': snapshot_id, **nothing}


def _record(
    request: Request, server: Server, name: str, metadata: dict[str, str], mapping: list[Json]
) -> str:
    conf = request.conf
    properties = {
        **metadata,
        'bdm_v2': 'True',
        'block_device_mapping': json.dumps(mapping),
        'root_device_name': server.root_device_name or '/dev/vda',
    }
    not_kept = [*conf.non_inheritable_image_properties, *_NOT_KEPT]
    record = glance_snapshots.record_of(name, server.image, properties, not_kept)
    image_id = glance_snapshots.create(conf, request.context, record).id
    try:
        glance_snapshots.fill_with_nothing(conf, request.context, image_id)
    except exception.KilonovaError:
        glance.delete_image(conf, request.context, image_id)
        raise
    return image_id


def _discard(client: cinder.Cinder, snapshot_id: str) -> None:
    try:
        client.delete_snapshot(snapshot_id)
    except exception.KilonovaError as error:
        LOG.warning('Snapshot %s is left: %s', snapshot_id, error)
