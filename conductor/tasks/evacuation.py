"""Servers of a host that is down are made anew on other hosts.

What the dead host held stays with the move until it is back and has removed its guest.
"""

from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import rules
from kilonova.conductor.tasks import faults, sizes
from kilonova.conductor.tasks.moving import MovePayload, Mover, target
from kilonova.conductor.tasks.phases import Changes, Job, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.conductor.tasks.resize import status
from kilonova.db import server_migrations as migrations
from kilonova.db import servers, types
from kilonova.db.engine import retry


class EvacuatePayload(MovePayload, kw_only=True):
    """``stopped``: the server is to be off at its destination."""

    admin_password: str
    stopped: bool


EvacuateJob = Job[EvacuatePayload]


class Evacuation:
    """Endpoint, and the procedure."""

    def __init__(self, parts: Parts, engine: Engine, mover: Mover) -> None:
        self._parts, self._mover = parts, mover
        self._procedure = Procedure(
            parts,
            engine,
            'evacuate',
            self._phases(),
            payload=EvacuatePayload,
            failed=mover.failed,
        )

    def _phases(self) -> tuple[Phase[EvacuatePayload], ...]:
        mover = self._mover
        give_back = Phase[EvacuatePayload](
            name='give back', run=mover.give_back, ended=mover.given_back
        )
        bind_back = Phase[EvacuatePayload](
            name='bind back', run=mover.bind_to_source, ended=mover.at_source
        )
        return (
            Phase(
                name='choose',
                event='rebuild_server',
                run=mover.choose,
                ended=status('pre-migrating', mover.chosen),
                undo=(bind_back, give_back),
                claims=True,
                breaks=True,
            ),
            Phase(
                name='bind',
                run=self._bind,
                ended=mover.at_target,
                undo=(bind_back, give_back),
                breaks=True,
            ),
            Phase(
                name='spawn',
                event='compute_rebuild_instance',
                task_state='rebuild_spawning',
                host=target,
                work=self._work,
                ended=status('done', self._ended),
                undo=(bind_back, give_back),
                instead=mover.elsewhere,
                breaks=True,
            ),
        )

    def evacuate_server(
        self,
        context: Ctx,
        uuid: str,
        admin_password: str,
        host: str | None = None,
        force: bool = False,
        stopped: bool = False,
    ) -> None:
        server = self._look_up(context, uuid, host)
        request = sizes.request_spec(self._parts, server)
        request.requested_host = host
        request.ignore_hosts = [server.host or '']
        payload = EvacuatePayload(
            context=faults.keep(context),
            rule='evacuate',
            request=request,
            forced=force and host is not None,
            admin_password=admin_password,
            stopped=stopped or server.vm_state == state.STOPPED,
        )

        def accepting(session: Session, server: Server) -> None:
            self._check_down(session, server)
            self._mover.record(session, context, server, payload, migrations.EVACUATION)

        self._procedure.accept(context, uuid, payload, accepting)

    @retry
    def _look_up(self, context: Ctx, uuid: str, host: str | None) -> Server:
        with self._parts.cell_db.reader() as session:
            server = servers.get(session, uuid)
            if host is not None:
                self._check_destination(session, server, host)
            state.check(context, server, state.RULES['evacuate'])
            self._check_down(session, server)
            return server

    @staticmethod
    def _check_destination(session: Session, server: Server, host: str) -> None:
        if host == server.host:
            raise exception.Invalid("The target host can't be the same one.")
        try:
            rules.check_destination(session, host, None)
        except exception.ComputeHostNotFound:
            raise exception.NotFound(f'Compute host {host} not found.') from None

    def _check_down(self, session: Session, server: Server) -> None:
        """Raises ComputeServiceInUse, InstanceNotReady."""
        if server.host is None:
            raise exception.InstanceNotReady(instance_id=server.uuid)
        if self._parts.is_up(session, server.host):
            raise exception.ComputeServiceInUse(host=server.host)

    def _bind(self, job: EvacuateJob) -> None:
        self._mover.confirm_claim(job)
        self._mover.bind_to_target(job)

    def _work(self, job: EvacuateJob) -> work.Evacuate:
        return work.Evacuate(
            admin_password=job.payload.admin_password, power_on=not job.payload.stopped
        )

    def _ended(self, session: Session, job: EvacuateJob, result: WorkResult) -> Changes:
        return {
            'vm_state': state.STOPPED if job.payload.stopped else state.ACTIVE,
            'launched_on': job.payload.target.host,
            'launched_at': types.utcnow(),
        }
