"""The procedures of resize and cold migration, and of their two ends."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from kilonova.common.objects import work
from kilonova.common.objects.work import WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults, sizes
from kilonova.conductor.tasks.moving import MovePayload, Mover, source, target
from kilonova.conductor.tasks.phases import Changes, Job, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.db import server_migrations as migrations
from kilonova.db import types

SHUTDOWN = 4
MoveJob = Job[MovePayload]
Ended = Callable[[Session, Job[Any], WorkResult], Changes]


def status(value: str, also: Ended | None = None) -> Ended:
    """Return what notes a move's status when a phase has ended."""

    def ended(session: Session, job: Job[Any], result: WorkResult) -> Changes:
        migrations.update(session, job.payload.migration, status=value)
        return also(session, job, result) if also else {}

    return ended


def _was_on(job: MoveJob) -> bool:
    return job.payload.way.old_vm_state == state.ACTIVE


class Resize:
    """The procedures ``resize``, ``migrate``, ``confirmResize`` and ``revertResize``."""

    def __init__(self, parts: Parts, engine: Engine, mover: Mover) -> None:
        self._parts, self._mover = parts, mover

        def make(action: str, phases: tuple[Phase[MovePayload], ...], failed: Any) -> Any:
            return Procedure(parts, engine, action, phases, payload=MovePayload, failed=failed)

        for action in ('resize', 'migrate'):
            setattr(self, action, make(action, self._there(), mover.failed))
        self.confirm: Procedure[MovePayload] = make(
            'confirmResize', self._confirm(), status('finished')
        )
        self.revert: Procedure[MovePayload] = make('revertResize', self._back(), status('error'))

    resize: Procedure[MovePayload]
    migrate: Procedure[MovePayload]

    # -- there

    def _there(self) -> tuple[Phase[MovePayload], ...]:
        mover = self._mover
        give_back = Phase[MovePayload](
            name='give back', run=self._give_back, ended=mover.given_back
        )
        stay = Phase[MovePayload](
            name='stay',
            event='compute_finish_revert_resize',
            host=source,
            work=self._work_revert,
            breaks=True,
        )
        bind_back = Phase[MovePayload](
            name='bind back', run=mover.bind_to_source, ended=mover.at_source, breaks=True
        )
        abandon = Phase[MovePayload](
            name='abandon',
            event='compute_revert_resize',
            host=target,
            work=lambda job: work.AbandonMove(flavor=job.payload.way.new_flavor),
        )
        return (
            Phase(
                name='choose',
                event='conductor_migrate_server cold_migrate',
                run=mover.choose,
                ended=mover.chosen,
                undo=(give_back,),
                claims=True,
            ),
            Phase(
                name='prepare',
                event='compute_prep_resize',
                task_state='resize_prep',
                host=target,
                work=lambda job: work.PrepareMove(flavor=job.payload.way.new_flavor),
                ended=status('migrating'),
                undo=(give_back,),
                instead=mover.elsewhere,
            ),
            Phase(
                name='leave',
                event='compute_resize_instance',
                task_state='resize_migrating',
                host=source,
                work=lambda job: work.LeaveHost(flavor=job.payload.way.new_flavor),
                ended=status('post-migrating', self._left),
                undo=(stay, give_back),
            ),
            Phase(
                name='bind',
                task_state='resize_migrated',
                run=self._bind,
                ended=mover.at_target,
                undo=(bind_back, stay, give_back),
            ),
            Phase(
                name='finish',
                event='compute_finish_resize',
                task_state='resize_finish',
                host=target,
                work=self._work_finish,
                ended=status('finished', self._finished),
                undo=(abandon, bind_back, stay, give_back),
            ),
        )

    def _left(self, session: Session, job: MoveJob, result: WorkResult) -> Changes:
        job.payload.data = result.values
        return {}

    def _bind(self, job: MoveJob) -> None:
        self._mover.confirm_claim(job)
        self._mover.bind_to_target(job)

    def _work_finish(self, job: MoveJob) -> work.FinishMove:
        return work.FinishMove(
            flavor=job.payload.way.new_flavor, power_on=_was_on(job), data=job.payload.data
        )

    def _finished(self, session: Session, job: MoveJob, result: WorkResult) -> Changes:
        to = job.payload.target
        return {
            'flavor': job.payload.way.new_flavor,
            'launched_on': to.host,
            'launched_at': types.utcnow(),
        }

    def _give_back(self, job: MoveJob) -> None:
        self._mover.give_back(job)
        sizes.count(self._parts, job.server, job.payload.way.old_flavor)

    def _work_revert(self, job: MoveJob) -> work.RevertMove:
        return work.RevertMove(flavor=job.payload.way.old_flavor, power_on=_was_on(job))

    # -- and no way back

    def _confirm(self) -> tuple[Phase[MovePayload], ...]:
        return (
            Phase(
                name='confirm',
                event='compute_confirm_resize',
                host=source,
                work=lambda job: work.ConfirmMove(),
                instead=self._without_source,
            ),
            Phase(name='release', run=self._release, ended=status('confirmed', self._confirmed)),
        )

    def _without_source(self, job: MoveJob, result: WorkResult) -> str | None:
        """A source that is down removes what is left there when it is back."""
        down = faults.HOST_DOWN % job.payload.source
        return 'release' if result.error == down else None

    def _release(self, job: MoveJob) -> None:
        self._parts.placement.delete_allocations(job.payload.migration)
        sizes.count(self._parts, job.server, job.payload.way.new_flavor)

    def _confirmed(self, session: Session, job: MoveJob, result: WorkResult) -> Changes:
        off = job.server.power_state == SHUTDOWN
        return {'vm_state': state.STOPPED if off else state.ACTIVE}

    # -- or back

    def _back(self) -> tuple[Phase[MovePayload], ...]:
        return (
            Phase(
                name='abandon',
                event='compute_revert_resize',
                task_state='resize_reverting',
                host=target,
                work=lambda job: work.AbandonMove(flavor=job.payload.way.new_flavor),
                instead=self._without_target,
                breaks=True,
            ),
            Phase(
                name='return',
                task_state='resize_reverting',
                run=self._return,
                ended=self._mover.at_source,
                breaks=True,
            ),
            Phase(
                name='finish',
                event='compute_finish_revert_resize',
                task_state='resize_reverting',
                host=source,
                work=self._work_revert,
                ended=status('reverted', self._reverted),
                breaks=True,
            ),
        )

    def _without_target(self, job: MoveJob, result: WorkResult) -> str | None:
        """A destination that is down removes the guest when it is back."""
        down = faults.HOST_DOWN % job.payload.target.host
        return 'return' if result.error == down else None

    def _return(self, job: MoveJob) -> None:
        self._mover.bind_to_source(job)
        self._give_back(job)

    def _reverted(self, session: Session, job: MoveJob, result: WorkResult) -> Changes:
        way = job.payload.way
        return {
            'flavor': way.old_flavor,
            'vm_state': way.old_vm_state,
            'launched_on': job.payload.source,
            'launched_at': types.utcnow(),
        }
