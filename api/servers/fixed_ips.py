"""Fixed IPs of a server's interfaces (up to 2.43), and what the guest is told of them."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, OLD_OWNER, PROJECT_MEMBER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.servers import lookup

LAST = '2.43'
RULE = 'os_compute_api:os-multinic'
PATH = '/servers/{server_id}/action'
_ADDRESS = {'type': 'string', 'oneOf': [{'format': 'ipv4'}, {'format': 'ipv6'}]}
_NETWORK = {'type': ['string', 'number'], 'minLength': 1, 'maxLength': 36}
ADD = params.wrapped('addFixedIp', params.obj({'networkId': _NETWORK}, ['networkId']))
REMOVE = params.wrapped('removeFixedIp', params.obj({'address': _ADDRESS}, ['address']))
Json = dict[str, Any]


@operation('POST', PATH, action='addFixedIp', until=LAST, rule=f'{RULE}:add', body=ADD,
           check=PROJECT_MEMBER_OR_ADMIN, replaces=(RULE, OLD_OWNER), target='resource',
           success=202)  # fmt: skip
def add(request: Request, server_id: str, body: Json) -> None:
    """Give a server one more address on a network."""
    server = lookup.get(request, server_id)
    network = str(body['addFixedIp']['networkId'])
    request.conductor.add_fixed_ip(request.context, server.uuid, network)


@operation('POST', PATH, action='removeFixedIp', until=LAST, rule=f'{RULE}:remove', body=REMOVE,
           check=PROJECT_MEMBER_OR_ADMIN, replaces=(RULE, OLD_OWNER), target='resource',
           success=202)  # fmt: skip
def remove(request: Request, server_id: str, body: Json) -> None:
    """Take an address from a server."""
    server = lookup.get(request, server_id)
    address = body['removeFixedIp']['address']
    request.conductor.remove_fixed_ip(request.context, server.uuid, address)


@operation('POST', PATH, action='injectNetworkInfo', check=ADMIN, target='resource', success=202,
           rule='os_compute_api:os-admin-actions:inject_network_info',
           body=params.wrapped('injectNetworkInfo', {}))  # fmt: skip
def inject(request: Request, server_id: str, body: Json) -> None:
    """Have the host of a server look at its ports."""
    server = lookup.get(request, server_id)
    request.conductor.inject_network_info(request.context, server.uuid)
