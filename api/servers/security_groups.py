"""The security groups of a server: those of its ports in Neutron."""

from typing import Any

from kilonova.api import params, security_group_view
from kilonova.api.faults import Fault
from kilonova.api.request import Request
from kilonova.api.security_groups import GROUPS, declare
from kilonova.api.servers import lookup
from kilonova.common import exception
from kilonova.common.clients import neutron
from kilonova.common.objects.server import Server

Json = dict[str, Any]


def _body(action: str) -> params.Schema:
    name = {'type': 'string', 'minLength': 1}
    return params.obj({action: params.obj({'name': name}, ['name'])}, [action], more=True)


@declare('GET', '/servers/{server_id}/os-security-groups', 'list', until=None, target='resource',
         query=params.QUERY_LESS)  # fmt: skip
def index(request: Request, server_id: str) -> Json:
    """List the security groups of a server."""
    server = lookup.get(request, server_id)
    client = neutron.client(request.conf, request.context)
    found = client.find(GROUPS, id=_group_ids(client.ports_of(server.uuid)))
    return {'security_groups': security_group_view.groups(client, found)}


@declare('POST', '/servers/{server_id}/action', 'add', until=None, action='addSecurityGroup',
         target='resource', body=_body('addSecurityGroup'), success=202)  # fmt: skip
def add(request: Request, server_id: str, body: Json) -> None:
    """Put a server into a security group."""
    server = lookup.get(request, server_id)
    client = neutron.client(request.conf, request.context)
    group = _find(request, client, body['addSecurityGroup']['name'])
    ports = _ports(client, server)
    outside = [port for port in ports if group['id'] not in port['security_groups']]
    if not outside:
        raise exception.Invalid(
            f'Security group {group["name"]} is already associated with the instance {server.uuid}'
        )
    for port in outside:
        if not _takes_groups(port):
            continue
        _set_groups(client, port, [*port['security_groups'], group['id']])
    _remember(request, client, server, ports)


@declare('POST', '/servers/{server_id}/action', 'remove', until=None, action='removeSecurityGroup',
         target='resource', body=_body('removeSecurityGroup'), success=202)  # fmt: skip
def remove(request: Request, server_id: str, body: Json) -> None:
    """Take a server out of a security group."""
    server = lookup.get(request, server_id)
    client = neutron.client(request.conf, request.context)
    group = _find(request, client, body['removeSecurityGroup']['name'])
    ports = _ports(client, server)
    inside = [port for port in ports if group['id'] in port['security_groups']]
    if not inside:
        raise exception.NotFound(
            f'Security group {group["name"]} not associated with the instance {server.uuid}'
        )
    for port in inside:
        _set_groups(client, port, [one for one in port['security_groups'] if one != group['id']])
    _remember(request, client, server, ports)


def _find(request: Request, client: neutron.Neutron, name: str) -> Json:
    """Raises SecurityGroupNotFound, SecurityGroupAmbiguous."""
    if not name.strip():
        raise Fault(400, 'Security group name cannot be empty')
    return client.security_groups(str(request.context.project_id), [name])[0]


def _ports(client: neutron.Neutron, server: Server) -> list[Json]:
    ports = client.ports_of(server.uuid)
    if not ports:
        raise exception.NotFound(
            f'instance_id {server.uuid} could not be found as device id on any ports'
        )
    return ports


def _takes_groups(port: Json) -> bool:
    """Tell whether groups mean anything for a port: it has addresses that may be guarded."""
    return bool(port.get('fixed_ips')) and port.get('port_security_enabled', True)


def _set_groups(client: neutron.Neutron, port: Json, groups: list[str]) -> None:
    client.update('ports', port['id'], {'security_groups': groups})
    port['security_groups'] = groups


def _group_ids(ports: list[Json]) -> list[str]:
    return sorted({group for port in ports for group in port.get('security_groups', ())})


def _remember(request: Request, client: neutron.Neutron, server: Server, ports: list[Json]) -> None:
    """Tell the conductor the names, which it shows with the server."""
    found = client.find(GROUPS, id=_group_ids(ports), fields=['id', 'name'])
    names = sorted({group['name'] for group in found})
    request.conductor.update_server(request.context, server.uuid, {'security_groups': names})
