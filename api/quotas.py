"""Quotas of a project, or of one user in it."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params, projects, quota_fields
from kilonova.api.operation import operation
from kilonova.api.params import obj, values, wrapped
from kilonova.api.policies import ADMIN, ANY, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.api.versions import Version
from kilonova.common.objects.quota import QuotaSet

USER = params.query_since_275({'user_id': values(params.STRING)})


def _update(version: Version) -> Schema:
    fields = {name: quota_fields.LIMIT for name in quota_fields.of_sets(version)}
    return wrapped('quota_set', obj({**fields, 'force': params.BOOLEAN}))


UPDATE = ByVersion(
    {
        '2.0': _update(Version(2, 1)),
        '2.36': _update(Version(2, 36)),
        '2.57': _update(Version(2, 57)),
    }
)


def _user(request: Request) -> str | None:
    user_id = request.query.one('user_id')
    projects.check_id('user_id', user_id)
    return user_id


def _limits(request: Request, quotas: QuotaSet) -> dict[str, Any]:
    return {
        name: quotas.limits.get(name, quota_fields.UNLIMITED)
        for name in quota_fields.of_sets(request.version)
    }


@operation('GET', '/os-quota-sets/{project_id}', query=USER, target='resource',
           rule='os_compute_api:os-quota-sets:show', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def show(request: Request, project_id: str) -> dict[str, Any]:
    """Show the quotas of a project."""
    request.authorize(project_id=project_id)
    projects.verify(request, project_id)
    quotas = request.conductor.get_quotas(request.context, project_id, user_id=_user(request))
    return {'quota_set': {'id': project_id, **_limits(request, quotas)}}


@operation('GET', '/os-quota-sets/{project_id}/detail', query=USER, target='resource',
           rule='os_compute_api:os-quota-sets:detail', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def detail(request: Request, project_id: str) -> dict[str, Any]:
    """Show the quotas of a project, and what of them is in use."""
    request.authorize(project_id=project_id)
    projects.verify(request, project_id)
    quotas = request.conductor.get_quotas(
        request.context, project_id, user_id=_user(request), usage=True
    )
    shown = {
        name: {'limit': limit, 'in_use': quotas.in_use.get(name, 0), 'reserved': 0}
        for name, limit in _limits(request, quotas).items()
    }
    return {'quota_set': {'id': project_id, **shown}}


@operation('GET', '/os-quota-sets/{project_id}/defaults', query=params.ANY_QUERY,
           target='resource', rule='os_compute_api:os-quota-sets:defaults', check=ANY)  # fmt: skip
def defaults(request: Request, project_id: str) -> dict[str, Any]:
    """Show the quotas that a project has when nobody sets others."""
    request.authorize(project_id=project_id)
    projects.verify(request, project_id)
    quotas = request.conductor.get_quotas(request.context, project_id, defaults=True)
    return {'quota_set': {'id': project_id, **_limits(request, quotas)}}


@operation('PUT', '/os-quota-sets/{project_id}', query=USER, body=UPDATE, target='resource',
           rule='os_compute_api:os-quota-sets:update', check=ADMIN)  # fmt: skip
def update(request: Request, project_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Set the quotas of a project or of a user."""
    request.authorize(project_id=project_id)
    projects.verify(request, project_id)
    asked = dict(body['quota_set'])
    force = strutils.bool_from_string(asked.pop('force', False))
    limits = {name: int(value) for name, value in asked.items()}
    quotas = request.conductor.update_quotas(
        request.context, project_id, _user(request), limits, force=force
    )
    return {'quota_set': _limits(request, quotas)}


@operation('DELETE', '/os-quota-sets/{project_id}', query=USER, success=202, target='resource',
           rule='os_compute_api:os-quota-sets:delete', check=ADMIN)  # fmt: skip
def delete(request: Request, project_id: str) -> None:
    """Go back to the default quotas."""
    request.authorize(project_id=project_id)
    projects.check_id('project_id', project_id)
    request.conductor.delete_quotas(request.context, project_id, user_id=_user(request))
