"""Show a server."""

from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup, view

RULE = 'os_compute_api:servers:show'


@operation(
    'GET',
    '/servers/{server_id}',
    until='2.101',
    rule=RULE,
    check=policies.PROJECT_READER_OR_ADMIN,
    target='resource',
    soft_rules=view.RULES,
    query=params.ANY_QUERY,
)
@operation(
    'GET',
    '/servers/{server_id}',
    since='2.102',
    rule=RULE,
    check=policies.PROJECT_READER_OR_ADMIN,
    target='resource',
    soft_rules=view.RULES,
    query=params.NO_QUERY,
)
def show(request: Request, server_id: str) -> dict[str, Any]:
    """Show a server."""
    expand = lookup.shown(request)
    if view.wants_host_status(request):
        expand.append('host_status')
    if request.version.minor >= 69:
        expand.append('unreachable')
    server = lookup.get(request, server_id, *expand)
    return {'server': view.renderer(request)(server)}
