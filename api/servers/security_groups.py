"""The security groups of a server: those of its ports in Neutron."""

import contextlib
import logging
from typing import Any

from kilonova.api import params, security_group_view
from kilonova.api.faults import Fault
from kilonova.api.request import Request
from kilonova.api.security_groups import GROUPS, declare
from kilonova.api.servers import lookup
from kilonova.common import exception
from kilonova.common.clients import neutron
from kilonova.common.objects.server import Server

LOG = logging.getLogger(__name__)
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
    wanted = {
        port['id']: [*port['security_groups'], group['id']]
        for port in outside
        if _takes_groups(port)
    }
    _change(request, client, server, ports, wanted)


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
    wanted = {
        port['id']: [one for one in port['security_groups'] if one != group['id']]
        for port in inside
    }
    _change(request, client, server, ports, wanted)


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


def _group_ids(ports: list[Json]) -> list[str]:
    return sorted({group for port in ports for group in port.get('security_groups', ())})


def _change(
    request: Request,
    client: neutron.Neutron,
    server: Server,
    ports: list[Json],
    wanted: dict[str, list[str]],
) -> None:
    """Give ports other groups, all or none, and tell the conductor the names that it shows."""
    had = {port['id']: port.get('security_groups', []) for port in ports}
    ids = sorted({group for groups in (had | wanted).values() for group in groups})
    # Asked for before anything changes: a request that fails has done nothing.
    names = sorted({one['name'] for one in client.find(GROUPS, id=ids, fields=['id', 'name'])})
    with contextlib.ExitStack() as undo:
        for port_id, groups in wanted.items():
            client.update('ports', port_id, {'security_groups': groups})
            undo.callback(_set_back, client, port_id, had[port_id])
        request.conductor.update_server(request.context, server.uuid, {'security_groups': names})
        undo.pop_all()


def _set_back(client: neutron.Neutron, port_id: str, groups: list[str]) -> None:
    try:
        client.update('ports', port_id, {'security_groups': groups})
    except exception.KilonovaError as error:
        LOG.warning('Port %s keeps other security groups than its server: %s', port_id, error)
