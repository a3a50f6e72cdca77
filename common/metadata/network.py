"""network_data.json: how a guest sets its interfaces up."""

import ipaddress
from typing import Any

from kilonova.common.objects.network import VIF, FixedIP, Subnet

Json = dict[str, Any]

# Link types that guests have been told since long; every other kind is called physical.
_NAMED_TYPES = (
    'binding_failed',
    'bridge',
    'dvs',
    'hw_veb',
    'hyperv',
    'macvtap',
    'ovs',
    'tap',
    'vhostuser',
)


def network_data(vifs: list[VIF]) -> Json:
    """Return links (one an interface), networks (one a subnet) and the name servers."""
    networks: list[Json] = []
    services: list[Json] = []
    for vif in vifs:
        for subnet in vif.subnets:
            ip = next((ip for ip in vif.fixed_ips if ip.subnet_id == subnet.id), None)
            if ip is not None:
                networks.append(_network(len(networks), vif, subnet, ip))
                services += [s for s in _services(subnet) if s not in services]
    return {'links': [_link(vif) for vif in vifs], 'networks': networks, 'services': services}


def _name(vif: VIF) -> str:
    return vif.devname or ('tap' + vif.id)[:14]


def _link(vif: VIF) -> Json:
    return {
        'id': _name(vif),
        'vif_id': vif.id,
        'type': vif.type if vif.type in _NAMED_TYPES else 'phy',
        'mtu': vif.mtu,
        'ethernet_mac_address': vif.address,
    }


def _network(number: int, vif: VIF, subnet: Subnet, ip: FixedIP) -> Json:
    found: Json = {
        'id': f'network{number}',
        'type': f'ipv{subnet.version}',
        'link': _name(vif),
        'network_id': vif.network_id,
    }
    if subnet.ipv6_address_mode:
        found['type'] += '_' + subnet.ipv6_address_mode
    elif subnet.dhcp or subnet.dhcp_server:
        found['type'] += '_dhcp'
        return found
    found['ip_address'] = ip.address
    found['netmask'] = str(ipaddress.ip_network(subnet.cidr, strict=False).netmask)
    found['routes'] = _routes(subnet)
    found['services'] = _services(subnet)
    return found


def _routes(subnet: Subnet) -> list[Json]:
    routes = [_route(route.cidr, route.gateway) for route in subnet.routes]
    if subnet.gateway:
        routes.insert(0, _route('::/0' if subnet.version == 6 else '0.0.0.0/0', subnet.gateway))
    return routes


def _route(cidr: str, gateway: str) -> Json:
    network = ipaddress.ip_network(cidr, strict=False)
    return {
        'network': str(network.network_address),
        'netmask': str(network.netmask),
        'gateway': gateway,
    }


def _services(subnet: Subnet) -> list[Json]:
    return [{'type': 'dns', 'address': address} for address in subnet.dns]
