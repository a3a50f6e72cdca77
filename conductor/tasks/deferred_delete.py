"""Deletion that can be taken back for a while (``reclaim_instance_interval``)."""

import datetime

import sqlalchemy as sa
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.context import get_admin_context
from kilonova.common.objects import work
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults, sizes
from kilonova.conductor.tasks.delete import Delete
from kilonova.conductor.tasks.phases import Changes, Job, Payload, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.db import quotas, servers, types
from kilonova.db.engine import retry
from kilonova.db.models.api import InstanceMapping
from kilonova.db.models.servers import InstanceRow

LOG = logging.getLogger(__name__)
BATCH = 100


class DeferredDelete:
    """Endpoint, and the procedures ``soft-delete`` and ``restore``."""

    def __init__(self, parts: Parts, engine: Engine, delete: Delete) -> None:
        self._parts, self._delete = parts, delete
        self._soft_delete = Procedure(
            parts,
            engine,
            'soft-delete',
            (
                Phase[Payload](name='count', run=self._stop_counting),
                Phase[Payload](
                    name='stop',
                    event='compute_soft_delete_instance',
                    work=lambda job: work.SoftDelete(),
                    ended=_deleted_now,
                    undo=(Phase(name='count again', run=self._count_again),),
                ),
            ),
            payload=Payload,
        )
        self._restore = Procedure(
            parts,
            engine,
            'restore',
            (
                Phase[Payload](
                    name='restore',
                    event='compute_restore_instance',
                    work=lambda job: work.Restore(),
                    ended=lambda session, job, result: {'deleted_at': None},
                    undo=(Phase(name='stop counting', run=self._stop_counting),),
                ),
            ),
            payload=Payload,
        )
        engine.chores.append(self.reclaim)

    def delete_server(self, context: Ctx, uuid: str, force: bool = False) -> None:
        if force or not self._parts.conf.reclaim_instance_interval:
            self._delete.accept(context, uuid)
            return
        server = self._get(uuid)
        if server.vm_state == state.SOFT_DELETED:
            return
        if server.launched_at is None or server.host is None:
            self._delete.accept(context, uuid)
        else:
            payload = Payload(context=faults.keep(context), rule='soft_delete')
            self._soft_delete.accept(context, uuid, payload, self._delete.close_moves)

    def restore_server(self, context: Ctx, uuid: str) -> None:
        server = self._get(uuid)
        state.check(context, server, state.RULES['restore'])
        self._book(server)
        payload = Payload(context=faults.keep(context), rule='restore')
        try:
            self._restore.accept(context, uuid, payload)
        except exception.KilonovaError:
            self._set_counted(uuid, False)
            raise

    def reclaim(self) -> int:
        """Delete what was soft-deleted long enough ago; returns how many servers."""
        interval = self._parts.conf.reclaim_instance_interval
        if not interval:
            return 0
        due = self._due(types.utcnow() - datetime.timedelta(seconds=interval))
        for uuid in due:
            LOG.info('Server %s was deleted %s s ago and is removed now', uuid, interval)
            self._delete.accept(get_admin_context(), uuid)
        return len(due)

    # -- databases

    @retry
    def _get(self, uuid: str) -> Server:
        with self._parts.cell_db.reader() as session:
            return servers.get(session, uuid)

    @retry
    def _due(self, until: datetime.datetime) -> list[str]:
        query = sa.select(InstanceRow.uuid).where(
            InstanceRow.deleted == 0,
            InstanceRow.vm_state == state.SOFT_DELETED,
            InstanceRow.operation.is_(None),
            InstanceRow.deleted_at <= until,
        )
        with self._parts.cell_db.reader() as session:
            return list(session.scalars(query.order_by(InstanceRow.deleted_at).limit(BATCH)))

    @retry
    def _book(self, server: Server) -> None:
        """Count the server again.  Raises QuotaExceeded."""
        flavor = server.flavor
        with self._parts.api_db.transaction() as session:
            quotas.check_and_reserve(
                session,
                self._parts.conf,
                server.project_id,
                server.user_id,
                servers=1,
                vcpus=flavor.vcpus,
                memory_mb=flavor.memory_mb,
                resources=sizes.taken(server, flavor),
            )
            _count(session, server.uuid, True)

    @retry
    def _set_counted(self, uuid: str, counted: bool) -> None:
        with self._parts.api_db.transaction() as session:
            _count(session, uuid, counted)

    def _stop_counting(self, job: Job[Payload]) -> None:
        self._set_counted(job.server.uuid, False)

    def _count_again(self, job: Job[Payload]) -> None:
        # It may be over quota now; it never stopped to be there.
        self._set_counted(job.server.uuid, True)


def _count(session: Session, uuid: str, counted: bool) -> None:
    session.execute(
        sa.update(InstanceMapping)
        .where(InstanceMapping.instance_uuid == uuid)
        .values(queued_for_delete=not counted)
    )


def _deleted_now(session: Session, job: Job[Payload], result: WorkResult) -> Changes:
    return {'deleted_at': types.utcnow()}
