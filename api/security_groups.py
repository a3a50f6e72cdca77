"""Security groups of a project, passed on from Neutron (up to 2.35)."""

from collections.abc import Callable
from typing import Any

from oslo_utils import uuidutils

from kilonova.api import params, security_group_view
from kilonova.api.faults import Fault
from kilonova.api.operation import Handler, operation
from kilonova.api.policies import OLD_OWNER, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.clients import neutron

LAST = '2.35'
RULE = 'os_compute_api:os-security-groups'
PATH = '/os-security-groups'
GROUPS = 'security-groups'
Json = dict[str, Any]

LIST = params.query(
    {
        'limit': params.values(params.NON_NEGATIVE),
        'offset': params.values(params.NON_NEGATIVE),
        'all_tenants': params.values(params.STRING),
    }
)
_TEXT = {'type': 'string', 'minLength': 0, 'maxLength': 255}
_GROUP = params.obj({'name': _TEXT, 'description': _TEXT}, ['name', 'description'], more=True)
BODY = params.obj({'security_group': _GROUP}, ['security_group'], more=True)


def declare(
    method: str, path: str, name: str, until: str | None = LAST, **more: Any
) -> Callable[[Handler], Handler]:
    """Declare an operation with a rule of security groups."""
    check = PROJECT_READER_OR_ADMIN if method == 'GET' else PROJECT_MEMBER_OR_ADMIN
    return operation(
        method, path, until=until, rule=f'{RULE}:{name}', check=check, replaces=(RULE, OLD_OWNER),
        **more,
    )  # fmt: skip


@declare('GET', PATH, 'get', query=LIST)
def index(request: Request) -> Json:
    """List security groups."""
    client = neutron.client(request.conf, request.context)
    everybody = request.context.is_admin and 'all_tenants' in request.query
    found = client.find(GROUPS, **({} if everybody else {'tenant_id': request.context.project_id}))
    shown = security_group_view.groups(client, found)
    limit, _marker = params.limit_and_marker(request)
    first = params.number(request.query.one('offset'))
    return {'security_groups': shown[first : first + limit]}


@declare('GET', PATH + '/{group_id}', 'show', query=params.ANY_QUERY)
def show(request: Request, group_id: str) -> Json:
    """Show a security group."""
    client = neutron.client(request.conf, request.context)
    return _shown(client, get(client, group_id))


@declare('POST', PATH, 'create', body=BODY)
def create(request: Request, body: Json) -> Json:
    """Create a security group."""
    client = neutron.client(request.conf, request.context)
    try:
        made = client.create(GROUPS, _values(body))
    except exception.NeutronRefused as error:
        if error.kwargs.get('kind') == 'SecurityGroupDefaultAlreadyExists':
            raise exception.Forbidden(str(error)) from error
        raise
    return _shown(client, made)


@declare('PUT', PATH + '/{group_id}', 'update', body=BODY)
def update(request: Request, group_id: str, body: Json) -> Json:
    """Change name and description of a security group."""
    client = neutron.client(request.conf, request.context)
    return _shown(client, client.update(GROUPS, checked(group_id), _values(body)))


@declare('DELETE', PATH + '/{group_id}', 'delete', success=202)
def delete(request: Request, group_id: str) -> None:
    """Delete a security group that no server is in."""
    neutron.client(request.conf, request.context).delete(GROUPS, checked(group_id))


def checked(identifier: str) -> str:
    """Refuse what can be no id before it becomes part of a URL."""
    if not uuidutils.is_uuid_like(identifier):
        raise Fault(400, 'Security group id should be uuid')
    return identifier


def get(client: neutron.Neutron, group_id: str) -> Json:
    """Raises NotFound."""
    missing = exception.NotFound(f'Security group {group_id} does not exist')
    return client.show(GROUPS, checked(group_id), missing)


def _values(body: Json) -> Json:
    return {name: body['security_group'][name] for name in ('name', 'description')}


def _shown(client: neutron.Neutron, group: Json) -> Json:
    return {'security_group': security_group_view.groups(client, [group])[0]}
