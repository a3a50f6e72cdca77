"""Putting servers away, off their hosts, and back."""

import datetime
from collections.abc import Callable

import sqlalchemy as sa
from oslo_log import log as logging
from oslo_utils import timeutils
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.context import get_admin_context
from kilonova.common.fitting.numa import Misfit
from kilonova.common.objects import work
from kilonova.common.objects.image import Image
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import rules
from kilonova.conductor.tasks import choose, faults, groups, layouts, port_profiles, ports, sizes
from kilonova.conductor.tasks.moving import Mover
from kilonova.conductor.tasks.phases import Changes, Job, Payload, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.conductor.tasks.shelved import AT, HOST, IMAGE, discard_image
from kilonova.db import servers, types
from kilonova.db.engine import retry
from kilonova.db.layouts import columns
from kilonova.db.models.servers import InstanceRow

LOG = logging.getLogger(__name__)

BATCH = 100


class ShelvePayload(Payload, kw_only=True):
    """``image_id``: what the disk is sent to; ``offload``: it leaves its host at once."""

    image_id: str | None = None
    offload: bool = False


class UnshelvePayload(Payload, kw_only=True):
    """``request`` is there when the server has no host; ``image``: what it is made of."""

    request: RequestSpec | None = None
    image: Image | None = None
    image_id: str | None = None
    selection: Selection | None = None
    alternates: list[Selection] = []
    failed: dict[str, str] = {}
    misfit: str = ''

    @property
    def spec(self) -> RequestSpec:
        assert self.request is not None
        return self.request

    @property
    def target(self) -> Selection:
        assert self.selection is not None
        return self.selection


UnshelveJob = Job[UnshelvePayload]


