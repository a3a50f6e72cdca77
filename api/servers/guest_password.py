"""The password that a guest has stored for its owner, encrypted with the owner's key."""

from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup
from kilonova.common.metadata import password

PATH = '/servers/{server_id}/os-server-password'
OLD = ('os_compute_api:os-server-password', policies.OLD_OWNER)


@operation(
    'GET',
    PATH,
    rule='os_compute_api:os-server-password:show',
    check=policies.PROJECT_READER_OR_ADMIN,
    replaces=OLD,
    target='resource',
    query=params.QUERY_LESS,
)
def show(request: Request, server_id: str) -> dict[str, Any]:
    """Show the encrypted administrative password of a server."""
    return {'password': password.read(lookup.get(request, server_id).system_metadata)}


@operation(
    'DELETE',
    PATH,
    rule='os_compute_api:os-server-password:clear',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    replaces=OLD,
    target='resource',
    success=204,
)
def clear(request: Request, server_id: str) -> None:
    """Clear the encrypted administrative password of a server."""
    server = lookup.get(request, server_id)
    request.conductor.set_server_password(request.context, server.uuid, '')
