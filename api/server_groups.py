"""Server groups: servers that are to be on one host, or on different ones."""

from typing import Any

from oslo_utils import uuidutils

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.params import array, obj, values, wrapped
from kilonova.api.policies import ADMIN, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.common import exception
from kilonova.common.objects.server_group import ANTI_AFFINITY, ServerGroup

RULE = 'os_compute_api:os-server-groups:'
ALL_PROJECTS = SoftRule(
    f'{RULE}index:all_projects', ADMIN, 'List the server groups of all projects.'
)
HARD = ('anti-affinity', 'affinity')
SOFT = ('soft-anti-affinity', 'soft-affinity')

Json = dict[str, Any]


def _policies(*allowed: str) -> Schema:
    """Exactly one policy, although it is a list."""
    one = array({}, prefixItems=[{'type': 'string', 'enum': list(allowed)}], uniqueItems=True)
    policies = {**one, 'minItems': 1, 'maxItems': 1}
    fields = {'name': params.NAME, 'policies': policies}
    return wrapped('server_group', obj(fields, ['name', 'policies']))


_POLICY = {
    'name': params.NAME,
    'policy': {'type': 'string', 'enum': [*HARD, *SOFT]},
    'rules': obj({'max_server_per_host': params.POSITIVE}),
}
CREATE = ByVersion(
    {
        '2.0': _policies(*HARD),
        '2.15': _policies(*HARD, *SOFT),
        '2.64': wrapped('server_group', obj(_POLICY, ['name', 'policy'])),
    }
)
LIST = params.query_since_275(
    {
        'all_projects': values(params.STRING),
        'limit': values(params.NON_NEGATIVE),
        'offset': values(params.NON_NEGATIVE),
    }
)


def _view(request: Request, group: ServerGroup) -> Json:
    body: Json = {'id': group.uuid, 'name': group.name, 'members': group.members}
    if request.version >= (2, 64):
        body |= {'policy': group.policy, 'rules': group.rules}
    else:
        body |= {'policies': [group.policy] if group.policy else [], 'metadata': {}}
    if request.version >= (2, 13):
        body |= {'project_id': group.project_id, 'user_id': group.user_id}
    return body


def _get(request: Request, group_id: str) -> ServerGroup:
    """Return a group on which the caller may do the operation; another project's is not found."""
    if not uuidutils.is_uuid_like(group_id):
        raise exception.InstanceGroupNotFound(group_uuid=group_id)
    project_id = None if request.context.is_admin else request.context.project_id
    group = request.conductor.get_server_group(request.context, group_id, project_id)
    request.authorize(project_id=group.project_id)
    return group


@operation('GET', '/os-server-groups', query=LIST, rule=f'{RULE}index',
           check=PROJECT_READER_OR_ADMIN, soft_rules=[ALL_PROJECTS])  # fmt: skip
def index(request: Request) -> Json:
    """List server groups."""
    project_id: str | None = request.context.project_id or ''
    # Who may not see all of them gets his own, as if he had not asked.
    if 'all_projects' in request.query and request.allows(ALL_PROJECTS.name):
        project_id = None
    limit, _marker = params.limit_and_marker(request)
    offset = request.query.one('offset') or '0'
    if len(offset) > 18:  # beyond what a database counts
        return {'server_groups': []}
    groups = request.conductor.list_server_groups(request.context, project_id, limit, int(offset))
    return {'server_groups': [_view(request, group) for group in groups]}


@operation('GET', '/os-server-groups/{server_group_id}', query=params.QUERY_LESS, target='resource',
           rule=f'{RULE}show', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def show(request: Request, server_group_id: str) -> Json:
    """Show a server group."""
    return {'server_group': _view(request, _get(request, server_group_id))}


@operation('POST', '/os-server-groups', body=CREATE, rule=f'{RULE}create',
           check=PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def create(request: Request, body: Json) -> Json:
    """Create a server group."""
    asked = body['server_group']
    policy = asked['policy'] if 'policy' in asked else asked['policies'][0]
    rules = {name: int(value) for name, value in asked.get('rules', {}).items()}
    if rules and policy != ANTI_AFFINITY:
        raise exception.Invalid('Only anti-affinity policy supports rules.')
    group = ServerGroup(
        name=asked['name'],
        project_id=request.context.project_id or '',
        user_id=request.context.user_id or '',
        policy=policy,
        rules=rules,
    )
    created = request.conductor.create_server_group(request.context, group)
    return {'server_group': _view(request, created)}


@operation('DELETE', '/os-server-groups/{server_group_id}', success=204, target='resource',
           rule=f'{RULE}delete', check=PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def delete(request: Request, server_group_id: str) -> None:
    """Delete a server group."""
    group = _get(request, server_group_id)
    request.conductor.delete_server_group(request.context, group.uuid, group.project_id)
