"""Floating IPs of a server, in Neutron (up to 2.43)."""

from typing import Any

from kilonova.api import floating_ips, params
from kilonova.api.faults import Fault
from kilonova.api.operation import operation
from kilonova.api.policies import OLD_OWNER, PROJECT_MEMBER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.servers import lookup
from kilonova.common import exception
from kilonova.common.clients import neutron
from kilonova.common.objects.server import Server

LAST = '2.43'
RULE = 'os_compute_api:os-floating-ips'
ADDRESS: dict[str, Any] = {'type': 'string', 'oneOf': [{'format': 'ipv4'}, {'format': 'ipv6'}]}
ADD = params.wrapped(
    'addFloatingIp', params.obj({'address': ADDRESS, 'fixed_address': ADDRESS}, ['address'])
)
REMOVE = params.wrapped('removeFloatingIp', params.obj({'address': ADDRESS}, ['address']))
Json = dict[str, Any]


@operation(
    'POST', '/servers/{server_id}/action', action='addFloatingIp', until=LAST, body=ADD,
    rule=f'{RULE}:add', check=PROJECT_MEMBER_OR_ADMIN, replaces=(RULE, OLD_OWNER),
    target='resource', success=202,
)  # fmt: skip
def add(request: Request, server_id: str, body: Json) -> None:
    """Let a floating IP lead to a server."""
    server = lookup.get(request, server_id)
    asked = body['addFloatingIp']
    port, fixed = _fixed_address(server, asked.get('fixed_address'))
    client = neutron.client(request.conf, request.context)
    try:
        floating = _by_address(client, asked['address'])
    except exception.FloatingIpNotFoundForAddress:
        raise Fault(404, 'floating IP not found') from None
    before = floating_ips.server_of(client, floating)
    try:
        client.update('floatingips', floating['id'], {'port_id': port, 'fixed_ip_address': fixed})
    except (exception.NotFound, exception.NeutronRefused) as error:
        raise Fault(
            400,
            f'Unable to associate floating IP {asked["address"]} to fixed IP {fixed} for '
            f'instance {server.uuid}. Error: {error}',
        ) from error
    floating_ips.look_again(request, [server.uuid, before])


@operation(
    'POST', '/servers/{server_id}/action', action='removeFloatingIp', until=LAST, body=REMOVE,
    rule=f'{RULE}:remove', check=PROJECT_MEMBER_OR_ADMIN, replaces=(RULE, OLD_OWNER),
    target='resource', success=202,
)  # fmt: skip
def remove(request: Request, server_id: str, body: Json) -> None:
    """Let a floating IP no longer lead to a server."""
    server = lookup.get(request, server_id)
    address = body['removeFloatingIp']['address']
    client = neutron.client(request.conf, request.context)
    floating = _by_address(client, address)
    if floating_ips.server_of(client, floating) != server.uuid:
        raise Fault(409, f'Floating IP {address} is not associated with instance {server.uuid}.')
    client.update('floatingips', floating['id'], {'port_id': None})
    floating_ips.look_again(request, [server.uuid])


def _fixed_address(server: Server, wanted: str | None) -> tuple[str, str]:
    """Return port and fixed address to associate: the first of IPv4, or the wanted one."""
    if not server.network_info:
        raise Fault(400, 'Instance network is not ready yet')
    found = [
        (vif.id, ip.address) for vif in server.network_info for ip in vif.fixed_ips
        if ip.version == 4
    ]  # fmt: skip
    if not found:
        raise Fault(400, 'No fixed IPs associated to instance')
    if wanted is None:
        return found[0]
    for port, address in found:
        if address == wanted:
            return port, address
    raise Fault(400, 'Specified fixed address not assigned to instance')


def _by_address(client: neutron.Neutron, address: str) -> Json:
    found = client.find('floatingips', floating_ip_address=address)
    if not found:
        raise exception.FloatingIpNotFoundForAddress(address=address)
    if len(found) > 1:
        raise exception.Conflict(f'Multiple floating IPs are found for address {address}.')
    return found[0]
