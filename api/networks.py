"""Networks of old, passed on from Neutron (up to 2.35): what is left of them is id and name."""

from typing import Any

from kilonova.api import params
from kilonova.api.faults import Fault
from kilonova.api.operation import Handler, operation
from kilonova.api.policies import OLD_OWNER, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.clients import neutron

LAST = '2.35'
Json = dict[str, Any]

# Neutron's networks have none of these: their subnets do, several of them at times.
_NEVER = (
    'cidr', 'netmask', 'gateway', 'broadcast', 'dns1', 'dns2', 'cidr_v6', 'gateway_v6',
    'netmask_v6',
)  # fmt: skip
_NEVER_FOR_ADMINISTRATORS = (
    'created_at', 'updated_at', 'deleted_at', 'deleted', 'injected', 'bridge', 'vlan',
    'vpn_public_address', 'vpn_public_port', 'vpn_private_address', 'dhcp_start', 'project_id',
    'host', 'bridge_interface', 'multi_host', 'priority', 'rxtx_base', 'mtu', 'dhcp_server',
    'enable_dhcp', 'share_address',
)  # fmt: skip


def _declare(path: str, rule: str, replaced: str) -> Any:
    def declare(handler: Handler) -> Handler:
        return operation(
            'GET', path, until=LAST, rule=rule, check=PROJECT_READER_OR_ADMIN,
            replaces=(replaced, OLD_OWNER),
        )(handler)  # fmt: skip

    return declare


@_declare('/os-networks', 'os_compute_api:os-networks:list', 'os_compute_api:os-networks:view')
def index(request: Request) -> Json:
    """List networks."""
    return {'networks': [_view(request, one) for one in _visible(request)]}


@_declare(
    '/os-networks/{network_id}', 'os_compute_api:os-networks:show',
    'os_compute_api:os-networks:view',
)  # fmt: skip
def show(request: Request, network_id: str) -> Json:
    """Show a network."""
    return {'network': _view(request, _get(request, network_id))}


@_declare(
    '/os-tenant-networks', 'os_compute_api:os-tenant-networks:list',
    'os_compute_api:os-tenant-networks',
)  # fmt: skip
def index_of_project(request: Request) -> Json:
    """List the networks of a project."""
    return {'networks': [_brief(one) for one in _visible(request)]}


@_declare(
    '/os-tenant-networks/{network_id}', 'os_compute_api:os-tenant-networks:show',
    'os_compute_api:os-tenant-networks',
)  # fmt: skip
def show_of_project(request: Request, network_id: str) -> Json:
    """Show a network of a project."""
    return {'network': _brief(_get(request, network_id))}


def _visible(request: Request) -> list[Json]:
    """Return what Neutron shows the caller: administrators see all projects' networks."""
    return neutron.client(request.conf, request.context).list_networks()


def _get(request: Request, network_id: str) -> Json:
    client = neutron.client(request.conf, request.context)
    try:
        return client.show_network(network_id)
    except exception.NetworkNotFound:
        raise Fault(404, 'Network not found') from None


def _view(request: Request, network: Json) -> Json:
    names = _NEVER + (_NEVER_FOR_ADMINISTRATORS if request.context.is_admin else ())
    return {'id': network['id'], 'label': network.get('name') or '', **dict.fromkeys(names)}


def _brief(network: Json) -> Json:
    return {'id': network['id'], 'label': network.get('name') or '', 'cidr': 'None'}


@operation(
    'GET', '/os-floating-ip-pools', until=LAST, rule='os_compute_api:os-floating-ip-pools',
    check='@', query=params.ANY_QUERY,
)  # fmt: skip
def pools(request: Request) -> Json:
    """List floating IP pools: the external networks."""
    client = neutron.client(request.conf, request.context)
    external = client.list_networks(**{'router:external': True})
    return {'floating_ip_pools': [{'name': one.get('name') or one['id']} for one in external]}
