"""What ports ask of a host: bandwidth, packet rates (Neutron's QoS), PCI devices.

Only the service may see a port's ``resource_request``, so that is looked at here, each time
before a host is chosen.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from kilonova.common import exception
from kilonova.common.objects.pci import POLICIES, PciRequest
from kilonova.common.objects.request_spec import PortGroup, RequestSpec
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Ports

KEY = 'resource_request'
DEVICES: dict[str, dict[str, str]] = {
    'direct': {},
    'direct-physical': {'dev_type': 'type-PF'},
    'macvtap': {},
    'virtio-forwarder': {},
    'vdpa': {'dev_type': 'vdpa'},
    'remote-managed': {'remote_managed': 'true'},
}
"""Kinds of ports that are PCI devices, and what these have to be like."""


def look(neutron: Ports, spec: RequestSpec, servers: Iterable[Server]) -> RequestSpec:
    """Return the request with what the servers' ports ask for.  One request to Neutron, or none;
    one more when some are PCI devices."""
    wanted = {entry.port_id for entry in spec.networks if entry.port_id}
    wanted |= {vif.id for server in servers for vif in server.network_info}
    if not wanted:
        return spec
    groups: list[PortGroup] = []
    subtrees: list[list[str]] = []
    ports = neutron.find('ports', id=sorted(wanted))
    for port in ports:
        groups += groups_of(port)
        subtrees += _subtrees(port)
    return msgspec.structs.replace(
        spec, port_groups=groups, same_subtree=subtrees, pci_requests=_devices(neutron, ports)
    )


class Attached(NamedTuple):
    """What a port wants that is to be attached."""

    groups: list[PortGroup] = []
    same_subtree: list[list[str]] = []
    devices: list[PciRequest] = []


def of_attached(neutron: Ports, server_uuid: str, port_id: str) -> Attached:
    """Return what a port wants of its server's host.

    Raises AttachInterfaceWithQoSPolicyNotSupported: both must be of one card, which only a
    choice of hosts sees to.
    """
    for port in neutron.find('ports', id=[port_id]):
        found = Attached(groups_of(port), _subtrees(port), _devices(neutron, [port]))
        if found.groups and found.devices:
            raise exception.AttachInterfaceWithQoSPolicyNotSupported(instance_uuid=server_uuid)
        return found
    return Attached()


def _subtrees(port: dict[str, Any]) -> list[list[str]]:
    names = (port.get(KEY) or {}).get('same_subtree')
    return [[str(name) for name in names]] if names else []


def groups_of(port: dict[str, Any]) -> list[PortGroup]:
    """Read both forms: one group that is the request itself, or several with ids."""
    request, port_id = port.get(KEY) or {}, str(port['id'])
    found = request.get('request_groups')
    if found is None:
        found = [{'id': port_id, **request}] if request.get('resources') else []
    return [
        PortGroup(
            id=str(group['id']),
            port_id=port_id,
            resources={name: int(amount) for name, amount in group.get('resources', {}).items()},
            required=list(group.get('required', [])),
        )
        for group in found
        if group.get('resources')
    ]


def _devices(neutron: Ports, ports: Iterable[dict[str, Any]]) -> list[PciRequest]:
    found = [port for port in ports if port.get('binding:vnic_type') in DEVICES]
    if not found:
        return []
    ids = sorted({str(port['network_id']) for port in found})
    networks = {network['id']: network for network in neutron.find('networks', id=ids)}
    return [_device(port, networks.get(port['network_id'], {})) for port in found]


def _device(port: dict[str, Any], network: dict[str, Any]) -> PciRequest:
    spec = {'remote_managed': 'false', 'physical_network': _physical(network)}
    spec |= DEVICES[port['binding:vnic_type']]
    trusted = (port.get('binding:profile') or {}).get('trusted')
    if trusted is not None:
        spec['trusted'] = str(trusted).lower()
    policy = port.get('numa_affinity_policy')
    return PciRequest(
        specs=[spec],
        port_id=str(port['id']),
        numa_policy=policy if policy in POLICIES else 'legacy',
    )


def _physical(network: dict[str, Any]) -> str:
    """Return the physical network of the only, or the first mapped, segment; '' for a tunnel."""
    segments = network.get('segments') or [network]
    names = (segment.get('provider:physical_network') for segment in segments)
    return next((str(name) for name in names if name), '')
