"""Reserving volumes for servers that are about to be accepted."""

import contextlib
from collections.abc import Iterator, Sequence

from oslo_log import log as logging

from kilonova.common import exception, volumes
from kilonova.common.clients.cinder import Cinder
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Parts

LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def reserved(parts: Parts, context: Ctx, servers: Sequence[Server]) -> Iterator[None]:
    """Reserve the given volumes of all servers; when the body fails, they are free again.

    Cinder alone knows whether a volume can be had; the devices get their attachments' ids.
    Raises InvalidVolume, InvalidBDMVolume.
    """
    given = [(server, device) for server in servers for device in server.block_devices
             if device.is_given]  # fmt: skip
    if not given:
        yield
        return
    client = parts.volumes(context)
    made: list[str] = []
    try:
        for server, device in given:
            assert device.volume_id is not None
            device.attachment_id = reserve(client, device.volume_id, server.uuid)
            made.append(device.attachment_id)
        yield
    except Exception:
        _give_back(parts, made)
        raise


def reserve(client: Cinder, volume_id: str, server_uuid: str) -> str:
    """Return the id of a new attachment.  Raises InvalidVolume, InvalidBDMVolume."""
    try:
        return client.create_attachment(volume_id, server_uuid)
    except exception.InvalidInput as error:
        raise exception.InvalidVolume(reason=error.message) from error
    except exception.VolumeNotFound as error:
        raise exception.InvalidBDMVolume(id=volume_id) from error


def _give_back(parts: Parts, attachments: Sequence[str]) -> None:
    client = parts.volumes(None)
    for attachment_id in attachments:
        try:
            volumes.detach(client, attachment_id)
        except exception.KilonovaError as error:
            # The sweep of bookings without a server finds it.
            LOG.warning('Attachment %s stays for now: %s', attachment_id, error)
