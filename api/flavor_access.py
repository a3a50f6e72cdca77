"""Which projects may use a flavor that is not public."""

from typing import Any

from kilonova.api import params, projects
from kilonova.api.operation import operation
from kilonova.api.params import obj, wrapped
from kilonova.api.policies import ADMIN, OLD_OWNER
from kilonova.api.request import Request
from kilonova.common import exception

_TENANT = obj({'tenant': {'type': 'string', 'minLength': 1, 'maxLength': 255}}, ['tenant'])


def _rendered(flavor_id: str, projects: list[str]) -> dict[str, Any]:
    return {'flavor_access': [{'flavor_id': flavor_id, 'tenant_id': one} for one in projects]}


@operation('GET', '/flavors/{flavor_id}/os-flavor-access', query=params.QUERY_LESS,
           rule='os_compute_api:os-flavor-access', check=ADMIN,
           replaces=('os_compute_api:os-flavor-access', OLD_OWNER))  # fmt: skip
def index(request: Request, flavor_id: str) -> dict[str, Any]:
    """List the projects that have access to a flavor."""
    flavor = request.conductor.get_flavor(request.context, flavor_id)
    if flavor.is_public:
        raise exception.NotFound('Access list not available for public flavors.')
    return _rendered(flavor_id, flavor.projects)


@operation('POST', '/flavors/{flavor_id}/action', action='addTenantAccess',
           body=wrapped('addTenantAccess', _TENANT),
           rule='os_compute_api:os-flavor-access:add_tenant_access', check=ADMIN)  # fmt: skip
def add(request: Request, flavor_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Give a project access to a flavor."""
    project = body['addTenantAccess']['tenant']
    projects.verify(request, project)
    return _rendered(
        flavor_id, request.conductor.add_flavor_access(request.context, flavor_id, project)
    )


@operation('POST', '/flavors/{flavor_id}/action', action='removeTenantAccess',
           body=wrapped('removeTenantAccess', _TENANT),
           rule='os_compute_api:os-flavor-access:remove_tenant_access', check=ADMIN)  # fmt: skip
def remove(request: Request, flavor_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Take a project's access to a flavor away."""
    project = body['removeTenantAccess']['tenant']
    projects.verify(request, project)
    return _rendered(
        flavor_id, request.conductor.remove_flavor_access(request.context, flavor_id, project)
    )
