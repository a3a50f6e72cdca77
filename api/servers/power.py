"""Start, stop and reboot servers."""

from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup

REBOOT = params.wrapped(
    'reboot',
    params.obj({'type': {'enum': ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']}}, ['type']),
)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='os-start',
    rule='os_compute_api:servers:start',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('os-start', {}),
    success=202,
)
def start(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Start a server."""
    server = lookup.get(request, server_id)
    request.conductor.start_server(request.context, server.uuid)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='os-stop',
    rule='os_compute_api:servers:stop',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('os-stop', {}),
    success=202,
)
def stop(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Stop a server."""
    server = lookup.get(request, server_id)
    request.conductor.stop_server(request.context, server.uuid)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='reboot',
    rule='os_compute_api:servers:reboot',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=REBOOT,
    success=202,
)
def reboot(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Reboot a server."""
    server = lookup.get(request, server_id)
    kind = body['reboot']['type'].upper()
    request.conductor.reboot_server(request.context, server.uuid, kind)
