"""The addresses of a server."""

from typing import Any

from kilonova.api import params, policies
from kilonova.api.faults import Fault
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup, view


@operation(
    'GET',
    '/servers/{server_id}/ips',
    until='2.101',
    rule='os_compute_api:ips:index',
    check=policies.PROJECT_READER_OR_ADMIN,
    target='resource',
    query=params.ANY_QUERY,
)
@operation(
    'GET',
    '/servers/{server_id}/ips',
    since='2.102',
    rule='os_compute_api:ips:index',
    check=policies.PROJECT_READER_OR_ADMIN,
    target='resource',
    query=params.NO_QUERY,
)
def index(request: Request, server_id: str) -> dict[str, Any]:
    """List the addresses of a server."""
    server = lookup.get(request, server_id)
    return {'addresses': view.addresses(server, types=False)}


@operation(
    'GET',
    '/servers/{server_id}/ips/{network}',
    until='2.101',
    rule='os_compute_api:ips:show',
    check=policies.PROJECT_READER_OR_ADMIN,
    target='resource',
    query=params.ANY_QUERY,
)
@operation(
    'GET',
    '/servers/{server_id}/ips/{network}',
    since='2.102',
    rule='os_compute_api:ips:show',
    check=policies.PROJECT_READER_OR_ADMIN,
    target='resource',
    query=params.NO_QUERY,
)
def show(request: Request, server_id: str, network: str) -> dict[str, Any]:
    """Show the addresses of a server on one network."""
    server = lookup.get(request, server_id)
    found = view.addresses(server, types=False)
    if network not in found:
        raise Fault(404, 'Instance is not a member of specified network')
    return {network: found[network]}
