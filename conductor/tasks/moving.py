"""What all moves of servers share: records, claims, ports, and what is owed afterwards.

While a server moves, its source's resources are held in placement by the move's uuid, the
destination's by the server.  Going back hands the former to the server again.
"""

import uuid
from typing import Any, TypeVar

import sqlalchemy as sa
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.fitting.numa import Misfit
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.migration import Migration, Move
from kilonova.common.objects.network import profile_with
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.notify import tasks
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import choose, faults, groups, layouts, port_profiles, port_requests
from kilonova.conductor.tasks.phases import Changes, Job, Payload
from kilonova.db import server_migrations as migrations
from kilonova.db.engine import retry
from kilonova.db.layouts import columns
from kilonova.db.models.cell import ComputeNodeRow

LOG = logging.getLogger(__name__)

LIVE, EVACUATE = 'live-migration', 'evacuate'
COLD = {'resize': 'resize', 'migrate': 'cold migrate'}


class MovePayload(Payload, kw_only=True):
    """``failed``: host to why it did not work there; ``returned``: all is as before the move.

    ``again``: hosts were chosen more than once, so a late answer of the scheduler may have
    claimed another one than ``selection``.
    """

    request: RequestSpec | None = None
    move: Move | None = None
    migration: str = ''
    source: str = ''
    source_node: str | None = None
    forced: bool = False
    selection: Selection | None = None
    alternates: list[Selection] = []
    failed: dict[str, str] = {}
    reasons: list[str] = []
    again: bool = False
    misfit: str = ''
    returned: bool = False
    data: dict[str, Any] = {}

    @property
    def spec(self) -> RequestSpec:
        assert self.request is not None
        return self.request

    @property
    def target(self) -> Selection:
        """The destination, once there is one."""
        assert self.selection is not None
        return self.selection

    @property
    def way(self) -> Move:
        assert self.move is not None
        return self.move


M = TypeVar('M', bound=MovePayload)


def source(job: Job[Any]) -> str | None:
    found: str = job.payload.source
    return found


def target(job: Job[Any]) -> str | None:
    found: str = job.payload.target.host
    return found


