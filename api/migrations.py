"""Moves of servers, of all projects that the caller may see."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import migration_view as view
from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion
from kilonova.api.servers import times
from kilonova.common.objects.migration import MigrationQuery

INDEX = 'os_compute_api:os-migrations:index'
ALL_PROJECTS = f'{INDEX}:all_projects'
HOST = f'{INDEX}:host'
SOFT = (
    SoftRule(ALL_PROJECTS, ADMIN, 'List the migrations of all projects.', (INDEX, ADMIN)),
    SoftRule(HOST, ADMIN, 'Show the hosts with migrations.', (INDEX, ADMIN)),
)
WORDS = ('instance_uuid', 'host', 'source_compute', 'status', 'migration_type')
TIME = {'type': 'string', 'format': 'date-time'}
_FILTERS = {name: params.values(params.STRING) for name in ('hidden', *WORDS)}
_259 = {
    **_FILTERS,
    'limit': params.single(params.NON_NEGATIVE),
    'marker': params.single(params.STRING),
    times.SINCE: params.single(TIME),
}
_266 = {**_259, times.BEFORE: params.single(TIME)}
_OWNERS = ('user_id', 'project_id')
_280 = {**_266, **{name: params.single(params.STRING) for name in _OWNERS}}
QUERY = ByVersion(
    {
        '2.0': params.query(_FILTERS),
        '2.59': params.query(_259, more=False),
        '2.66': params.query(_266, more=False),
        '2.80': params.query(_280, more=False),
    }
)


@operation(
    'GET',
    '/os-migrations',
    rule=INDEX,
    check=policies.PROJECT_MANAGER_OR_ADMIN,
    soft_rules=SOFT,
    query=QUERY,
)
def index(request: Request) -> dict[str, Any]:
    """List migrations."""
    query = MigrationQuery(filters=_filters(request))
    paged = request.version.minor >= 59
    if paged:
        query.changes_since, query.changes_before = times.changes(
            request, before=request.version.minor >= 66
        )
        query.limit, query.marker = params.limit_and_marker(request)
    found = request.conductor.list_migrations(request.context, query)
    render = view.renderer(request, with_hosts=request.allows(HOST))
    shown: dict[str, Any] = {'migrations': [render(one) for one in found]}
    if paged:
        more = params.next_page(request, 'os-migrations', [one.uuid for one in found])
        if more:
            shown['migrations_links'] = more
    return shown


def _filters(request: Request) -> dict[str, Any]:
    """Return what is asked for, limited to the caller's project unless he may see all."""
    found: dict[str, Any] = {}
    owners = _OWNERS if request.version.minor >= 80 else ()
    for name in (*WORDS, *owners):
        value = request.query.one(name)
        if value:
            found[name] = value
    hidden = request.query.one('hidden')
    if hidden:
        found['hidden'] = strutils.bool_from_string(hidden)
    if found.get('project_id', request.context.project_id) != request.context.project_id:
        request.can(ALL_PROJECTS)
    elif not request.allows(ALL_PROJECTS):
        found['project_id'] = request.context.project_id
    return found
