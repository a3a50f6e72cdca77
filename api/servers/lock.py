"""Lock servers against changes, and unlock them."""

from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion
from kilonova.api.servers import lookup

_REASON = params.obj(
    {'locked_reason': {'type': 'string', 'minLength': 1, 'maxLength': 255}},
    type=['object', 'null'],
)
LOCK = ByVersion({'2.0': params.wrapped('lock', {}), '2.73': params.wrapped('lock', _REASON)})
OVERRIDE = 'os_compute_api:os-lock-server:unlock:unlock_override'


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='lock',
    rule='os_compute_api:os-lock-server:lock',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=LOCK,
    success=202,
)
def lock(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Lock a server; from 2.73 on with the reason."""
    server = lookup.get(request, server_id)
    asked = body['lock'] if request.version >= (2, 73) else None
    request.conductor.lock_server(
        request.context, server.uuid, reason=(asked or {}).get('locked_reason')
    )


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='unlock',
    rule='os_compute_api:os-lock-server:unlock',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('unlock', {}),
    soft_rules=[SoftRule(OVERRIDE, ADMIN, 'Unlock a server that is locked by somebody else.')],
    success=202,
)
def unlock(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Unlock a server."""
    server = lookup.get(request, server_id)
    mine = 'owner' if request.context.project_id == server.project_id else 'admin'
    override = server.locked_by not in (None, mine)
    if override:
        request.can(OVERRIDE, project_id=server.project_id)
    request.conductor.unlock_server(request.context, server.uuid, override=override)
