"""Guests that stand still while the API has Cinder make snapshots of their volumes."""

from oslo_log import log as logging
from oslo_utils import strutils

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Server
from kilonova.conductor import state
from kilonova.conductor.parts import Parts

LOG = logging.getLogger(__name__)

AGENT, REQUIRED = 'hw_qemu_guest_agent', 'os_require_quiesce'


def begin(parts: Parts, context: Ctx, server: Server) -> bool:
    """Tell whether the guest stands still.  Raises Invalid when its image requires it and it does not."""
    if server.vm_state != state.ACTIVE or not server.host:
        return False
    required = _says(server, REQUIRED)
    if not required and not _says(server, AGENT):
        return False  # nobody in there would hear
    try:
        found = parts.compute.at(server.host).quiesce_server(context, server)
    except exception.KilonovaError as error:
        if required:
            raise exception.Invalid(
                f'Quiescing is not supported in instance {server.uuid}: {error.message}'
            ) from error
        LOG.warning('Server %s goes on during its snapshot: %s', server.uuid, error)
        return False
    if required and not found:
        raise exception.Invalid(
            f'Quiescing is not supported in instance {server.uuid}: its host has no way to do it.'
        )
    return bool(found)


def end(parts: Parts, context: Ctx, server: Server) -> None:
    if server.host:
        parts.compute.at(server.host).unquiesce_server(context, server)


def _says(server: Server, name: str) -> bool:
    return strutils.bool_from_string(server.image.properties.get(name, ''))
