"""Attach and detach interfaces; fixed addresses of the interfaces that are there."""

from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.common.objects.network import NetworkRequest
from kilonova.common.objects.operation import ExternalEvent
from kilonova.common.objects.server import Server
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults, waiting
from kilonova.conductor.tasks.procedure import Phase, Procedure
from kilonova.conductor.tasks.simple import SimplePayload
from kilonova.db import servers
from kilonova.db.engine import retry

ATTACH, DETACH = 'attach_interface', 'detach_interface'
# Less than the callers' time limit, so that they hear why.
PATIENCE = 60.0


class Interfaces:
    """Endpoint, and the two procedures."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        self._procedures = {
            action: Procedure(
                parts,
                engine,
                action,
                (
                    Phase[SimplePayload](
                        name=action,
                        event=f'compute_{action}',
                        work=lambda job: job.payload.work,
                    ),
                ),
                payload=SimplePayload,
            )
            for action in (ATTACH, DETACH)
        }

    def attach_interface(self, context: Ctx, uuid: str, request: NetworkRequest) -> str:
        before: set[str] = set()
        wanted = work.AttachInterface(request=request)

        def accepting(session: Session, server: Server) -> None:
            before.update(vif.id for vif in server.network_info)
            if request.port_id in before:
                raise exception.PortInUse(port_id=request.port_id)
            wanted.known = sorted(before)

        payload = SimplePayload(context=faults.keep(context), rule=ATTACH, work=wanted)
        operation = self._procedures[ATTACH].accept(context, uuid, payload, accepting)
        waiting.wait_for(self._parts, operation, PATIENCE)
        with self._parts.cell_db.reader() as session:
            after = servers.get(session, uuid).network_info
        new = [vif.id for vif in after if vif.id not in before]
        if not new:
            raise exception.Conflict('The interface has been detached again.')
        return request.port_id or new[-1]

    def detach_interface(self, context: Ctx, uuid: str, port_id: str) -> None:
        def accepting(session: Session, server: Server) -> None:
            if port_id not in {vif.id for vif in server.network_info}:
                raise exception.PortNotFound(port_id=port_id)

        wanted = work.DetachInterface(port_id=port_id)
        payload = SimplePayload(context=faults.keep(context), rule=DETACH, work=wanted)
        self._procedures[DETACH].accept(context, uuid, payload, accepting)

    # -- addresses

    def add_fixed_ip(self, context: Ctx, uuid: str, network_id: str) -> None:
        server = self._checked(context, uuid, 'addFixedIp')
        neutron = self._parts.neutron
        for port in neutron.ports_of(uuid):
            if port['network_id'] == network_id:
                break
        else:
            raise exception.NetworkNotFoundForInstance(network_id=network_id, instance_id=uuid)
        held = [ip['subnet_id'] for ip in port['fixed_ips']]
        others = [one['id'] for one in neutron.find('subnets', network_id=network_id)]
        for subnet in dict.fromkeys([*held, *others]):
            try:
                neutron.update_port(
                    port['id'], {'fixed_ips': [*port['fixed_ips'], {'subnet_id': subnet}]}
                )
            except (exception.NoMoreFixedIps, exception.NeutronRefused):
                continue
            self._look_again(context, server)
            return
        raise exception.NoMoreFixedIps(network_id=network_id)

    def remove_fixed_ip(self, context: Ctx, uuid: str, address: str) -> None:
        server = self._checked(context, uuid, 'removeFixedIp')
        neutron = self._parts.neutron
        for port in neutron.ports_of(uuid):
            left = [ip for ip in port['fixed_ips'] if ip['ip_address'] != address]
            if len(left) < len(port['fixed_ips']):
                neutron.update_port(port['id'], {'fixed_ips': left})
                self._look_again(context, server)
                return
        raise exception.FixedIpNotFoundForInstance(instance_uuid=uuid, ip=address)

    def inject_network_info(self, context: Ctx, uuid: str) -> None:
        self._look_again(context, self._checked(context, uuid, 'injectNetworkInfo'))

    @retry
    def _checked(self, context: Ctx, uuid: str, rule: str) -> Server:
        with self._parts.cell_db.reader() as session:
            server = servers.get(session, uuid)
        state.check(context, server, state.RULES[rule])
        return server

    def _look_again(self, context: Ctx, server: Server) -> None:
        """Have the host see what has become of the ports."""
        if server.host:
            event = ExternalEvent(name='network-changed', server_uuid=server.uuid)
            self._parts.compute.at(server.host).external_events(context, [event])
