"""Reserving volumes for servers that are about to be accepted."""

from collections.abc import Sequence

from oslo_log import log as logging

from kilonova.common import exception, volumes
from kilonova.common.clients.cinder import Cinder
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Parts

LOG = logging.getLogger(__name__)


def reserve_all(parts: Parts, context: Ctx, servers: Sequence[Server]) -> None:
    """Reserve the given volumes of all servers; the devices get their attachments' ids.

    Cinder alone knows whether a volume can be had.  Raises InvalidVolume, InvalidBDMVolume,
    FellowServiceError; ``undo`` is to be called then.
    """
    for server in servers:
        for device in server.block_devices:
            if device.is_given:
                client = parts.volumes(context)
                try:
                    device.attachment_id = reserve(client, device.volume_id or '', server.uuid)
                except exception.VolumeNotFound as error:
                    raise exception.InvalidBDMVolume(id=device.volume_id) from error


def reserve(client: Cinder, volume_id: str, server_uuid: str) -> str:
    """Return the id of a new attachment.  Raises InvalidVolume, VolumeNotFound."""
    try:
        return client.create_attachment(volume_id, server_uuid)
    except exception.InvalidInput as error:
        raise exception.InvalidVolume(reason=error.message) from error


def undo(parts: Parts, uuids: Sequence[str]) -> bool:
    """Let go of all that servers have reserved, known to us or not.

    False: something may be left; the sweep of bookings without a server finds it.
    """
    client = parts.volumes(None)
    try:
        for uuid in uuids:
            for attachment in client.attachments_of(uuid):
                volumes.detach(client, attachment['id'])
    except exception.KilonovaError as error:
        LOG.warning('Volumes of servers %s stay reserved for now: %s', ', '.join(uuids), error)
        return False
    return True
