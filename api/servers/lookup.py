"""Finding the server that a request is about."""

from oslo_utils import uuidutils

from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.objects.server import Server


def get(request: Request, server_id: str, *expand: str) -> Server:
    """Return a server on which the caller may do the operation.

    Raises InstanceNotFound for another project's as for none: only administrators see
    beyond their own project.
    """
    server = request.conductor.get_server(
        request.context, checked(server_id), visible_project(request), list(expand)
    )
    request.authorize(project_id=server.project_id, user_id=server.user_id)
    return server


def shown(request: Request) -> list[str]:
    """Return the parts of a server that the answer needs at every show."""
    return ['block_devices', *(['server_groups'] if request.version.minor >= 71 else [])]


def visible_project(request: Request) -> str | None:
    """Return the project that lookups are limited to; None for administrators."""
    return None if request.context.is_admin else request.context.project_id


def checked(server_id: str) -> str:
    """Refuse what can be no server's id, without asking anybody."""
    if not uuidutils.is_uuid_like(server_id):
        raise exception.InstanceNotFound(instance_id=server_id)
    return server_id
