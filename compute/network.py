"""A server's ports in Neutron.

We speak as the service here: binding a port to a host is not for users, and the work may
outlive the user's token.  The API has checked what the user may use.
"""

import datetime
import time
from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils

from kilonova.common import exception
from kilonova.common.clients import neutron as neutron_client
from kilonova.common.clients import vif as vif_client
from kilonova.common.objects.network import VIF, NetworkRequest, Networks, profile_with
from kilonova.common.objects.server import Server

LOG = logging.getLogger(__name__)

Json = dict[str, Any]
# Why a cloud without Neutron cannot be asked for ports.
NO_NEUTRON = ('EndpointNotFound', 'EmptyCatalog', 'MissingAuthPlugin', 'CatalogNotFound')
RETRY_PAUSE = 1.0


class PortBindingFailed(exception.BuildError):
    """No mechanism driver of Neutron could bind a port on this host."""


class Ports:
    """Makes, binds, describes and removes the ports of servers on one host."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        host: str,
        client: Callable[[cfg.ConfigOpts], neutron_client.Neutron] = neutron_client.client,
    ) -> None:
        self._conf, self._host = conf, host
        self._make_client = client

    def allocate(
        self, server: Server, networks: Networks, clean_first: bool, check: Callable[[], None]
    ) -> list[VIF]:
        """Make and bind all ports; what an earlier attempt left is removed first.

        Raises BuildAborted (it would be the same on another host), PortBindingFailed.
        The caller calls ``roll_back`` when this or anything later fails.
        """
        retries = self._conf.network_allocate_retries
        for attempt in range(retries + 1):
            try:
                return self._allocate(server, networks, clean_first or attempt > 0)
            except exception.FellowServiceError as error:
                if attempt == retries:
                    raise _aborted(server, error) from error
                LOG.warning('Ports of server %s: %s', server.uuid, error)
            except exception.BuildError:
                raise
            except exception.KilonovaError as error:
                raise _aborted(server, error) from error
            check()
            time.sleep(RETRY_PAUSE)
        raise AssertionError('not reached')

    def roll_back(self, server: Server, networks: Networks) -> None:
        """Remove the ports that were made here and give back those that were given.

        A newer attempt on another host may own the server's ports by now: only those
        bound to this host are touched.
        """
        given = {request.port_id for request in networks.requests if request.port_id}
        client = self._client()
        for port in client.ports_of(server.uuid):
            if port.get('binding:host_id') == self._host:
                self._remove(client, port, keep=port['id'] in given)

    def deallocate(self, server: Server) -> None:
        """Remove all ports of a server that goes; ports that were given are only given back.

        A server that was built without ports is believed to have none.
        """
        known = {vif.id: vif for vif in server.network_info}
        if not known and server.launched_at is not None:
            return
        client = self._client()
        try:
            ports = client.ports_of(server.uuid)
        except exception.FellowServiceError as error:
            if not known and error.kwargs.get('reason') in NO_NEUTRON:
                return
            raise
        for port in ports:
            vif = known.get(port['id'])
            keep = vif.preserve_on_delete if vif else _is_older(port, server.created_at)
            self._remove(client, port, keep)

    def describe(self, server: Server) -> list[VIF]:
        """Return what Neutron says now of a server's ports, in the order known so far."""
        known = {vif.id: vif for vif in server.network_info}
        order = {port_id: number for number, port_id in enumerate(known)}
        client = self._client()
        ports = client.ports_of(server.uuid)
        ports.sort(key=lambda port: order.get(port['id'], len(order)))
        found = vif_client.build(
            client,
            ports,
            ovs_bridge=self._conf.neutron.ovs_bridge,
            preserve={vif.id for vif in known.values() if vif.preserve_on_delete},
            tags={vif.id: vif.tag for vif in known.values() if vif.tag},
        )
        for vif in found:
            vif.place = known[vif.id].place if vif.id in known else None
        return found

    def attach(self, server: Server, request: NetworkRequest, known: list[str], again: bool) -> VIF:
        """Make and bind one more port; ``again``: an earlier attempt may have made it already.

        When it fails the port is removed, or given back.
        """
        client = self._client()
        given = request.port_id
        if given:
            self._check_given(client, server, [given])
        port = self._left_behind(client, server, request, known) if again and not given else None
        if port is None:
            (port,) = self._make(client, server, [request])
        try:
            return self._bound(client, server, port, request)
        except exception.KilonovaError:
            self._remove(client, port, keep=bool(given))
            raise

    def detach(self, vif: VIF) -> None:
        """Remove a port, or give it back when it was given."""
        port = {
            'id': vif.id,
            'binding:vnic_type': vif.vnic_type,
            'binding:profile': vif.profile,
        }
        self._remove(self._client(), port, keep=vif.preserve_on_delete)

    # -- how

    def _bound(
        self, client: neutron_client.Neutron, server: Server, port: Json, request: NetworkRequest
    ) -> VIF:
        (vif,) = vif_client.build(
            client,
            [port],
            ovs_bridge=self._conf.neutron.ovs_bridge,
            preserve={request.port_id} if request.port_id else (),
            tags={port['id']: request.tag} if request.tag else {},
        )
        if vif.type == 'binding_failed':
            raise PortBindingFailed(
                uuid=server.uuid, reason=f'Neutron could not bind port {vif.id} on {self._host}.'
            )
        return vif

    def _left_behind(
        self,
        client: neutron_client.Neutron,
        server: Server,
        request: NetworkRequest,
        known: list[str],
    ) -> Json | None:
        found = [
            port
            for port in client.ports_of(server.uuid)
            if port['id'] not in known
            and (port['network_id'], port.get('binding:host_id'))
            == (request.network_id, self._host)
        ]
        return found[0] if found else None

    def _client(self) -> neutron_client.Neutron:
        return self._make_client(self._conf)

    def _allocate(self, server: Server, networks: Networks, clean_first: bool) -> list[VIF]:
        client = self._client()
        requests = self._resolve(client, server, networks)
        given = {request.port_id for request in requests if request.port_id}
        if clean_first:
            for port in client.ports_of(server.uuid):
                if port['id'] not in given:
                    self._remove(client, port, keep=False)
        self._check_given(client, server, sorted(given))
        ports = self._make(client, server, requests)
        tags = {
            port['id']: request.tag
            for port, request in zip(ports, requests, strict=True)
            if request.tag
        }
        vifs = vif_client.build(
            client, ports, ovs_bridge=self._conf.neutron.ovs_bridge, preserve=given, tags=tags
        )
        failed = [vif.id for vif in vifs if vif.type == 'binding_failed']
        if failed:
            raise PortBindingFailed(
                uuid=server.uuid,
                reason=f'Neutron could not bind the ports {", ".join(failed)} on {self._host}.',
            )
        return vifs

    @staticmethod
    def _resolve(
        client: neutron_client.Neutron, server: Server, networks: Networks
    ) -> list[NetworkRequest]:
        if networks.mode != 'auto':
            return networks.requests
        network_id = client.auto_allocated_network(server.project_id)
        return [NetworkRequest(network_id=network_id)]

    @staticmethod
    def _check_given(client: neutron_client.Neutron, server: Server, port_ids: list[str]) -> None:
        """Look at the given ports before any is changed.  Raises PortNotFound, PortInUse."""
        if not port_ids:
            return
        found = {port['id']: port for port in client.list_ports(id=port_ids)}
        for port_id in port_ids:
            if port_id not in found:
                raise exception.PortNotFound(port_id=port_id)
            if found[port_id].get('device_id') not in (None, '', server.uuid):
                raise exception.PortInUse(port_id=port_id)

    def _make(
        self, client: neutron_client.Neutron, server: Server, requests: list[NetworkRequest]
    ) -> list[Json]:
        """Bind the given ports and create the others, in one request; returns all, in order."""
        binding = {
            'device_id': server.uuid,
            'device_owner': f'compute:{server.availability_zone or ""}',
            'binding:host_id': self._host,
        }
        new = [request for request in requests if not request.port_id]
        groups = self._security_groups(client, server) if new else None
        bound = {
            request.port_id: client.update_port(
                request.port_id, binding | _profile(client, request)
            )
            for request in requests
            if request.port_id
        }
        created = iter(
            client.create_ports([_body(server, request, binding, groups) for request in new])
            if new
            else []
        )
        return [
            bound[request.port_id] if request.port_id else next(created) for request in requests
        ]

    @staticmethod
    def _security_groups(client: neutron_client.Neutron, server: Server) -> list[str] | None:
        """Return the groups' ids; None for 'default', which Neutron uses by itself."""
        names = server.security_groups
        if not names or names == ['default']:
            return None
        return [group['id'] for group in client.security_groups(server.project_id, names)]

    @staticmethod
    def _remove(client: neutron_client.Neutron, port: Json, keep: bool) -> None:
        if not keep:
            client.delete_port(port['id'])
            return
        changes: Json = {'device_id': '', 'device_owner': '', 'binding:host_id': ''}
        known = port.get('binding:profile') or {}
        if known != profile_with(known, {}):
            changes['binding:profile'] = profile_with(known, {})
        if port.get('binding:vnic_type') == 'direct-physical':
            # It had taken the address of the card that was passed through; Neutron makes a new one.
            changes['mac_address'] = None
        try:
            client.update_port(port['id'], changes)
        except exception.PortNotFound:
            LOG.info('Port %s has been deleted by its owner', port['id'])


def _body(server: Server, request: NetworkRequest, binding: Json, groups: list[str] | None) -> Json:
    body: Json = {
        **binding,
        'network_id': request.network_id,
        'project_id': server.project_id,
        'admin_state_up': True,
    }
    if request.fixed_ip:
        body['fixed_ips'] = [{'ip_address': request.fixed_ip}]
    if groups is not None:
        body['security_groups'] = groups
    return body


def _aborted(server: Server, error: exception.KilonovaError) -> exception.BuildAborted:
    return exception.BuildAborted(uuid=server.uuid, reason=f'The network is not available: {error}')


def _is_older(port: Json, moment: datetime.datetime | None) -> bool:
    """Return whether a port existed before a server did, so that it cannot be one of ours.

    For ports that no report has told of: the host died between making and reporting.
    """
    created = port.get('created_at')
    if created is None or moment is None:
        return True
    return timeutils.normalize_time(timeutils.parse_isotime(created)) < moment


def _profile(client: neutron_client.Neutron, request: NetworkRequest) -> Json:
    """Return the binding profile of a port that has something of this host."""
    if not request.profile:
        return {}
    (port,) = client.find('ports', id=request.port_id) or [{}]
    return {'binding:profile': profile_with(port.get('binding:profile'), request.profile)}
