"""Ports of a server whose host cannot clean up after itself."""

from typing import Any

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.network import Networks, profile_with
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Ports

LOG = logging.getLogger(__name__)

FREE = {'device_id': '', 'device_owner': ''}

# In a server's system_metadata: what it was asked to have.
MODE, GIVEN = 'networks_mode', 'given_ports'


def remember(networks: Networks) -> dict[str, str]:
    """Return system_metadata that ``clean`` needs later."""
    asked = [request.port_id for request in networks.requests if request.port_id]
    return {MODE: networks.mode} | ({GIVEN: ' '.join(asked)} if asked else {})


def clean(neutron: Ports, server: Server) -> None:
    """Delete the server's ports, but let go of those that the user had made.

    Raises FellowServiceError.
    """
    known = server.system_metadata
    if known.get(MODE) == 'none' and not server.network_info:
        return
    keep = {vif.id for vif in server.network_info if vif.preserve_on_delete}
    keep.update(known.get(GIVEN, '').split())
    for port in neutron.ports_of(server.uuid):
        port_id = str(port['id'])
        if port_id not in keep:
            neutron.delete_port(port_id)
            continue
        try:
            neutron.update_port(port_id, FREE | _unbound(port))
        except exception.PortNotFound:
            LOG.info('Port %s of server %s is gone already', port_id, server.uuid)


def unbind(neutron: Ports, server: Server) -> None:
    """Take a server's ports off its host; they stay the server's."""
    if server.network_info:
        for port in neutron.ports_of(server.uuid):
            neutron.update_port(str(port['id']), _unbound(port))


def _unbound(port: dict[str, Any]) -> dict[str, Any]:
    return {'binding:host_id': '', 'binding:profile': profile_with(port.get('binding:profile'), {})}
