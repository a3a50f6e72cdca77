"""Delete servers, and bring back those whose deletion is deferred."""

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup


@operation(
    'DELETE',
    '/servers/{server_id}',
    rule='os_compute_api:servers:delete',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    success=204,
)
def delete(request: Request, server_id: str) -> None:
    """Delete a server."""
    server = lookup.get(request, server_id)
    request.conductor.delete_server(request.context, server.uuid)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='forceDelete',
    rule='os_compute_api:os-deferred-delete:force',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    replaces=('os_compute_api:os-deferred-delete', policies.OLD_OWNER),
    target='resource',
    body=params.wrapped('forceDelete', {}),
    success=202,
)
def force_delete(request: Request, server_id: str, body: dict[str, object]) -> None:
    """Delete a server at once, also where deletion is deferred."""
    server = lookup.get(request, server_id)
    request.conductor.delete_server(request.context, server.uuid, force=True)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='restore',
    rule='os_compute_api:os-deferred-delete:restore',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    replaces=('os_compute_api:os-deferred-delete', policies.OLD_OWNER),
    target='resource',
    body=params.wrapped('restore', {}),
    success=202,
)
def restore(request: Request, server_id: str, body: dict[str, object]) -> None:
    """Bring a soft-deleted server back."""
    server = lookup.get(request, server_id)
    request.conductor.restore_server(request.context, server.uuid)
