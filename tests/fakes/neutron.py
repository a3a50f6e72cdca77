"""A network service that keeps networks, ports, floating IPs and security groups."""

import datetime
import ipaddress
import uuid
from typing import Any

from kilonova.tests.fakes.neutron_parts import FloatingPart, GroupPart
from kilonova.tests.fakes.server import Answer, FakeService, Fault, route

PLURALS = {
    'networks': 'network',
    'subnets': 'subnet',
    'ports': 'port',
    'floatingips': 'floatingip',
    'security-groups': 'security_group',
}


class FakeNeutron(FloatingPart, GroupPart, FakeService):
    """Neutron v2.0 as far as the control plane asks it."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in PLURALS}
        self.port_quota = 1000
        self.automatic_network: str | None = None
        """What auto-allocated-topology gives."""
        self.plugged_at_once = True
        """A port is ACTIVE as soon as it is bound; otherwise ``plug`` makes it so."""
        self.bound_as: tuple[str, dict[str, Any]] = (
            'ovs',
            {'port_filter': True, 'datapath_type': 'system'},
        )
        """The vif_type of ports that are bound, and its details."""
        self.unbindable: set[str] = set()
        """Hosts on which no port can be bound."""
        self.extensions = ['binding', 'port-resource-request']
        self.bindings: dict[str, dict[str, dict[str, Any]]] = {}
        """Inactive ones, by port and host."""
        super().__init__()

    # -- what a test sets up and looks at

    @property
    def ports(self) -> dict[str, dict[str, Any]]:
        return self.things['ports']

    def add_network(self, name: str = 'private', project: str = 'demo', **fields: Any) -> str:
        """Add a network with a /24 subnet; returns its id."""
        network = str(uuid.uuid4())
        number = len(self.things['networks']) + 1
        subnet = str(uuid.uuid4())
        self.things['networks'][network] = {
            'id': network,
            'name': name,
            'tenant_id': project,
            'project_id': project,
            'shared': False,
            'router:external': False,
            'status': 'ACTIVE',
            'admin_state_up': True,
            'subnets': [subnet],
            'mtu': 1450,
            'port_security_enabled': True,
            **fields,
        }
        self.things['subnets'][subnet] = {
            'id': subnet,
            'network_id': network,
            'cidr': f'10.{number}.0.0/24',
            'ip_version': 4,
            'gateway_ip': f'10.{number}.0.1',
            'enable_dhcp': True,
            'dns_nameservers': ['192.0.2.53'],
            'host_routes': [],
            'tenant_id': project,
            'ipv6_address_mode': None,
        }
        return network

    # -- the API

    @route('GET', '/')
    def versions(self, **_: Any) -> Answer:
        return self.describe('v2.0', '/v2.0/')

    @route('GET', '/v2.0/{kind}')
    def index(self, kind: str, query: dict[str, list[str]], **_: Any) -> Answer:
        if kind == 'extensions':
            return 200, {'extensions': [{'alias': alias} for alias in self.extensions]}
        if kind not in self.things:
            raise Fault(404, 'no such collection')
        query = {
            k: v for k, v in query.items() if k not in ('fields', 'limit', 'marker', 'sort_key')
        }
        found = [t for t in self.things[kind].values() if self._sees(t) and _matches(t, query)]
        return 200, {kind.replace('-', '_'): found}

    @route('GET', '/v2.0/auto-allocated-topology/{project}')
    def topology(self, project: str, query: dict[str, list[str]], **_: Any) -> Answer:
        if self.automatic_network is None:
            raise Fault(409, 'no default external network', 'AutoAllocationFailure')
        return 200, {'auto_allocated_topology': {'id': self.automatic_network}}

    @route('GET', '/v2.0/quotas/{project}/details.json')
    @route('GET', '/v2.0/quotas/{project}')
    def quotas(self, project: str, **_: Any) -> Answer:
        return 200, {'quota': {'port': self.port_quota}}

    @route('GET', '/v2.0/{kind}/{thing}')
    def show(self, kind: str, thing: str, **_: Any) -> Answer:
        return 200, {PLURALS[kind]: self.get(kind, thing)}

    @route('POST', '/v2.0/ports')
    def create_port(self, body: Any, **_: Any) -> Answer:
        if 'ports' in body:
            return 201, {'ports': self._make_ports(body['ports'])}
        port = self.make_port(**body['port'])
        return 201, {'port': port}

    def _make_ports(self, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Make all or none."""
        made: list[dict[str, Any]] = []
        try:
            for body in bodies:
                made.append(self.make_port(**body))
        except Fault:
            for port in made:
                del self.ports[port['id']]
            raise
        return made

    def make_port(self, network_id: str, **fields: Any) -> dict[str, Any]:
        if len(self.ports) >= self.port_quota:
            raise Fault(409, 'Quota exceeded for resources: port', 'OverQuota')
        network = self.get('networks', network_id)
        wanted = (fields.pop('fixed_ips', None) or [{}])[0].get('ip_address')
        subnet = self.things['subnets'][network['subnets'][0]]
        port_id = str(uuid.uuid4())
        port = {
            'id': port_id,
            'network_id': network_id,
            'name': '',
            'mac_address': 'fa:16:3e:' + ':'.join(port_id[i : i + 2] for i in (0, 2, 4)),
            'fixed_ips': [{'subnet_id': subnet['id'], 'ip_address': self._address(subnet, wanted)}],
            'status': 'DOWN',
            'device_id': '',
            'device_owner': '',
            'binding:vif_type': 'unbound',
            'binding:vif_details': {},
            'binding:vnic_type': 'normal',
            'binding:profile': {},
            'binding:host_id': '',
            'security_groups': [],
            'tenant_id': network['tenant_id'],
            'project_id': network['tenant_id'],
            'created_at': f'{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}',
            **fields,
        }
        self._bind(port)
        self.ports[port_id] = port
        return port

    def _complete(self, ip: dict[str, Any]) -> dict[str, Any]:
        """Choose the address where only the subnet is asked for."""
        if 'ip_address' in ip:
            return ip
        subnet = self.get('subnets', ip['subnet_id'])
        return {'subnet_id': subnet['id'], 'ip_address': self._address(subnet, None)}

    def _address(self, subnet: dict[str, Any], wanted: str | None) -> str:
        used = {
            ip['ip_address']
            for port in self.ports.values()
            for ip in port['fixed_ips']
            if ip['subnet_id'] == subnet['id']
        }
        if wanted is not None:
            if wanted in used:
                raise Fault(
                    409, f'IP address {wanted} already allocated', 'IpAddressAlreadyAllocated'
                )
            if ipaddress.ip_address(wanted) not in ipaddress.ip_network(subnet['cidr']):
                raise Fault(400, f'IP address {wanted} is not valid', 'InvalidIpForSubnet')
            return wanted
        for address in list(ipaddress.ip_network(subnet['cidr']).hosts())[9:]:
            if str(address) not in used:
                return str(address)
        raise Fault(409, 'No more IP addresses available', 'IpAddressGenerationFailure')

    def _bind(self, port: dict[str, Any]) -> None:
        if port['binding:host_id']:
            port['binding:vif_type'], details = self.bound_as
            port['binding:vif_details'] = dict(details)
            port['status'] = 'ACTIVE' if self.plugged_at_once else 'DOWN'
        else:
            port['binding:vif_type'], port['status'] = 'unbound', 'DOWN'
            port['binding:vif_details'] = {}

    @route('PUT', '/v2.0/ports/{port_id}')
    def update_port(self, port_id: str, body: Any, **_: Any) -> Answer:
        port = self.get('ports', port_id)
        changes = body['port']
        if 'fixed_ips' in changes:
            changes['fixed_ips'] = [self._complete(ip) for ip in changes['fixed_ips']]
        port.update(changes)
        self._bind(port)
        return 200, {'port': port}

    @route('POST', '/v2.0/ports/{port_id}/bindings')
    def add_binding(self, port_id: str, body: Any, **_: Any) -> Answer:
        port, wanted = self.get('ports', port_id), body['binding']
        known = self.bindings.setdefault(port_id, {})
        if wanted['host'] in (port['binding:host_id'], *known):
            raise Fault(409, 'binding exists', 'PortBindingAlreadyExists')
        failed = wanted['host'] in self.unbindable
        known[wanted['host']] = {
            **wanted,
            'status': 'INACTIVE',
            'vif_type': 'binding_failed' if failed else 'ovs',
            'vif_details': {},
        }
        return 201, {'binding': known[wanted['host']]}

    @route('GET', '/v2.0/ports/{port_id}/bindings/{host}')
    def show_binding(self, port_id: str, host: str, **_: Any) -> Answer:
        return 200, {'binding': self._binding(port_id, host)}

    @route('PUT', '/v2.0/ports/{port_id}/bindings/{host}/activate')
    def activate_binding(self, port_id: str, host: str, **_: Any) -> Answer:
        port = self.get('ports', port_id)
        if port['binding:host_id'] == host:
            raise Fault(409, 'binding is active', 'PortBindingAlreadyActive')
        self._binding(port_id, host)
        new = self.bindings[port_id].pop(host)
        old = port['binding:host_id']
        self.bindings[port_id][old] = {'host': old, 'profile': port['binding:profile']}
        port['binding:host_id'], port['binding:profile'] = host, new.get('profile', {})
        self._bind(port)
        return 200, {'binding': {'host': host, 'status': 'ACTIVE'}}

    @route('DELETE', '/v2.0/ports/{port_id}/bindings/{host}')
    def delete_binding(self, port_id: str, host: str, **_: Any) -> Answer:
        self._binding(port_id, host)
        del self.bindings[port_id][host]
        return 204, None

    def _binding(self, port_id: str, host: str) -> dict[str, Any]:
        try:
            return self.bindings[port_id][host]
        except KeyError:
            raise Fault(404, 'no such binding', 'PortBindingNotFound') from None

    @route('DELETE', '/v2.0/ports/{port_id}')
    def delete_port(self, port_id: str, **_: Any) -> Answer:
        self.get('ports', port_id)
        del self.ports[port_id]
        return 204, None

    @route('PUT', '/v2.0/ports/{port_id}/tags/{tag}')
    def tag_port(self, port_id: str, tag: str, **_: Any) -> Answer:
        self.get('ports', port_id).setdefault('tags', []).append(tag)
        return 201, None

    def _sees(self, thing: dict[str, Any]) -> bool:
        everybodys = thing.get('shared') or thing.get('router:external')
        return bool(everybodys) or self.caller.sees(thing.get('tenant_id'))

    def get(self, kind: str, thing: str) -> dict[str, Any]:
        found = self.things[kind].get(thing)
        if found is None or not self._sees(found):
            name = PLURALS[kind].title().replace('_', '') + 'NotFound'
            raise Fault(404, f'{PLURALS[kind]} {thing} could not be found', name)
        return found


def _matches(thing: dict[str, Any], query: dict[str, list[str]]) -> bool:
    for key, wanted in query.items():
        value = thing.get(key)
        if key == 'fixed_ips':
            found = {f'ip_address={ip["ip_address"]}' for ip in value or ()}
            if not found & set(wanted):
                return False
            continue
        if isinstance(value, bool):
            value = str(value).lower()
            wanted = [word.lower() for word in wanted]
        if str(value) not in wanted:
            return False
    return True
