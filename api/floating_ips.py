"""Floating IPs of a project, passed on from Neutron (up to 2.35)."""

from collections.abc import Iterable
from typing import Any

from oslo_utils import uuidutils

from kilonova.api.operation import operation
from kilonova.api.policies import OLD_OWNER, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.clients import neutron
from kilonova.common.objects.operation import ExternalEvent

LAST = '2.35'
RULE = 'os_compute_api:os-floating-ips'
CREATE: dict[str, Any] = {
    'type': ['object', 'null'],
    'properties': {'pool': {'type': ['string', 'null']}},
}
# Neutron's words for a pool that is empty.
_EMPTY = ('ExternalIpAddressExhausted', 'IpAddressGenerationFailure')
Json = dict[str, Any]


@operation('GET', '/os-floating-ips', until=LAST, rule=f'{RULE}:list',
           check=PROJECT_READER_OR_ADMIN, replaces=(RULE, OLD_OWNER))  # fmt: skip
def index(request: Request) -> Json:
    """List the floating IPs of the project."""
    client = neutron.client(request.conf, request.context)
    found = client.find('floatingips', tenant_id=request.context.project_id)
    return {'floating_ips': _views(client, found)}


@operation('GET', '/os-floating-ips/{floating_ip_id}', until=LAST, rule=f'{RULE}:show',
           check=PROJECT_READER_OR_ADMIN, replaces=(RULE, OLD_OWNER))  # fmt: skip
def show(request: Request, floating_ip_id: str) -> Json:
    """Show a floating IP."""
    client = neutron.client(request.conf, request.context)
    return {'floating_ip': _views(client, [_get(client, floating_ip_id)])[0]}


@operation('POST', '/os-floating-ips', until=LAST, rule=f'{RULE}:create',
           check=PROJECT_MEMBER_OR_ADMIN, replaces=(RULE, OLD_OWNER), body=CREATE)  # fmt: skip
def create(request: Request, body: Json | None) -> Json:
    """Take a floating IP out of a pool."""
    client = neutron.client(request.conf, request.context)
    wanted = (body or {}).get('pool') or request.conf.neutron.default_floating_pool
    pool = _pool(client, wanted)
    values = {'floating_network_id': pool['id'], 'tenant_id': request.context.project_id}
    try:
        made = client.create('floatingips', values)
    except exception.NeutronRefused as error:
        if error.kwargs.get('kind') in _EMPTY:
            raise exception.NotFound(f'No more floating IPs in pool {wanted}.') from error
        raise
    # It is nobody's yet, and the pool is known: nothing is left to ask that could fail.
    return {'floating_ip': _view(made, {}, {pool['id']: pool.get('name')})}


@operation('DELETE', '/os-floating-ips/{floating_ip_id}', until=LAST, rule=f'{RULE}:delete',
           check=PROJECT_MEMBER_OR_ADMIN, replaces=(RULE, OLD_OWNER), success=202)  # fmt: skip
def delete(request: Request, floating_ip_id: str) -> None:
    """Give a floating IP back."""
    client = neutron.client(request.conf, request.context)
    floating = _get(client, floating_ip_id)
    server = server_of(client, floating)
    client.delete('floatingips', floating_ip_id)
    look_again(request, [server])


def _get(client: neutron.Neutron, floating_ip_id: str) -> Json:
    missing = exception.FloatingIpNotFound(id=floating_ip_id)
    return client.show('floatingips', floating_ip_id, missing)


def _pool(client: neutron.Neutron, wanted: str) -> Json:
    """Return an external network by id or name.  Raises FloatingIpPoolNotFound, Invalid."""
    key = 'id' if uuidutils.is_uuid_like(wanted) else 'name'
    found = client.list_networks(**{'router:external': True, key: wanted})
    if not found:
        raise exception.FloatingIpPoolNotFound()
    if len(found) > 1:
        raise exception.Invalid(f'More than one floating IP pool is named {wanted}; use an id.')
    return found[0]


def _views(client: neutron.Neutron, floating: list[Json]) -> list[Json]:
    """Return floating IPs as JSON: two more requests whatever their number."""
    ports = client.list_ports(id=_ids(floating, 'port_id'))
    servers = {port['id']: port.get('device_id') for port in ports}
    pools = {
        network['id']: network.get('name')
        for network in client.list_networks(id=_ids(floating, 'floating_network_id'))
    }
    return [_view(one, servers, pools) for one in floating]


def _view(one: Json, servers: Json, pools: Json) -> Json:
    return {
        'id': one['id'],
        'ip': one['floating_ip_address'],
        'fixed_ip': one.get('fixed_ip_address'),
        'instance_id': servers.get(one.get('port_id') or '') or None,
        'pool': pools.get(one['floating_network_id']) or one['floating_network_id'],
    }


def _ids(things: Iterable[Json], key: str) -> list[str]:
    return sorted({thing[key] for thing in things if thing.get(key)})


def server_of(client: neutron.Neutron, floating: Json) -> str | None:
    """Return the id of the server that a floating IP leads to."""
    if not floating.get('port_id'):
        return None
    ports = client.list_ports(id=[floating['port_id']])
    return ports[0].get('device_id') or None if ports else None


def look_again(request: Request, server_ids: Iterable[str | None]) -> None:
    """Have the hosts of servers look at their addresses, as when Neutron tells of a change."""
    events = [
        ExternalEvent(name='network-changed', server_uuid=uuid)
        for uuid in dict.fromkeys(server_ids)
        if uuid
    ]
    if events:
        request.conductor.external_events(request.context, events)
