"""Operations in phases: each runs here, or is one piece of work for a compute host.

The phase is in the operation's row, so that whoever takes the operation over begins that
phase anew, with a new attempt; what earlier phases found out is in the payload.  A phase
that fails leads to its ``undo`` phases, and the operation ends with a fault.
"""

from collections.abc import Callable
from typing import Generic, Protocol, runtime_checkable

import msgspec
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import accept, faults, places
from kilonova.conductor.tasks.phases import Changes, Job, P, Payload, Phase, first_of, nothing
from kilonova.db import block_devices, operations, servers
from kilonova.db.engine import retry
from kilonova.db.operations import Operation

LOG = logging.getLogger(__name__)

PLACE = ('attempt', 'first_attempt', 'reported', 'phase', 'step', 'owner', 'lease_until', 'payload')
REMEMBERED = 30
"""Reports that are known again when their host repeats them."""


class Procedure(Generic[P]):
    """The task of one action: ``engine.tasks`` finds it by ``action``.

    ``failed`` is called in the transaction that ends it with a fault.  One that is not
    ``exclusive`` works beside others: it neither owns the server nor changes its states, and
    the host takes its work up in the order of arrival.
    """

    def __init__(
        self,
        parts: Parts,
        engine: Engine,
        action: str,
        phases: tuple[Phase[P], ...],
        *,
        payload: type[P],
        failed: Callable[[Session, Job[P], WorkResult], Changes] = nothing,
        exclusive: bool = True,
    ) -> None:
        self._parts, self._engine, self.action = parts, engine, action
        self._phases, self._failed, self._exclusive = phases, failed, exclusive
        undo = [one for phase in phases for one in phase.undo]
        self._by_name = {phase.name: phase for phase in [*phases, *undo]}
        self._decode = msgspec.json.Decoder(payload).decode
        engine.tasks[action] = self

    # -- accepting

    def accept(
        self,
        context: Ctx,
        uuid: str,
        payload: P,
        accepting: Callable[[Session, Server], None] | None = None,
    ) -> str:
        """Begin, when the state allows it; ``accepting`` is called in the same transaction.

        Returns the operation's id.
        """
        job = self.enter(context, uuid, payload, accepting)
        self._begin(job)
        return job.operation.id

    @retry
    def enter(
        self,
        context: Ctx,
        uuid: str,
        payload: P,
        accepting: Callable[[Session, Server], None] | None,
    ) -> Job[P]:
        """Record the operation as in its first phase, which the caller sees to."""
        rule = state.RULES[payload.rule]
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True)
            state.check(context, server, rule)
            if server.operation is not None and self._exclusive:
                self._engine.supersede(session, server)
            if accepting is not None:
                accepting(session, server)
            operation = accept.new(
                context, server, rule, '', self._engine.worker, self._parts.lease()
            )
            job = Job(context, operation, server, payload)
            first = first_of(job, self._phases)
            assert first is not None
            self._place(session, job, first)
            if self._exclusive:
                accept.record(session, server, operation, rule.task_state or first.task_state)
            else:
                operations.add(session, [operation])
            self._start_event(session, job, first)
        return job

    def _place(self, session: Session, job: Job[P], phase: Phase[P]) -> None:
        """Make ``phase`` the present one in ``job.operation``: who works on it, until when."""
        operation, host = job.operation, phase.host(job) if phase.work else None
        alive = host is not None and self._parts.is_up(session, host)
        operation.phase = phase.name
        here = operations.SCHEDULING if phase.claims else operations.LOCAL
        operation.step = operations.HOST if alive else here
        operation.owner = f'{operations.COMPUTE}{host}' if alive else self._engine.worker
        operation.lease_until = self._parts.lease()
        operation.payload = _encode(job.payload)

    def _start_event(self, session: Session, job: Job[P], phase: Phase[P]) -> None:
        host = phase.host(job) if phase.work else None
        where = host or self._parts.conf.host
        events = phase.event(job) if callable(phase.event) else phase.event
        for event in events.split():
            operations.start_events(session, event, [(job.operation, where)])

    # -- doing a phase

    def _begin(self, job: Job[P]) -> None:
        """Start the present phase, in the background."""
        phase = self._by_name[job.operation.phase]
        if job.operation.step == operations.HOST:
            self._send(job, phase)
        else:
            self._engine.run([job.operation.id], self._run_here, job, phase)

    def _send(self, job: Job[P], phase: Phase[P]) -> None:
        assert phase.work is not None
        host, work = phase.host(job), phase.work(job)
        assert host is not None
        self._engine.send(
            job.operation,
            self._parts.compute.at(host).perform,
            job.context,
            job.server,
            job.operation.fence,
            work,
        )

    def _run_here(self, job: Job[P], phase: Phase[P]) -> None:
        try:
            result = self._result(job, phase)
        except exception.ServiceUnavailable as error:
            self._engine.put_down(job.operation, error.message)
        else:
            self._end_phase(job, phase, result)

    def _result(self, job: Job[P], phase: Phase[P]) -> WorkResult:
        if phase.run is None:
            reason = faults.HOST_DOWN % phase.host(job)
            return WorkResult(error=reason, details=reason, code=503)
        try:
            return phase.run(job) or WorkResult()
        except exception.ServiceUnavailable:
            raise
        except exception.KilonovaError as error:
            return WorkResult(error=error.message, details=str(error), code=error.code)

    def resume(self, operation: Operation) -> None:
        job = self._load(operation)
        if job is None:
            self._engine.drop(operation)
        else:
            self._begin(job)

    @retry
    def _load(self, operation: Operation) -> Job[P] | None:
        """Return the job while it is ours; a host that is down cannot do its phase."""
        payload = self._decode(operation.payload)
        try:
            with self._parts.cell_db.transaction() as session:
                server = servers.get(session, operation.instance_uuid, lock=True)
                if not self._owns(server, operation.fence):
                    return None
                job = Job(faults.restore(payload.context), operation, server, payload)
                phase = self._by_name[operation.phase]
                host = phase.host(job) if phase.work else None
                if host is not None and self._parts.is_up(session, host):
                    operation.step = operations.HOST
                    operations.move(
                        session,
                        operation,
                        step=operations.HOST,
                        owner=operations.COMPUTE + host,
                        lease_until=self._parts.lease(),
                    )
                else:
                    operation.step = operations.LOCAL
                return job
        except exception.InstanceNotFound:
            return None

    def give_up(self, operation: Operation, reason: str) -> None:
        job = self._load(operation)
        if job is None:
            self._engine.drop(operation)
            return
        result = WorkResult(error=reason, details=reason)
        self._end_phase(job, self._by_name[operation.phase], result)

    # -- the end of a phase

    def finished(self, operation: Operation, server: Server, result: WorkResult) -> bool:
        """A host reports the end of the present phase.  False: it is not ours any more."""
        payload = self._decode(operation.payload)
        job = Job(faults.restore(payload.context), operation, server, payload)
        return self._end_phase(job, self._by_name[operation.phase], result)

    def _end_phase(self, job: Job[P], phase: Phase[P], result: WorkResult) -> bool:
        following = self._record_end(job, phase, result)
        if following is None:
            return False
        if following.operation.state == operations.RUNNING:
            self._begin(following)
        return True

    @retry
    def _record_end(self, job: Job[P], phase: Phase[P], result: WorkResult) -> Job[P] | None:
        """Write what a phase ended in and what comes next; None: it is not ours any more."""
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, job.server.uuid, lock=True)
            operation = operations.get(session, job.operation.id)
            if operation is None or operation.state != operations.RUNNING:
                return None
            if operation.attempt != job.operation.attempt or not self._owns(
                server, operation.fence
            ):
                return None
            block_devices.save(session, server.uuid, result.devices)
            # A copy: what is tried again must not find the payload changed already.
            payload = self._decode(_encode(job.payload))
            job = Job(job.context, operation, server, payload)
            if (operation.owner or '').startswith(operations.COMPUTE):
                reported = [*operation.reported.split(), str(operation.attempt)]
                operation.reported = ' '.join(reported[-REMEMBERED:])
            if result.error is not None:
                changes, following = self._after_failure(job, phase, result)
            else:
                changes = _reported(result) | phase.ended(session, job, result)
                if result.places is not None:
                    changes |= places.store(session, server, result.places, changes)
                following = self._next(job, phase)
            if following is None:
                if payload.failure is not None and result.error is None:
                    operations.finish_events(session, operation.id, 'Success', None)
                self._end(session, job, changes)
            else:
                self._go_on(session, job, phase, following, changes, result)
            return job

    def leave(self, job: Job[P], result: WorkResult) -> bool:
        """End a phase that the caller of ``enter`` has done."""
        return self._end_phase(job, self._by_name[job.operation.phase], result)

    def _owns(self, server: Server, fence: Fence) -> bool:
        mine = (server.operation, server.attempt) == (fence.operation, fence.attempt)
        return mine or not self._exclusive

    def _write(self, session: Session, job: Job[P], own: Changes, changes: Changes) -> None:
        """Change the server's record; ``own`` is what only its owner changes."""
        if self._exclusive:
            servers.update(session, job.server.uuid, job.operation.fence, **(own | changes))
        elif changes:
            servers.update(session, job.server.uuid, **changes)

    def _next(self, job: Job[P], phase: Phase[P]) -> Phase[P] | None:
        for chain in (self._phases, *(one.undo for one in self._phases)):
            if phase in chain:
                return first_of(job, chain[chain.index(phase) + 1 :])
        raise ValueError(phase.name)

    def _after_failure(
        self, job: Job[P], phase: Phase[P], result: WorkResult
    ) -> tuple[Changes, Phase[P] | None]:
        payload = job.payload
        changes = {} if result.power_state is None else {'power_state': result.power_state}
        if phase.instead is not None:
            name = phase.instead(job, result)
            if name is not None:
                LOG.info('%s of server %s: %s', self.action, job.server.uuid, result.error)
                return changes, self._by_name[name]
        payload.broken |= phase.breaks
        if payload.failure is None:
            result.details = self._where(job, phase, result)
            payload.failure = result
            return changes, first_of(job, phase.undo)
        LOG.warning(
            '%s of server %s: %s failed, too: %s',
            self.action,
            job.server.uuid,
            phase.name,
            result.error,
        )
        return changes, self._next(job, phase)

    def _where(self, job: Job[P], phase: Phase[P], result: WorkResult) -> str:
        owner = job.operation.owner or ''
        where = self.action
        if owner.startswith(operations.COMPUTE):
            where += f' on host {owner.removeprefix(operations.COMPUTE)}'
        return f'{where}: {result.details or result.error}'

    def _go_on(
        self,
        session: Session,
        job: Job[P],
        phase: Phase[P],
        following: Phase[P],
        changes: Changes,
        result: WorkResult,
    ) -> None:
        outcome = 'Success' if result.error is None else 'Error'
        operations.finish_events(session, job.operation.id, outcome, result.details)
        attempt = job.operation.attempt + 1
        task_state = following.task_state or job.server.task_state
        self._write(session, job, {'task_state': task_state, 'attempt': attempt}, changes)
        operation = job.operation
        operation.attempt = operation.first_attempt = attempt
        job.server = servers.get(session, job.server.uuid)
        self._place(session, job, following)
        values = {name: getattr(operation, name) for name in PLACE}
        operations.update(session, operation.id, **values)
        self._start_event(session, job, following)

    def _end(self, session: Session, job: Job[P], changes: Changes) -> None:
        failure, rule = job.payload.failure, state.RULES[job.payload.rule]
        values: Changes = {'task_state': None, 'operation': None}
        if failure is None:
            if rule.vm_state is not None:
                values['vm_state'] = rule.vm_state
            operations.finish(session, job.operation.id, reported=job.operation.reported)
            job.operation.state = operations.DONE
        else:
            owner = job.operation.owner or ''
            at_host = owner.startswith(operations.COMPUTE)
            values['fault'] = faults.make(
                failure.error or '',
                failure.details,
                failure.code,
                host=owner.removeprefix(operations.COMPUTE) if at_host else None,
            )
            if job.payload.broken:
                values['vm_state'] = state.ERROR
            values |= self._failed(session, job, failure)
            operations.finish(
                session,
                job.operation.id,
                operations.FAILED,
                failure.error,
                reported=job.operation.reported,
                details=failure.details,
            )
            job.operation.state = operations.FAILED
        self._write(session, job, values, changes)


def _reported(result: WorkResult) -> Changes:
    changes = dict(result.changes)
    for name in ('power_state', 'network_info'):
        value = getattr(result, name)
        if value is not None:
            changes[name] = value
    return changes


def _encode(payload: Payload) -> str:
    return msgspec.json.encode(payload).decode()


@runtime_checkable
class HostTask(Protocol):
    """A task of which hosts report by ``work_finished``."""

    def finished(self, operation: Operation, server: Server, result: WorkResult) -> bool:
        """The present work has ended.  False: it is not ours any more."""


def finished(parts: Parts, engine: Engine, uuid: str, fence: Fence, result: WorkResult) -> bool:
    """A host reports.  A report that comes again, when its phase is over, is True as well."""
    with parts.cell_db.reader() as session:
        operation = operations.get(session, fence.operation)
        if operation is None or operation.state == operations.SUPERSEDED:
            return False
        if str(fence.attempt) in operation.reported.split():
            return True
        if operation.state != operations.RUNNING or fence.attempt != operation.attempt:
            return False
        server = servers.get(session, uuid)
    task = engine.tasks[operation.action]
    assert isinstance(task, HostTask)
    return task.finished(operation, server, result)