class Mover:
    """Steps of moves that run in the conductor."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._chooser, self._groups = choose.Chooser(parts), groups.Groups(parts)

    # -- the record

    def record(
        self, session: Session, context: Ctx, server: Server, payload: MovePayload, kind: str
    ) -> None:
        """Write down that a server begins to move, in the transaction that accepts it."""
        if server.host is None:  # an administrator may call active what never was
            raise exception.InstanceNotReady(instance_id=server.uuid)
        node = layouts.node_uuid(session, server)
        payload.migration = str(uuid.uuid4())
        payload.source, payload.source_node = server.host, server.node
        payload.move = Move(
            old_flavor=server.flavor,
            new_flavor=payload.spec.flavor,
            old_vm_state=server.vm_state,
            old_zone=server.availability_zone,
            source_uuid=node,
            profiles={vif.id: vif.profile for vif in server.network_info if vif.profile},
            old_layout=Layout(topology=server.numa_topology, devices=server.pci_devices) or None,
        )
        record = Migration(
            uuid=payload.migration,
            instance_uuid=server.uuid,
            migration_type=kind,
            status='pre-migrating' if kind in migrations.COLD else 'accepted',
            source_compute=server.host,
            source_node=server.node,
            old_instance_type_id=server.flavor.id,
            new_instance_type_id=payload.spec.flavor.id,
            user_id=context.user_id,
            project_id=context.project_id,
        )
        migrations.add(session, record, payload.move)

    def chosen(self, session: Session, job: Job[M], result: WorkResult) -> Changes:
        """Note where it goes."""
        to = job.payload.target
        address = session.scalar(
            sa.select(ComputeNodeRow.host_ip).where(ComputeNodeRow.uuid == to.compute_node_uuid)
        )
        migrations.update(
            session,
            job.payload.migration,
            dest_compute=to.host,
            dest_node=to.node,
            dest_host=address,
        )
        return {}

    def failed(self, session: Session, job: Job[M], result: WorkResult) -> Changes:
        """End the record of a move that was undone; what could not be is left to the sweep."""
        late = None if job.payload.returned else self._parts.lease()
        migrations.update(session, job.payload.migration, status='error', release_at=late)
        return {}

    # -- placement

    def choose(self, job: Job[M]) -> WorkResult | None:
        """Claim a destination."""
        payload = job.payload
        begun = job.operation.tries > 1
        payload.again |= begun
        if not begun and not payload.failed:
            self._park(job)
        elif not self._parts.placement.get_allocations(payload.migration).allocations:
            self._park(job)
        try:
            if payload.forced:
                self._force(job)
            else:
                self._seek(job)
        except exception.NoValidHost as error:
            return self._no_host(job, error)
        return None

    def _seek(self, job: Job[M]) -> None:
        """Claim what the scheduler offers and the server's group does not mind."""
        payload = job.payload
        while True:
            [[payload.selection, *payload.alternates]] = self._chooser.choose([job])
            if self._reserve(job) and self._lay_out(job):
                return
            groups.avoid(payload)

    def _reserve(self, job: Job[M]) -> bool:
        """Note the destination; false when the server's group has come to mind it."""
        payload = job.payload
        return self._groups.reserve(
            payload.spec.group,
            job.server.uuid,
            payload.target.host,
            lambda session: migrations.update(
                session, payload.migration, dest_compute=payload.target.host
            ),
        )

    @retry
    def _lay_out(self, job: Job[M]) -> bool:
        """Book nodes, processors and devices at the destination; false when they do not suffice."""
        payload, server, to = job.payload, job.server, job.payload.target
        with self._parts.cell_db.transaction() as session:
            try:
                layout = layouts.find(
                    session, self._parts.conf, server.uuid, payload.spec.flavor, server.image, to
                )
            except Misfit as error:
                payload.misfit = str(error)
                return False
            if layout is not None or payload.way.new_layout is not None:
                payload.way.new_layout = layout
                migrations.update(
                    session,
                    payload.migration,
                    move=payload.way,
                    dest_compute=to.host,
                    dest_node=to.node,
                )
        return True

    def _park(self, job: Job[M]) -> None:
        """Let the move hold what the server has on its source."""
        placement, holder = self._parts.placement, job.server.uuid
        for earlier in self._superseded(job):
            if placement.get_allocations(earlier).allocations:
                holder = earlier
        try:
            placement.move_allocations(holder, job.payload.migration)
        except exception.Conflict as error:
            LOG.warning('Source allocations of server %s: %s', job.server.uuid, error)

    @retry
    def _superseded(self, job: Job[M]) -> list[str]:
        """Return moves from the same host that this one has ended: they hold the source."""
        if job.operation.action != EVACUATE:
            return []
        with self._parts.cell_db.reader() as session:
            owed = migrations.owed(session, job.server.uuid)
        here = job.payload.source
        return [one.uuid for one in owed if (one.status, one.source_compute) == ('error', here)]

    def _force(self, job: Job[M]) -> None:
        """Take a named host without asking the scheduler: as much as the source has given."""
        payload, server = job.payload, job.server
        assert payload.spec.requested_host is not None
        to = self._node(payload.spec.requested_host)
        if to.host == payload.source:
            raise exception.UnableToMigrateToSelf(instance_id=server.uuid, host=to.host)
        held = self._parts.placement.get_allocations(payload.migration).allocations
        own = payload.way.source_uuid
        if set(held) != {own}:
            raise exception.NoValidHost(
                reason='Only a server whose resources are all of one provider can be forced.'
            )
        wanted = {to.compute_node_uuid: held[own or '']}
        try:
            self._parts.placement.claim(server.uuid, wanted, server.project_id, server.user_id)
        except exception.Conflict as error:
            raise exception.NoValidHost(reason=str(error)) from error
        to.allocations = wanted
        asked = port_requests.look(self._parts.neutron, payload.spec, [server])
        to.pci_requests = asked.pci_requests
        payload.selection = to
        group = payload.spec.group
        if not self._reserve(job):
            assert group is not None
            raise exception.NoValidHost(
                reason=f'Host {to.host}: the {group.policy} policy of the server group was violated.'
            )
        if not self._lay_out(job):
            raise exception.NoValidHost(reason=f'Host {to.host}: {payload.misfit}')

    @retry
    def _node(self, host: str) -> Selection:
        with self._parts.cell_db.reader() as session:
            row = session.scalars(
                sa.select(ComputeNodeRow).where(ComputeNodeRow.host == host).limit(1)
            ).one_or_none()
            if row is None:
                raise exception.NoValidHost(reason=f'Host {host} is not known.')
            return Selection(
                host=row.host,
                node=row.hypervisor_hostname,
                compute_node_uuid=row.uuid,
                availability_zone='',
            )

    def _no_host(self, job: Job[M], error: exception.NoValidHost) -> WorkResult:
        payload = job.payload
        if payload.failed:
            last = list(payload.failed.values())[-1]
            reason = faults.RETRIES_EXCEEDED % (len(payload.failed), job.server.uuid, last)
        else:
            what = COLD.get(job.operation.action)
            reason = f'No valid host was found. No valid host found for {what}'
            reason = reason if what else faults.NO_VALID_HOST
        details = '\n'.join([*payload.reasons, error.message])
        kind = 'rebuild_server' if job.operation.action == EVACUATE else 'migrate_server'
        state, uuid = job.server.vm_state, job.server.uuid
        context = faults.restore(payload.context)
        tasks.failed(self._parts, context, kind, uuid, payload.spec, state, reason, details)
        return WorkResult(error=reason, details=details)

    def elsewhere(self, job: Job[M], result: WorkResult) -> str | None:
        """Go on with another host when the destination refuses, while there are some."""
        payload, host = job.payload, job.payload.target.host
        payload.failed[host] = result.error or ''
        payload.reasons.append(f'{host}: {result.details or result.error}')
        only = payload.forced or payload.spec.requested_host
        limit = self._parts.conf.scheduler.max_attempts
        if job.operation.action == LIVE:
            limit = self._parts.conf.migrate_max_retries + 1
        return None if only or 0 < limit <= len(payload.failed) else 'choose'

    def confirm_claim(self, job: Job[M]) -> None:
        """See that the server holds its destination, whatever a late scheduler has claimed."""
        if job.payload.again:
            to, server = job.payload.target, job.server
            self._parts.placement.claim(
                server.uuid, to.allocations, server.project_id, server.user_id
            )

    def give_back(self, job: Job[M]) -> None:
        """Let the server hold its source again, in place of a destination."""
        placement, move = self._parts.placement, job.payload.migration
        if placement.get_allocations(move).allocations:
            placement.move_allocations(move, job.server.uuid)

    def given_back(self, session: Session, job: Job[M], result: WorkResult) -> Changes:
        job.payload.returned = True
        return {}

    # -- ports

    def bind(
        self, server: Server, host: str, zone: str | None, profiles: port_profiles.Profiles
    ) -> None:
        """Bind a server's ports to a host.  Raises PortBindingFailed, FellowServiceError."""
        if not server.network_info:
            return
        neutron = self._parts.neutron
        for port in neutron.ports_of(server.uuid):
            known = port.get('binding:profile') or {}
            profile = profile_with(known, profiles.get(str(port['id']), {}))
            if (port.get('binding:host_id'), known) == (host, profile):
                continue
            changes: dict[str, Any] = {
                'binding:host_id': host,
                'device_owner': f'compute:{zone or ""}',
            }
            if profile != known:
                changes['binding:profile'] = profile
            bound = neutron.update_port(str(port['id']), changes)
            if bound.get('binding:vif_type') == 'binding_failed':
                raise exception.PortBindingFailed(port_id=port['id'])

    def bind_to_target(self, job: Job[M]) -> None:
        to = job.payload.target
        self.bind(job.server, to.host, to.availability_zone, self.profiles_at_target(job))

    def profiles_at_target(self, job: Job[M]) -> port_profiles.Profiles:
        layout = job.payload.way.new_layout
        return port_profiles.of(job.payload.target, layout.devices if layout else ())

    def bind_to_source(self, job: Job[M]) -> None:
        way = job.payload.way
        self.bind(job.server, job.payload.source, way.old_zone, way.profiles)

    def at_target(self, session: Session, job: Job[M], result: WorkResult) -> Changes:
        """From now on the server is the destination's."""
        to = job.payload.target
        zone = to.availability_zone or job.server.availability_zone
        return {
            **columns(job.payload.way.new_layout),
            'host': to.host,
            'node': to.node,
            'availability_zone': zone,
        }

    def at_source(self, session: Session, job: Job[M], result: WorkResult) -> Changes:
        payload = job.payload
        return {
            **columns(payload.way.old_layout),
            'host': payload.source,
            'node': payload.source_node,
            'availability_zone': payload.way.old_zone,
        }
