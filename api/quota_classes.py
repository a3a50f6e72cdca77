"""Quota classes: the class ``default`` holds what projects have when nobody sets others."""

from typing import Any

from kilonova.api import params, projects, quota_fields
from kilonova.api.operation import operation
from kilonova.api.params import obj, wrapped
from kilonova.api.policies import ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.api.versions import Version
from kilonova.common.objects.quota import QuotaSet


def _update(version: Version) -> Schema:
    # Groups could be set before they were shown (2.50).
    names = (*quota_fields.of_classes(version), *quota_fields.GROUPS)
    fields = {name: quota_fields.LIMIT for name in names}
    return wrapped('quota_class_set', obj(fields))


UPDATE = ByVersion(
    {
        '2.1': _update(Version(2, 1)),
        '2.50': _update(Version(2, 50)),
        '2.57': _update(Version(2, 57)),
    }
)


def _limits(request: Request, quotas: QuotaSet) -> dict[str, Any]:
    return {
        name: quotas.limits.get(name, quota_fields.UNLIMITED)
        for name in quota_fields.of_classes(request.version)
    }


@operation('GET', '/os-quota-class-sets/{name}', query=params.QUERY_LESS,
           rule='os_compute_api:os-quota-class-sets:show', check=ADMIN)  # fmt: skip
def show(request: Request, name: str) -> dict[str, Any]:
    """Show the quotas of a class."""
    quotas = request.conductor.get_quota_class(request.context, name)
    return {'quota_class_set': {'id': name, **_limits(request, quotas)}}


@operation('PUT', '/os-quota-class-sets/{name}', body=UPDATE,
           rule='os_compute_api:os-quota-class-sets:update', check=ADMIN)  # fmt: skip
def update(request: Request, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Set quotas of a class."""
    projects.check_id('name', name)
    limits = {resource: int(value) for resource, value in body['quota_class_set'].items()}
    quotas = request.conductor.update_quota_class(request.context, name, limits)
    return {'quota_class_set': _limits(request, quotas)}
