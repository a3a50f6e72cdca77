"""A server's volumes in Cinder, as the conductor and the hosts both have to see to them."""

from collections.abc import Sequence

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients.cinder import Cinder, Json
from kilonova.common.objects.block_device import BlockDevice, volumes

LOG = logging.getLogger(__name__)

MARK = 'kilonova_block_device'
"""In the metadata of a volume that was made for a server: which of its devices it is."""


def find_made(client: Cinder, device: BlockDevice) -> Json | None:
    """Return the volume that was made for a device, though nobody may have recorded it."""
    wanted = f"{{'{MARK}': '{device.uuid}'}}"
    found = client.list_volumes(all_tenants=1, metadata=wanted)
    return found[0] if found else None


def release(client: Cinder, server_uuid: str, devices: Sequence[BlockDevice]) -> None:
    """Let go of all volumes of a server, and delete those that end with it.

    It may be begun anew at any point.  Raises FellowServiceError.
    """
    mine = volumes(devices)
    if not mine:
        return
    for attachment in client.attachments_of(server_uuid):
        detach(client, attachment['id'])
    for device in mine:
        if device.delete_on_termination:
            _delete(client, device)


def detach(client: Cinder, attachment_id: str) -> None:
    """Delete an attachment, which may be gone already."""
    try:
        client.delete_attachment(attachment_id)
    except exception.VolumeAttachmentNotFound:
        LOG.info('Attachment %s is gone already', attachment_id)


def _delete(client: Cinder, device: BlockDevice) -> None:
    volume_id = device.volume_id
    if volume_id is None:
        found = find_made(client, device)
        if found is None:
            return
        volume_id = str(found['id'])
    try:
        client.delete_volume(volume_id)
    except exception.VolumeNotFound:
        LOG.info('Volume %s is gone already', volume_id)
    except (exception.InvalidInput, exception.Forbidden) as error:
        # It has snapshots, or another server has it, too: its owner has to decide.
        LOG.warning('Volume %s stays: %s', volume_id, error)
