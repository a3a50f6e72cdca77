"""Virtual interfaces, put together from what Neutron says of a server's ports."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kilonova.common.clients.neutron import Neutron
from kilonova.common.objects.network import VIF, FixedIP, Route, Subnet

Json = dict[str, Any]
# What fits the kernel's name of an interface, as Neutron's agents shorten it too.
NAME_LENGTH = 14


def build(
    neutron: Neutron,
    ports: Sequence[Json],
    *,
    ovs_bridge: str = 'br-int',
    preserve: Collection[str] = (),
    tags: Mapping[str, str] | None = None,
) -> list[VIF]:
    """Return a VIF for each port, in their order.

    Three requests whatever the number of ports: networks, subnets, floating IPs.
    ``preserve`` are the ports that outlive the server; ``tags`` are device tags by port.
    """
    if not ports:
        return []
    networks = {n['id']: n for n in neutron.list_networks(id=_ids(ports, 'network_id'))}
    addresses = [ip for port in ports for ip in port.get('fixed_ips', [])]
    subnets = {s['id']: _subnet(s) for s in neutron.list_subnets(id=_ids(addresses, 'subnet_id'))}
    floating = _floating(neutron.floating_ips_of(port['id'] for port in ports))
    return [
        _vif(
            port,
            networks.get(port['network_id'], {}),
            subnets,
            floating,
            ovs_bridge=ovs_bridge,
            preserve=port['id'] in preserve,
            tag=(tags or {}).get(port['id']),
        )
        for port in ports
    ]


def _ids(things: Sequence[Json], key: str) -> list[str]:
    return sorted({thing[key] for thing in things if thing.get(key)})


def _floating(found: list[Json]) -> dict[tuple[str, str], list[str]]:
    """Return floating addresses by port and fixed address."""
    result: dict[tuple[str, str], list[str]] = {}
    for item in found:
        key = (item['port_id'], item['fixed_ip_address'])
        result.setdefault(key, []).append(item['floating_ip_address'])
    return result


def _subnet(subnet: Json) -> Subnet:
    dhcp = bool(subnet.get('enable_dhcp'))
    return Subnet(
        id=subnet['id'],
        cidr=subnet['cidr'],
        version=subnet.get('ip_version', 4),
        gateway=subnet.get('gateway_ip'),
        dns=list(subnet.get('dns_nameservers') or []),
        routes=[
            Route(cidr=route['destination'], gateway=route['nexthop'])
            for route in subnet.get('host_routes') or []
        ],
        dhcp=dhcp,
        dhcp_server=subnet.get('gateway_ip') if dhcp else None,
        ipv6_address_mode=subnet.get('ipv6_address_mode'),
    )


def _vif(
    port: Json,
    network: Json,
    subnets: dict[str, Subnet],
    floating: dict[tuple[str, str], list[str]],
    *,
    ovs_bridge: str,
    preserve: bool,
    tag: str | None,
) -> VIF:
    fixed_ips = [_fixed_ip(port, ip, subnets, floating) for ip in port.get('fixed_ips', [])]
    used = dict.fromkeys(ip.subnet_id for ip in fixed_ips if ip.subnet_id in subnets)
    kind = port.get('binding:vif_type')
    details = port.get('binding:vif_details') or {}
    return VIF(
        id=port['id'],
        address=port['mac_address'],
        network_id=port['network_id'],
        label=network.get('name') or '',
        fixed_ips=fixed_ips,
        subnets=[subnets[subnet_id] for subnet_id in used if subnet_id],
        devname=('tap' + port['id'])[:NAME_LENGTH],
        type=kind,
        details=details,
        profile=port.get('binding:profile') or {},
        vnic_type=port.get('binding:vnic_type') or 'normal',
        active=port.get('status') == 'ACTIVE',
        mtu=network.get('mtu'),
        bridge=_bridge(kind, details, port['network_id'], ovs_bridge),
        tenant_id=network.get('tenant_id') or network.get('project_id'),
        physical_network=network.get('provider:physical_network'),
        preserve_on_delete=preserve,
        tag=tag,
    )


def _fixed_ip(
    port: Json,
    ip: Json,
    subnets: dict[str, Subnet],
    floating: dict[tuple[str, str], list[str]],
) -> FixedIP:
    address = ip['ip_address']
    subnet = subnets.get(ip.get('subnet_id', ''))
    return FixedIP(
        address=address,
        version=subnet.version if subnet else (6 if ':' in address else 4),
        subnet_id=ip.get('subnet_id'),
        floating_ips=floating.get((port['id'], address), []),
    )


def _bridge(kind: str | None, details: Json, network_id: str, ovs_bridge: str) -> str | None:
    """Return the bridge that the port is put on, by the rule of Neutron's agents."""
    named: str | None = details.get('bridge_name')
    if named:
        return named
    if kind == 'ovs':
        return ovs_bridge
    if kind == 'bridge':
        return ('brq' + network_id)[:NAME_LENGTH]
    return None