class Shelving:
    """Endpoint, and the procedures ``shelve``, ``shelveOffload`` and ``unshelve``."""

    def __init__(self, parts: Parts, engine: Engine, mover: Mover) -> None:
        self._parts, self._mover = parts, mover
        self._chooser, self._groups = choose.Chooser(parts), groups.Groups(parts)
        shelve = Phase[ShelvePayload](
            name='shelve',
            event='compute_shelve_instance',
            work=lambda job: work.Shelve(image_id=job.payload.image_id),
            ended=_shelved,
        )

        def make(
            action: str,
            phases: tuple[Phase[ShelvePayload], ...],
        ) -> Procedure[ShelvePayload]:
            return Procedure(parts, engine, action, phases, payload=ShelvePayload)

        self._shelve = make('shelve', (shelve, *self._offloading(lambda job: job.payload.offload)))
        self._offload = make('shelveOffload', self._offloading(lambda job: True))
        self._unshelve = Procedure(
            parts, engine, 'unshelve', self._unshelving(), payload=UnshelvePayload
        )
        engine.chores.append(self.offload_due)

    def _offloading(
        self, when: Callable[[Job[ShelvePayload]], bool]
    ) -> tuple[Phase[ShelvePayload], ...]:
        return (
            Phase(
                name='offload',
                event='compute_shelve_offload_instance',
                task_state='shelving_offloading',
                work=lambda job: work.Offload(),
                when=when,
            ),
            Phase(name='release', run=self._release, ended=_offloaded, when=when),
        )

    def _unshelving(self) -> tuple[Phase[UnshelvePayload], ...]:
        def away(job: UnshelveJob) -> bool:
            return job.payload.request is not None

        put_away = Phase[UnshelvePayload](name='put away', run=self._put_away, ended=_away_again)
        return (
            Phase(
                name='start',
                event='compute_unshelve_instance',
                work=lambda job: work.Start(),
                when=lambda job: not away(job),
            ),
            Phase(
                name='choose',
                event=_scheduling,
                run=self._choose,
                undo=(put_away,),
                claims=True,
                when=away,
            ),
            Phase(
                name='bind',
                run=self._bind,
                ended=_placed,
                undo=(put_away,),
                instead=self._elsewhere,
                when=away,
            ),
            Phase(
                name='spawn',
                event='compute_unshelve_instance',
                task_state='spawning',
                host=lambda job: job.payload.target.host,
                work=lambda job: work.Unshelve(image=job.payload.image),
                ended=_spawned,
                undo=(put_away,),
                instead=self._elsewhere,
                when=away,
            ),
            Phase(name='discard', run=self._discard, ended=_unshelved),
        )

    # -- what is asked

    def shelve_server(self, context: Ctx, uuid: str, image_id: str | None = None) -> None:
        payload = ShelvePayload(context=faults.keep(context), rule='shelve', image_id=image_id)
        payload.offload = image_id is None or self._parts.conf.shelved_offload_time == 0
        self._shelve.accept(context, uuid, payload)

    def shelve_offload_server(self, context: Ctx, uuid: str) -> None:
        payload = ShelvePayload(context=faults.keep(context), rule='shelve_offload')
        self._offload.accept(context, uuid, payload)

    def unshelve_server(
        self,
        context: Ctx,
        uuid: str,
        image: Image | None = None,
        changes: dict[str, str | None] | None = None,
    ) -> None:
        server = self._get(uuid)
        state.check(context, server, state.RULES['unshelve'])
        payload = UnshelvePayload(context=faults.keep(context), rule='unshelve')
        payload.image_id = server.system_metadata.get(IMAGE)
        if server.vm_state == state.OFFLOADED:
            payload.image = image
            payload.request = self._request(server, changes or {})
        elif changes:
            raise exception.UnshelveInstanceInvalidState(state=server.vm_state, instance_uuid=uuid)
        zone = changes.get('availability_zone', '') if changes else ''

        def accepting(session: Session, server: Server) -> None:
            if zone != '':
                servers.update(session, uuid, requested_zone=zone)

        if payload.request is None:
            self._unshelve.accept(context, uuid, payload, accepting)
            return
        sizes.book_again(self._parts, server)
        try:
            self._unshelve.accept(context, uuid, payload, accepting)
        except exception.KilonovaError:
            sizes.settle(self._parts, uuid)
            raise

    def _request(self, server: Server, changes: dict[str, str | None]) -> RequestSpec:
        """Return what is asked of the scheduler.  Raises Invalid, ComputeHostNotFound."""
        spec = sizes.request_spec(self._parts, server)
        if 'availability_zone' in changes:
            zone = spec.availability_zone = changes['availability_zone']
            if zone is not None:
                with self._parts.api_db.reader() as session:
                    rules.check_zone(self._parts.conf, session, zone)
        host = spec.requested_host = changes.get('host')
        if host is not None:
            with self._parts.cell_db.reader() as session:
                rules.check_destination(session, host, None)
        return spec

    @retry
    def _get(self, uuid: str) -> Server:
        with self._parts.cell_db.reader() as session:
            return servers.get(session, uuid)

    def offload_due(self) -> int:
        """Let servers leave their hosts that were shelved long enough ago; returns how many."""
        after = self._parts.conf.shelved_offload_time
        if after < 0:
            return 0
        due = [server for server in self._shelved() if _is_due(server, after)]
        for server in due:
            LOG.info('Server %s was shelved long ago and leaves its host', server.uuid)
            self.shelve_offload_server(get_admin_context(), server.uuid)
        return len(due)

    @retry
    def _shelved(self) -> list[Server]:
        c = servers.INSTANCES.c
        query = sa.select(*servers.COLUMNS).where(
            InstanceRow.deleted == 0, c.vm_state == state.SHELVED, c.operation.is_(None)
        )
        with self._parts.cell_db.reader() as session:
            rows = session.execute(query.order_by(c.updated_at).limit(BATCH))
            return [servers.from_row(row, {}) for row in rows]

    # -- phases that run here

    def _release(self, job: Job[ShelvePayload]) -> None:
        """Give back what an offloaded server held: its ports stay its own, without a host."""
        self._parts.placement.delete_allocations(job.server.uuid)
        sizes.set_aside(self._parts, job.server.uuid)
        ports.unbind(self._parts.neutron, job.server)

    def _choose(self, job: UnshelveJob) -> WorkResult | None:
        payload = job.payload
        try:
            [[payload.selection, *payload.alternates]] = self._chooser.choose([job])
        except exception.NoValidHost as error:
            reasons = [f'{host}: {why}' for host, why in payload.failed.items()]
            details = '\n'.join([*reasons, error.message])
            return WorkResult(error=faults.NO_VALID_HOST, details=details)
        return None

    def _bind(self, job: UnshelveJob) -> WorkResult | None:
        to, server = job.payload.target, job.server
        if job.operation.tries > 1:
            # An earlier look may have claimed another host since.
            self._parts.placement.claim(
                server.uuid, to.allocations, server.project_id, server.user_id
            )
        if not self._place(job):
            return WorkResult(error=job.payload.misfit, details=job.payload.misfit)
        profiles = port_profiles.of(to, server.pci_devices)
        self._mover.bind(server, to.host, to.availability_zone, profiles)
        return None

    @retry
    def _place(self, job: UnshelveJob) -> bool:
        """Write down the host together with what the server gets of it; false: it does not fit.

        Of a group with a hard policy the host is written in any case, for others to see.
        """
        to, server = job.payload.target, job.server
        group = self._groups.held(job.payload.spec.group)
        with group as guard, self._parts.cell_db.transaction() as session:
            if guard and not guard.admits(session, server.uuid, to.host):
                job.payload.misfit = 'other servers of the group were quicker.'
                return False
            try:
                layout = layouts.find(
                    session, self._parts.conf, server.uuid, server.flavor, server.image, to
                )
            except Misfit as error:
                job.payload.misfit = str(error)
                return False
            server.pci_devices = layout.devices if layout else []
            if layout is not None or guard is not None:
                values = {**columns(layout), 'host': to.host, 'node': to.node}
                servers.update(session, server.uuid, job.operation.fence, **values)
        return True

    def _elsewhere(self, job: UnshelveJob, result: WorkResult) -> str | None:
        payload, host = job.payload, job.payload.target.host
        payload.failed[host] = result.error or ''
        enough = len(payload.failed) >= self._parts.conf.scheduler.max_attempts
        return None if payload.spec.requested_host or enough else 'choose'

    def _put_away(self, job: UnshelveJob) -> None:
        self._parts.placement.delete_allocations(job.server.uuid)
        sizes.set_aside(self._parts, job.server.uuid)
        ports.unbind(self._parts.neutron, job.server)

    def _discard(self, job: UnshelveJob) -> None:
        if job.payload.image_id is not None:
            discard_image(self._parts.conf, job.server.uuid, job.payload.image_id)


