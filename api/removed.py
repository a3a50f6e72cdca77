"""What was part of the API once: each route says that it is gone, at every microversion.

A 404 would tell an old client that the thing it names does not exist; a 410 tells it that
nothing of the kind does any more.
"""

from typing import NoReturn

import webob.exc

from kilonova.api.faults import Fault
from kilonova.api.operation import operation
from kilonova.api.request import Request

# path -> methods
_ROUTES = {
    '/os-agents': 'GET POST',
    '/os-agents/{agent_id}': 'PUT DELETE',
    '/os-cells': 'GET POST',
    '/os-cells/capacities': 'GET',
    '/os-cells/detail': 'GET',
    '/os-cells/info': 'GET',
    '/os-cells/sync_instances': 'POST',
    '/os-cells/{cell}': 'GET PUT DELETE',
    '/os-cells/{cell}/capacities': 'GET',
    '/os-certificates': 'POST',
    '/os-certificates/{certificate}': 'GET',
    '/os-cloudpipe': 'GET POST',
    '/os-cloudpipe/{pipe}': 'PUT',
    '/os-fixed-ips/{address}': 'GET',
    '/os-floating-ip-dns': 'GET',
    '/os-floating-ip-dns/{domain}': 'PUT DELETE',
    '/os-floating-ip-dns/{domain}/entries/{entry}': 'GET PUT DELETE',
    '/os-floating-ips-bulk': 'GET POST',
    '/os-floating-ips-bulk/{host}': 'GET PUT',
    '/os-fping': 'GET',
    '/os-fping/{server_id}': 'GET',
    '/os-networks': 'POST',
    '/os-networks/add': 'POST',
    '/os-networks/{network_id}': 'DELETE',
    '/os-security-group-default-rules': 'GET POST',
    '/os-security-group-default-rules/{rule_id}': 'GET DELETE',
    '/os-tenant-networks': 'POST',
    '/os-tenant-networks/{network_id}': 'DELETE',
    '/servers/{server_id}/consoles': 'GET POST',
    '/servers/{server_id}/consoles/{console}': 'GET DELETE',
    '/servers/{server_id}/os-virtual-interfaces': 'GET',
}
# path, action
_ACTIONS = (
    ('/os-fixed-ips/{address}/action', 'reserve'),
    ('/os-fixed-ips/{address}/action', 'unreserve'),
    ('/os-networks/{network_id}/action', 'disassociate'),
    ('/os-networks/{network_id}/action', 'associate_host'),
    ('/os-networks/{network_id}/action', 'disassociate_host'),
    ('/os-networks/{network_id}/action', 'disassociate_project'),
    ('/servers/{server_id}/action', 'resetNetwork'),
)
STATUS = 410


def refused(_request: Request, **_path: str) -> NoReturn:
    """Refused: what only another hypervisor had answers 400, as a request that makes no sense."""
    raise Fault(400, webob.exc.HTTPBadRequest.explanation)


def gone(_request: Request, **_path: str) -> NoReturn:
    """Gone: answers 410 to whoever may use the API at all."""
    raise Fault(STATUS, 'This resource is no longer available. No forwarding address is given.')


for _path, _methods in _ROUTES.items():
    for _method in _methods.split():
        operation(_method, _path, success=STATUS)(gone)
for _path, _action in _ACTIONS:
    operation('POST', _path, action=_action, success=STATUS)(gone)
operation(
    'POST', '/servers/{server_id}/action', action='os-getRDPConsole', until='2.5', success=400
)(refused)
