"""Live migrations of a server that go on: look at them, cancel them, force them to end."""

from typing import Any

from kilonova.api import migration_view as view
from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, PROJECT_MANAGER_OR_ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion
from kilonova.api.servers import lookup
from kilonova.common import exception

PATH = '/servers/{server_id}/migrations'
INDEX = 'os_compute_api:servers:migrations:index'
HOST = f'{INDEX}:host'
QUERY = ByVersion({'2.23': params.ANY_QUERY, '2.102': params.NO_QUERY})

Json = dict[str, Any]


FORCE = params.wrapped('force_complete', {'type': 'null'})


def _number(server_id: str, migration_id: str) -> int:
    """Refuse what can be no migration's id, without asking anybody."""
    if not (migration_id.isascii() and migration_id.isdecimal() and len(migration_id) < 10):
        raise exception.NotFound(
            f'In-progress live migration {migration_id} is not found for server {server_id}.'
        )
    return int(migration_id)


@operation(
    'GET',
    PATH,
    since='2.23',
    rule=INDEX,
    check=PROJECT_MANAGER_OR_ADMIN,
    soft_rules=(
        SoftRule(
            HOST, ADMIN, "Show the hosts with a server's migrations.", (INDEX, policies.ADMIN)
        ),
    ),
    query=QUERY,
)
def index(request: Request, server_id: str) -> Json:
    """List a server's live migrations in progress."""
    found = request.conductor.list_live_migrations(
        request.context, lookup.checked(server_id), lookup.visible_project(request)
    )
    with_hosts = request.allows(HOST)
    return {'migrations': [view.live(request, one, with_hosts) for one in found]}


@operation(
    'GET',
    PATH + '/{migration_id}',
    since='2.23',
    rule='os_compute_api:servers:migrations:show',
    check=ADMIN,
    query=QUERY,
)
def show(request: Request, server_id: str, migration_id: str) -> Json:
    """Show a live migration in progress."""
    found = request.conductor.get_live_migration(
        request.context,
        lookup.checked(server_id),
        _number(server_id, migration_id),
        lookup.visible_project(request),
    )
    return {'migration': view.live(request, found)}


@operation(
    'DELETE',
    PATH + '/{migration_id}',
    since='2.24',
    rule='os_compute_api:servers:migrations:delete',
    check=PROJECT_MANAGER_OR_ADMIN,
    success=202,
)
def delete(request: Request, server_id: str, migration_id: str) -> None:
    """Cancel a live migration."""
    request.conductor.abort_live_migration(
        request.context,
        lookup.checked(server_id),
        _number(server_id, migration_id),
        lookup.visible_project(request),
        request.version.minor >= 65,
    )


@operation(
    'POST',
    PATH + '/{migration_id}/action',
    action='force_complete',
    since='2.22',
    rule='os_compute_api:servers:migrations:force_complete',
    check=PROJECT_MANAGER_OR_ADMIN,
    body=FORCE,
    success=202,
)
def force_complete(
    request: Request, server_id: str, migration_id: str, body: dict[str, Any]
) -> None:
    """Have a live migration come to its end."""
    request.conductor.force_live_migration(
        request.context,
        lookup.checked(server_id),
        _number(server_id, migration_id),
        lookup.visible_project(request),
    )
