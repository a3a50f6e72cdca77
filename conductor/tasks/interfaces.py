"""Attach and detach interfaces; fixed addresses of the interfaces that are there."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.fitting import numa
from kilonova.common.objects import work
from kilonova.common.objects.network import VIF, NetworkRequest
from kilonova.common.objects.operation import ExternalEvent
from kilonova.common.objects.pci import PciRequest
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults, layouts, port_profiles, port_requests, waiting
from kilonova.conductor.tasks.phases import Changes, Phase
from kilonova.conductor.tasks.port_claims import PortClaims, PortJob, PortPayload, PortPhases
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.db import operations, servers
from kilonova.db.engine import retry

ATTACH, DETACH = 'attach_interface', 'detach_interface'
# Less than the callers' time limit, so that they hear why.
PATIENCE = 60.0
BUSY_PATIENCE = 10.0


class Interfaces:
    """Endpoint, and the two procedures."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts, claims = parts, PortClaims(parts)
        self._procedures = {
            action: Procedure(
                parts, engine, action, phases, payload=PortPayload, failed=_failed, exclusive=False
            )
            for action, phases in (
                (ATTACH, (*claims.claim(), _at_host(ATTACH, _attached, undo=claims.release()))),
                (DETACH, (*claims.learn(), _at_host(DETACH, _detached), *claims.release())),
            )
        }

    def attach_interface(self, context: Ctx, uuid: str, request: NetworkRequest) -> VIF:
        before: set[str] = set()
        wanted = work.AttachInterface(request=request)
        asked = port_requests.Attached()
        if request.port_id:
            asked = port_requests.of_attached(self._parts.neutron, uuid, request.port_id)

        def accepting(session: Session, server: Server) -> None:
            _check_idle(session, uuid)
            before.update(vif.id for vif in server.network_info)
            if request.port_id in before:
                raise exception.PortInUse(port_id=request.port_id)
            wanted.known = sorted(before)
            if asked.devices:
                request.profile = _give(session, server, asked.devices)

        payload = PortPayload(
            context=faults.keep(context),
            rule=ATTACH,
            work=wanted,
            groups=asked.groups,
            same_subtree=asked.same_subtree,
        )
        operation = self._accept(ATTACH, context, uuid, payload, accepting)
        waiting.wait_for(self._parts, operation, PATIENCE)
        with self._parts.cell_db.reader() as session:
            after = servers.get(session, uuid).network_info
        new = [vif for vif in after if vif.id not in before]
        if request.port_id:
            new = [vif for vif in new if vif.id == request.port_id]
        if not new:
            raise exception.Conflict('The interface has been detached again.')
        # The next change may be over already; what is new comes at the end.
        return new[0]

    def detach_interface(self, context: Ctx, uuid: str, port_id: str) -> None:
        def accepting(session: Session, server: Server) -> None:
            _check_idle(session, uuid)
            if port_id not in {vif.id for vif in server.network_info}:
                raise exception.PortNotFound(port_id=port_id)

        wanted = work.DetachInterface(port_id=port_id)
        payload = PortPayload(context=faults.keep(context), rule=DETACH, work=wanted)
        self._accept(DETACH, context, uuid, payload, accepting)

    def _accept(
        self,
        action: str,
        context: Ctx,
        uuid: str,
        payload: PortPayload,
        accepting: Callable[[Session, Server], None],
    ) -> str:
        """Accept when the change before this one is over, which takes a moment only."""
        for step in waiting.steps(BUSY_PATIENCE):
            try:
                return self._procedures[action].accept(context, uuid, payload, accepting)
            except exception.InstanceBusy:
                waiting.pause(step)
        raise exception.InstanceBusy(instance_uuid=uuid)

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


def _at_host(
    action: str,
    ended: Callable[[Session, PortJob, WorkResult], Changes],
    undo: PortPhases = (),
) -> Phase[PortPayload]:
    return Phase(
        name=action,
        event=f'compute_{action}',
        work=lambda job: job.payload.work,
        ended=ended,
        undo=undo,
    )


def _check_idle(session: Session, uuid: str) -> None:
    """Interfaces of a server change one at a time.  Raises InstanceBusy."""
    if operations.payloads(session, uuid, (ATTACH, DETACH)):
        raise exception.InstanceBusy(instance_uuid=uuid)


def _give(session: Session, server: Server, wanted: list[PciRequest]) -> dict[str, Any]:
    """Give a server devices for a port; returns what the port's profile says of them.

    Raises InterfaceAttachPciClaimFailed.
    """
    try:
        found = layouts.find_more(session, server, wanted)
    except numa.Misfit as error:
        raise exception.InterfaceAttachPciClaimFailed(instance_uuid=server.uuid) from error
    servers.update(session, server.uuid, pci_devices=[*server.pci_devices, *found])
    (profile,) = port_profiles.of(None, found).values()
    return profile


def _without(server: Server, port_id: str | None) -> Changes:
    """Return the server's devices without those of a port; nothing, if it has none."""
    left = [one for one in server.pci_devices if one.port_id is None or one.port_id != port_id]
    return {} if len(left) == len(server.pci_devices) else {'pci_devices': left or None}


def _attached(_session: Session, job: PortJob, result: WorkResult) -> Changes:
    """Add what the host has attached to what the server has by now."""
    new = result.network_info or []
    ids = {vif.id for vif in new}
    return {'network_info': [*(v for v in job.server.network_info if v.id not in ids), *new]}


def _detached(_session: Session, job: PortJob, _result: WorkResult) -> Changes:
    wanted = job.payload.work
    assert isinstance(wanted, work.DetachInterface)
    left = [vif for vif in job.server.network_info if vif.id != wanted.port_id]
    return {'network_info': left, **_without(job.server, wanted.port_id)}


def _failed(session: Session, job: PortJob, failure: WorkResult) -> Changes:
    """Keep the fault: it has the status for the request that waits."""
    fault = faults.make(failure.error or '', failure.details, failure.code, job.server.host)
    wanted = job.payload.work
    own = (
        _without(job.server, wanted.request.port_id)
        if isinstance(wanted, work.AttachInterface)
        else {}
    )
    servers.update(session, job.server.uuid, fault=fault, **own)
    return {}
