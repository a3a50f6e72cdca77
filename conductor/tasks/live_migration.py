"""The procedure of a live migration.

Until the guest has arrived everything can be undone, and it runs on at its source; then
nothing is, and what fails afterwards leaves a fault with a server that runs.
"""

from typing import Any

from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects import work
from kilonova.common.objects.network import profile_with
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults, port_profiles
from kilonova.conductor.tasks.moving import LIVE, MovePayload, Mover, source, target
from kilonova.conductor.tasks.phases import Changes, Job, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.conductor.tasks.resize import status
from kilonova.db import server_migrations as migrations

BINDING = 'binding-extended'
RUNNING = 1


class LivePayload(MovePayload, kw_only=True):
    """``block_migration`` None: as the hosts find out.  ``ahead``: ports have two bindings.

    ``missed``: how the move failed, as the source says; the guest may have arrived all the same.
    """

    block_migration: bool | None = None
    disk_over_commit: bool = False
    ahead: bool = False
    missed: WorkResult | None = None


LiveJob = Job[LivePayload]


class LiveMigration:
    """The procedure ``live-migration``."""

    def __init__(self, parts: Parts, engine: Engine, mover: Mover) -> None:
        self._parts, self._mover = parts, mover
        self.procedure = Procedure(
            parts,
            engine,
            LIVE,
            (*self._checks(), *self._there()),
            payload=LivePayload,
            failed=self._failed,
        )

    def _checks(self) -> tuple[Phase[LivePayload], ...]:
        mover = self._mover
        self._give_back = Phase[LivePayload](
            name='give back', run=mover.give_back, ended=mover.given_back
        )
        undo = (self._give_back,)
        return (
            Phase(
                name='choose',
                event='conductor_live_migrate_instance',
                run=mover.choose,
                ended=mover.chosen,
                undo=undo,
                claims=True,
            ),
            Phase(
                name='check',
                event='compute_check_can_live_migrate_destination',
                host=target,
                work=lambda job: work.CheckLive(
                    block_migration=job.payload.block_migration,
                    disk_over_commit=job.payload.disk_over_commit,
                ),
                ended=_keep,
                undo=undo,
                instead=mover.elsewhere,
            ),
            Phase(
                name='check source',
                event='compute_check_can_live_migrate_source',
                host=source,
                work=lambda job: work.CheckLiveSource(data=job.payload.data),
                ended=status('preparing', _keep),
                undo=undo,
            ),
        )

    def _there(self) -> tuple[Phase[LivePayload], ...]:
        unbind = Phase[LivePayload](name='unbind', run=self._unbind)
        undo = (unbind, self._give_back)
        rollback = Phase[LivePayload](
            name='rollback',
            event='compute_rollback_live_migration_at_destination',
            host=target,
            work=lambda job: work.RollbackLive(data=job.payload.data),
        )
        clean = Phase[LivePayload](
            name='clean',
            host=source,
            work=lambda job: work.CleanLive(data=job.payload.data),
            instead=lambda job, result: 'release',
        )
        release = Phase[LivePayload](name='release', run=self._release)
        return (
            Phase(name='bind', run=self._bind, undo=undo),
            Phase(
                name='receive',
                event='compute_pre_live_migration',
                host=target,
                work=lambda job: work.ReceiveLive(data=job.payload.data),
                ended=_keep,
                undo=(rollback, *undo),
            ),
            Phase(
                name='migrate',
                event='compute_live_migration',
                host=source,
                work=lambda job: work.MigrateLive(
                    target=job.payload.target.host,
                    migration=job.payload.migration,
                    data=job.payload.data,
                ),
                ended=status('post-migrating', self._mover.at_target),
                undo=(rollback, *undo),
                instead=_may_have_arrived,
            ),
            Phase(
                name='ask',
                host=target,
                work=lambda job: work.AskArrivedLive(),
                run=_wait_for_target,
                ended=status('post-migrating', self._mover.at_target),
                undo=(rollback, *undo),
                instead=_has_not_arrived,
                when=lambda job: job.payload.missed is not None,
            ),
            Phase(name='switch', run=self._switch, instead=lambda job, result: 'arrive'),
            Phase(
                name='arrive',
                event='compute_post_live_migration_at_destination',
                host=target,
                work=lambda job: work.ArriveLive(data=job.payload.data),
                ended=status('completed'),
                undo=(clean, release),
            ),
            clean,
            release,
        )

    # -- ports

    def _ports(self, job: LiveJob) -> list[dict[str, Any]]:
        if not job.server.network_info:
            return []
        return self._parts.neutron.ports_of(job.server.uuid)

    def _bind(self, job: LiveJob) -> None:
        """Bind the ports at the destination, too, where Neutron can."""
        if not job.server.network_info or not self._parts.neutron.has_extension(BINDING):
            return
        job.payload.ahead = True
        profiles = self._mover.profiles_at_target(job)
        job.payload.data['bindings'] = {
            port['id']: self._parts.neutron.add_binding(
                port, job.payload.target.host, _profile(port, profiles)
            )
            for port in self._ports(job)
        }

    def _unbind(self, job: LiveJob) -> None:
        for port in self._ports(job) if job.payload.ahead else ():
            self._parts.neutron.delete_binding(str(port['id']), job.payload.target.host)

    def _switch(self, job: LiveJob) -> None:
        """Let the destination's bindings be the active ones."""
        if not job.payload.ahead:
            self._mover.bind_to_target(job)
            return
        for port in self._ports(job):
            self._parts.neutron.activate_binding(str(port['id']), job.payload.target.host)
            self._parts.neutron.delete_binding(str(port['id']), job.payload.source)

    # -- ends

    def _release(self, job: LiveJob) -> None:
        self._mover.confirm_claim(job)
        self._parts.placement.delete_allocations(job.payload.migration)

    def _failed(self, session: Session, job: LiveJob, result: WorkResult) -> Changes:
        self._mover.failed(session, job, result)
        if result.values.get('cancelled'):
            migrations.update(session, job.payload.migration, status='cancelled')
        return {'progress': 0}


def _profile(port: dict[str, Any], profiles: port_profiles.Profiles) -> dict[str, Any]:
    return profile_with(port.get('binding:profile'), profiles.get(str(port['id']), {}))


def _may_have_arrived(job: LiveJob, result: WorkResult) -> str | None:
    """A guest that has arrived is not to be rolled back, whatever its source says or cannot say."""
    if result.values.get('cancelled') or result.power_state == RUNNING:
        return None  # it runs where it was
    job.payload.missed = result
    return 'ask'


def _wait_for_target(job: LiveJob) -> WorkResult | None:
    """Hosts may be out of hearing for a moment, and what nobody knows is not to be undone."""
    raise exception.ServiceUnavailable(faults.HOST_DOWN % job.payload.target.host)


def _has_not_arrived(job: LiveJob, result: WorkResult) -> str | None:
    """Undo the move, for the reason that its source gave."""
    missed = job.payload.missed
    assert missed is not None
    reason = f'{missed.details or missed.error}\n{result.details or result.error}'
    missed.details = f'{LIVE} on host {job.payload.source}: {reason}'
    job.payload.failure = missed
    return 'rollback'


def _keep(session: Session, job: LiveJob, result: WorkResult) -> Changes:
    job.payload.data = result.values
    return {}
