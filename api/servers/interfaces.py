"""The network interfaces of a server: its ports in Neutron."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import OLD_OWNER, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.servers import lookup
from kilonova.common import exception
from kilonova.common.clients import neutron
from kilonova.common.objects.server import Server

RULE = 'os_compute_api:os-attach-interfaces'
PATH = '/servers/{server_id}/os-interface'
Json = dict[str, Any]


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
        tags = {vif.id: vif.tag for vif in server.network_info}
        shown['tag'] = tags.get(port['id'])
    return shown
