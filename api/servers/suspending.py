"""Pause and suspend servers, and let them go on."""

from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='pause',
    rule='os_compute_api:os-pause-server:pause',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('pause', {}),
    success=202,
)
def pause(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Pause a server."""
    server = lookup.get(request, server_id)
    request.conductor.pause_server(request.context, server.uuid)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='unpause',
    rule='os_compute_api:os-pause-server:unpause',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('unpause', {}),
    success=202,
)
def unpause(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Let a paused server go on."""
    server = lookup.get(request, server_id)
    request.conductor.unpause_server(request.context, server.uuid)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='suspend',
    rule='os_compute_api:os-suspend-server:suspend',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('suspend', {}),
    success=202,
)
def suspend(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Suspend a server to disk."""
    server = lookup.get(request, server_id)
    request.conductor.suspend_server(request.context, server.uuid)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='resume',
    rule='os_compute_api:os-suspend-server:resume',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('resume', {}),
    success=202,
)
def resume(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Bring a suspended server back."""
    server = lookup.get(request, server_id)
    request.conductor.resume_server(request.context, server.uuid)
