"""Set a server's state by hand."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN
from kilonova.api.request import Request
from kilonova.api.servers import lookup

RESET = params.wrapped(
    'os-resetState',
    params.obj({'state': {'type': 'string', 'enum': ['active', 'error']}}, ['state']),
)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='os-resetState',
    rule='os_compute_api:os-admin-actions:reset_state',
    check=ADMIN,
    target='resource',
    body=RESET,
    success=202,
)
def reset_state(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Set a server's state, whatever is going on with it."""
    server = lookup.get(request, server_id)
    request.conductor.reset_server_state(
        request.context, server.uuid, body['os-resetState']['state']
    )