def _scheduling(job: UnshelveJob) -> str:
    """Return the events of the choice, as Nova's conductor has them."""
    return 'get_image_info schedule_instances' if job.payload.image else 'schedule_instances'


def _is_due(server: Server, after: int) -> bool:
    since = server.system_metadata.get(AT)
    shelved = timeutils.parse_isotime(since) if since else None
    if shelved is None:
        return True
    age = types.utcnow() - timeutils.normalize_time(shelved)
    return age >= datetime.timedelta(seconds=after)


def _shelved(session: Session, job: Job[ShelvePayload], result: WorkResult) -> Changes:
    known = dict(job.server.system_metadata)
    known |= {AT: f'{types.utcnow().isoformat()}Z', HOST: job.server.host or ''}
    if job.payload.image_id is not None:
        known[IMAGE] = job.payload.image_id
    return {'vm_state': state.SHELVED, 'system_metadata': known}


def _offloaded(session: Session, job: Job[ShelvePayload], result: WorkResult) -> Changes:
    return {'vm_state': state.OFFLOADED, 'host': None, 'node': None, **columns(None)}


def _placed(session: Session, job: UnshelveJob, result: WorkResult) -> Changes:
    to = job.payload.target
    return {'host': to.host, 'node': to.node, 'availability_zone': to.availability_zone}


def _spawned(session: Session, job: UnshelveJob, result: WorkResult) -> Changes:
    return {'launched_on': job.payload.target.host, 'launched_at': types.utcnow()}


def _away_again(session: Session, job: UnshelveJob, result: WorkResult) -> Changes:
    return {'host': None, 'node': None, **columns(None)}


def _unshelved(session: Session, job: UnshelveJob, result: WorkResult) -> Changes:
    known = {k: v for k, v in job.server.system_metadata.items() if k not in (AT, IMAGE, HOST)}
    return {'system_metadata': known}
