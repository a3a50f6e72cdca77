"""What the ``networks`` of a create request come to, looked up in Neutron.

Everything is asked for in a bounded number of requests, whatever the number of networks,
ports and servers; ``none`` asks for nothing.
"""

from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from kilonova.api.faults import Fault
from kilonova.api.policies import ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.clients import neutron
from kilonova.common.objects.network import NetworkRequest, Networks

EXTERNAL = SoftRule(
    'network:attach_external_network', ADMIN, 'Attach servers to external networks.'
)
DEFAULT_GROUP = 'default'
# A port may be without an address when it gets one later, or on purpose.
_NO_ADDRESS = ('deferred', 'none')

Json = dict[str, Any]


def read(asked: list[Json] | str | None) -> Networks:
    """Turn the body's part into requests; no entry at all means that we choose."""
    if isinstance(asked, str):
        return Networks(mode=asked)
    return Networks(requests=[_entry(entry) for entry in asked or []])


def _entry(entry: Json) -> NetworkRequest:
    port, network, address = entry.get('port'), entry.get('uuid'), entry.get('fixed_ip')
    if port:
        if address:
            raise Fault(
                400,
                f"Specified Fixed IP '{address}' cannot be used with port '{port}': "
                'the two cannot be specified together.',
            )
        return NetworkRequest(port_id=port, tag=entry.get('tag'))
    if not network:
        raise Fault(400, "Bad networks format: it needs 'uuid' or 'port'")
    if not uuidutils.is_uuid_like(network):
        raise Fault(400, f'Bad networks format: network uuid is not in proper format ({network})')
    return NetworkRequest(network_id=network, fixed_ip=address, tag=entry.get('tag'))


def resolve(
    request: Request, asked: Networks, min_count: int, max_count: int
) -> tuple[Networks, int]:
    """Check what is asked for; return it with how many servers the port quota leaves.

    Raises NetworkNotFound, NetworkAmbiguous, PortNotFound, PortInUse, PortLimitExceeded, ….
    """
    if asked.mode == 'none':
        return asked, max_count
    client = neutron.client(request.conf, request.context)
    if asked.requests:
        _check_counts(asked.requests, max_count)
        _check_ports(client, [entry for entry in asked.requests if entry.port_id])
        _check_networks(request, client, [e for e in asked.requests if not e.port_id])
        found = asked
    else:
        found = _choose(request, client, automatic=asked.mode == 'auto')
    new_ports = sum(1 for entry in found.requests if not entry.port_id)
    if found.mode == 'auto':
        new_ports = 1
    return found, _within_quota(request, client, new_ports, min_count, max_count)


def _check_counts(requests: Sequence[NetworkRequest], max_count: int) -> None:
    if max_count > 1 and any(entry.fixed_ip for entry in requests):
        raise Fault(400, 'A fixed IP cannot be given when more than one server is created.')
    if max_count > 1 and any(entry.port_id for entry in requests):
        raise Fault(400, 'A port cannot be given when more than one server is created.')
    ports = [entry.port_id for entry in requests if entry.port_id]
    twice = next((port for port in ports if ports.count(port) > 1), None)
    if twice is not None:
        raise Fault(400, f'Port {twice} is given twice.')


def _check_ports(client: neutron.Neutron, requests: Sequence[NetworkRequest]) -> None:
    if not requests:
        return
    found = {port['id']: port for port in client.list_ports(id=[e.port_id for e in requests])}
    for entry in requests:
        port = found.get(str(entry.port_id))
        if port is None:
            raise exception.PortNotFound(port_id=entry.port_id)
        if port.get('device_id'):
            raise exception.PortInUse(port_id=entry.port_id)
        if not port.get('fixed_ips') and port.get('ip_allocation') not in _NO_ADDRESS:
            raise exception.PortRequiresFixedIP(port_id=entry.port_id)
        entry.network_id = port['network_id']
        entry.vnic_type = port.get('binding:vnic_type')
        entry.subnets = [ip['subnet_id'] for ip in port['fixed_ips'] if 'subnet_id' in ip]


def _check_networks(
    request: Request, client: neutron.Neutron, requests: Sequence[NetworkRequest]
) -> None:
    if not requests:
        return
    ids = sorted({str(entry.network_id) for entry in requests})
    found = {network['id']: network for network in client.list_networks(id=ids)}
    for entry in requests:
        network = found.get(str(entry.network_id))
        if network is None:
            raise exception.NetworkNotFound(network_id=entry.network_id)
        _check_usable(request, network)
    _check_addresses(client, requests)


def _check_usable(request: Request, network: Json) -> None:
    if not network.get('subnets'):
        raise exception.NetworkRequiresSubnet(network_id=network['id'])
    external = network.get('router:external') and not network.get('shared')
    if external and not request.allows(EXTERNAL.name):
        raise exception.ExternalNetworkAttachForbidden(network_id=network['id'])


def _check_addresses(client: neutron.Neutron, requests: Sequence[NetworkRequest]) -> None:
    wanted = {(entry.network_id, entry.fixed_ip) for entry in requests if entry.fixed_ip}
    if not wanted:
        return
    ports = client.list_ports(
        network_id=sorted({str(network) for network, _ in wanted}),
        fixed_ips=sorted({f'ip_address={address}' for _, address in wanted}),
    )
    for port in ports:
        for ip in port['fixed_ips']:
            if (port['network_id'], ip['ip_address']) in wanted and port.get('device_id'):
                raise exception.FixedIpAlreadyInUse(
                    address=ip['ip_address'], instance_uuid=port['device_id']
                )


def _choose(request: Request, client: neutron.Neutron, automatic: bool) -> Networks:
    """Take the project's only network; none at all is fine unless one was asked for."""
    project_id = str(request.context.project_id)
    usable = client.usable_networks(project_id, only_up=automatic)
    if len(usable) > 1:
        raise exception.NetworkAmbiguous()
    if usable:
        _check_usable(request, usable[0])
        return Networks(requests=[NetworkRequest(network_id=usable[0]['id'])])
    if not automatic:
        return Networks(mode='none')
    client.auto_allocated_network(project_id, dry_run=True)
    return Networks(mode='auto')


def _within_quota(
    request: Request, client: neutron.Neutron, new_ports: int, min_count: int, max_count: int
) -> int:
    if not new_ports:
        return max_count
    free = client.free_ports(str(request.context.project_id))
    if free is None:
        return max_count
    possible = min(max_count, free // new_ports)
    if possible < min_count:
        raise exception.PortLimitExceeded()
    return possible


def security_groups(request: Request, asked: list[Json] | None) -> list[str]:
    """Return the groups as they were asked for, each once, when all of them exist.

    The default group needs no look-up: Neutron puts it on ports by itself.
    """
    names = list(dict.fromkeys(group['name'] for group in asked or [] if 'name' in group))
    if not names:
        return [DEFAULT_GROUP]
    if names == [DEFAULT_GROUP]:
        return names
    client = neutron.client(request.conf, request.context)
    client.security_groups(str(request.context.project_id), names)
    return names
