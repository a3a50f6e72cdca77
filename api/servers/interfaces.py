"""The network interfaces of a server: its ports in Neutron."""

from typing import Any

from kilonova.api import params
from kilonova.api.faults import Fault
from kilonova.api.operation import operation
from kilonova.api.policies import (
    OLD_OWNER,
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
    SoftRule,
)
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion
from kilonova.api.servers import lookup, networks, tags
from kilonova.common import exception
from kilonova.common.clients import neutron
from kilonova.common.objects.network import VIF, NetworkRequest, Networks
from kilonova.common.objects.server import Server

RULE = 'os_compute_api:os-attach-interfaces'
PATH = '/servers/{server_id}/os-interface'
Json = dict[str, Any]
SHOW = SoftRule(
    f'{RULE}:show', PROJECT_READER_OR_ADMIN, 'Show an interface of a server.', (RULE, OLD_OWNER)
)
_ADDRESS = {'type': 'string', 'oneOf': [{'format': 'ipv4'}, {'format': 'ipv6'}]}
_FIELDS: Json = {
    'net_id': params.UUID,
    'port_id': params.UUID,
    'fixed_ips': params.array(
        params.obj({'ip_address': _ADDRESS}, ['ip_address']), minItems=1, maxItems=1
    ),
}
ATTACH = ByVersion(
    {
        '2.0': params.obj({'interfaceAttachment': params.obj(_FIELDS)}),
        '2.49': params.obj({'interfaceAttachment': params.obj({**_FIELDS, 'tag': tags.TAG})}),
    }
)


@operation('GET', PATH, rule=f'{RULE}:list', check=PROJECT_READER_OR_ADMIN,
           replaces=(RULE, OLD_OWNER), target='resource', query=params.QUERY_LESS)  # fmt: skip
def index(request: Request, server_id: str) -> Json:
    """List the interfaces of a server."""
    server = lookup.get(request, server_id)
    ports = neutron.client(request.conf, request.context).ports_of(server.uuid)
    return {'interfaceAttachments': [view(request, server, port) for port in ports]}


@operation('GET', PATH + '/{port_id}', rule=f'{RULE}:show', check=PROJECT_READER_OR_ADMIN,
           replaces=(RULE, OLD_OWNER), target='resource', query=params.QUERY_LESS)  # fmt: skip
def show(request: Request, server_id: str, port_id: str) -> Json:
    """Show an interface of a server."""
    server = lookup.get(request, server_id)
    port = neutron.client(request.conf, request.context).show_port(port_id)
    if port.get('device_id') != server.uuid:
        raise exception.NotFound(f'Instance {server.uuid} does not have a port with id {port_id}')
    return {'interfaceAttachment': view(request, server, port)}


@operation('POST', PATH, rule=f'{RULE}:create', check=PROJECT_MEMBER_OR_ADMIN,
           replaces=(RULE, OLD_OWNER), soft_rules=[SHOW, networks.EXTERNAL], target='resource',
           body=ATTACH, errors={exception.FixedIpAlreadyInUse: 409, exception.NetworkAmbiguous: 400,
                                exception.OperationFailed: 500})  # fmt: skip
def create(request: Request, server_id: str, body: Json) -> Json:
    """Attach an interface to a server."""
    server = lookup.get(request, server_id)
    request.can(SHOW.name, project_id=server.project_id, user_id=server.user_id)
    wanted = _wanted(request, body.get('interfaceAttachment', {}))
    vif = request.conductor.attach_interface(request.context, server.uuid, wanted)
    # Neutron is not asked for the port again: it could fail, when all is done.
    server.network_info.append(vif)
    return {'interfaceAttachment': view(request, server, _port(vif))}


def _wanted(request: Request, asked: Json) -> NetworkRequest:
    """Return the one port or network that is asked for, or the project's only network."""
    network, port = asked.get('net_id'), asked.get('port_id')
    if network and port:
        raise Fault(400, 'Must not input both network_id and port_id')
    addresses = [ip['ip_address'] for ip in asked.get('fixed_ips', ())]
    if addresses and not network:
        raise Fault(400, 'Must input network_id when request IP address')
    wanted = NetworkRequest(
        network_id=network, port_id=port, fixed_ip=addresses[0] if addresses else None
    )
    requests = [wanted] if network or port else []
    found, _count = networks.resolve(request, Networks(requests=requests), 1, 1)
    if not found.requests:
        raise Fault(
            400,
            'No specific network was requested and none are available for project '
            f"'{request.context.project_id}'.",
        )
    found.requests[0].tag = asked.get('tag')
    return found.requests[0]


@operation('DELETE', PATH + '/{port_id}', rule=f'{RULE}:delete', check=PROJECT_MEMBER_OR_ADMIN,
           replaces=(RULE, OLD_OWNER), target='resource', success=202)  # fmt: skip
def delete(request: Request, server_id: str, port_id: str) -> None:
    """Detach an interface from a server."""
    server = lookup.get(request, server_id)
    request.conductor.detach_interface(request.context, server.uuid, port_id)


def _port(vif: VIF) -> Json:
    return {
        'id': vif.id,
        'network_id': vif.network_id,
        'mac_address': vif.address,
        'status': 'ACTIVE' if vif.active else 'DOWN',
        'fixed_ips': [
            {'subnet_id': ip.subnet_id, 'ip_address': ip.address} for ip in vif.fixed_ips
        ],
    }


def view(request: Request, server: Server, port: Json) -> Json:
    """Return an interface as JSON."""
    fixed_ips = port.get('fixed_ips')
    shown: Json = {
        'net_id': port['network_id'],
        'port_id': port['id'],
        'mac_addr': port['mac_address'],
        'port_state': port['status'],
        'fixed_ips': fixed_ips and [
            {'subnet_id': ip['subnet_id'], 'ip_address': ip['ip_address']} for ip in fixed_ips
        ],
    }  # fmt: skip
    if request.version >= (2, 70):
        known = {vif.id: vif.tag for vif in server.network_info}
        shown['tag'] = known.get(port['id'])
    return shown
