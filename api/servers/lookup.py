"""Finding the server that a request is about."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from oslo_utils import uuidutils

from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.objects.server import Server


class Owned(Protocol):
    """Whatever is a server's, and says whose that is."""

    project_id: str
    user_id: str


Answer = TypeVar('Answer', bound=Owned)


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


def ask(request: Request, server_id: str, question: Callable[[str, str | None], Answer]) -> Answer:
    """Return an answer that says whose server it is about, when the caller may have it: one call.

    Who may not ask even of a server of his own, or is refused, learns no more than by ``get``.
    """
    uuid, rule = checked(server_id), request.operation.rule
    if rule is not None and not request.allows(rule):
        get(request, uuid)
    try:
        found = question(uuid, visible_project(request))
    except exception.InstanceNotFound:
        raise
    except exception.KilonovaError:
        get(request, uuid)
        raise
    request.authorize(project_id=found.project_id, user_id=found.user_id)
    return found


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
