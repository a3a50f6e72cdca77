"""What ports ask of a host: bandwidth, packet rates (Neutron's QoS).

Only the service may see a port's ``resource_request``, so that is looked at here, each time
before a host is chosen.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from kilonova.common.objects.network import Networks
from kilonova.common.objects.request_spec import PortGroup, RequestSpec, Selection
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Ports

KEY = 'resource_request'


def look(neutron: Ports, spec: RequestSpec, servers: Iterable[Server]) -> RequestSpec:
    """Return the request with what the servers' ports ask for.  One request to Neutron, or none."""
    wanted = {entry.port_id for entry in spec.networks if entry.port_id}
    wanted |= {vif.id for server in servers for vif in server.network_info}
    if not wanted:
        return spec
    groups: list[PortGroup] = []
    subtrees: list[list[str]] = []
    for port in neutron.find('ports', id=sorted(wanted)):
        request = port.get(KEY) or {}
        groups += _groups(str(port['id']), request)
        if request.get('same_subtree'):
            subtrees.append([str(group) for group in request['same_subtree']])
    return msgspec.structs.replace(spec, port_groups=groups, same_subtree=subtrees)


def _groups(port_id: str, request: dict[str, Any]) -> list[PortGroup]:
    """Read both forms: one group that is the request itself, or several with ids."""
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


def allocated(networks: Networks, to: Selection | None) -> Networks:
    """Return the networks with the providers that serve each port, for Neutron to know."""
    if to is None or not to.ports:
        return networks
    requests = [
        msgspec.structs.replace(entry, allocation=to.ports.get(entry.port_id or ''))
        for entry in networks.requests
    ]
    return msgspec.structs.replace(networks, requests=requests)
