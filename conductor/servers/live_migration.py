"""Live migrations: what may be asked, how far they are, what is wanted of them."""

import time

from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.migration import Migration, Progress
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import rules
from kilonova.conductor.tasks import accept, faults, sizes
from kilonova.conductor.tasks.live_migration import LiveMigration, LivePayload
from kilonova.conductor.tasks.moving import Mover
from kilonova.db import server_migrations as migrations
from kilonova.db import servers
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)

CHECKS = 60
"""Seconds that are waited for the hosts' checks."""
PAUSE = 0.2


class LiveMigrations:
    """Endpoint."""

    def __init__(self, parts: Parts, engine: Engine, mover: Mover) -> None:
        self._parts, self._engine, self._mover = parts, engine, mover
        self._procedure = LiveMigration(parts, engine, mover).procedure

    def live_migrate_server(
        self,
        context: Ctx,
        uuid: str,
        host: str | None,
        block_migration: bool | None,
        disk_over_commit: bool = False,
        force: bool = False,
        wait: bool = False,
    ) -> None:
        server = self._look_up(context, uuid, host)
        request = sizes.request_spec(self._parts, server)
        request.requested_host = host
        request.ignore_hosts = [server.host or '']
        payload = LivePayload(
            context=faults.keep(context),
            rule='os-migrateLive',
            request=request,
            forced=force and host is not None,
            block_migration=block_migration,
            disk_over_commit=disk_over_commit,
        )

        def accepting(session: Session, server: Server) -> None:
            self._mover.record(session, context, server, payload, migrations.LIVE)

        self._procedure.accept(context, uuid, payload, accepting)
        if wait:
            self._wait(uuid, payload.migration)

    @retry
    def _look_up(self, context: Ctx, uuid: str, host: str | None) -> Server:
        with self._parts.cell_db.reader() as session:
            server = servers.get(session, uuid)
            state.check(context, server, state.RULES['os-migrateLive'])
            if host is not None:
                rules.check_destination(session, host, None)
            return server

    def _wait(self, uuid: str, migration: str) -> None:
        """Raises Invalid when a check has failed."""
        end = time.monotonic() + CHECKS
        while time.monotonic() < end:
            with self._parts.cell_db.reader() as session:
                found = migrations.get(session, migration)
                fault = servers.get(session, uuid, deleted=None, parts=False).fault
            if found is None or found.status != 'accepted':
                break
            time.sleep(PAUSE)
        if found is not None and found.status == 'error':
            raise exception.Invalid(fault.message if fault else 'The live migration failed.')

    # -- while it goes on

    @retry
    def live_migration_progress(
        self, context: Ctx, uuid: str, fence: Fence, status: str, progress: Progress
    ) -> str:
        values = {n: v for n in Progress.__struct_fields__ if (v := getattr(progress, n))}
        total, done = progress.memory_total or 0, progress.memory_processed or 0
        percent = done * 100 // total if total else 0
        with self._parts.cell_db.transaction() as session:
            if not servers.update(session, uuid, fence, progress=percent):
                return 'superseded'
            found = migrations.of_server(session, uuid, migrations.MOVING, (migrations.LIVE,))
            if not found:
                return 'superseded'
            migrations.update(session, found[-1].uuid, status=status, **values)
            return found[-1].wish or ''

    def abort_live_migration(
        self,
        context: Ctx,
        uuid: str,
        number: int,
        project_id: str | None = None,
        waiting: bool = False,
    ) -> None:
        statuses = ('running', 'queued', 'preparing') if waiting else ('running',)
        self._wish(context, uuid, number, project_id, 'abort live migration', 'abort', statuses)

    def force_live_migration(
        self, context: Ctx, uuid: str, number: int, project_id: str | None = None
    ) -> None:
        name = 'force_complete'
        self._wish(context, uuid, number, project_id, name, name, ('running',))

    def _wish(
        self,
        context: Ctx,
        uuid: str,
        number: int,
        project_id: str | None,
        rule: str,
        wish: str,
        statuses: tuple[str, ...],
    ) -> None:
        one = self._record_wish(context, uuid, number, project_id, rule, wish, statuses)
        host = self._parts.compute.at(one.source_compute or '')
        what = f'{wish} of migration {one.uuid}'
        self._engine.hint(what, host.steer_live_migration, context, one.uuid, wish)

    @retry
    def _record_wish(
        self,
        context: Ctx,
        uuid: str,
        number: int,
        project_id: str | None,
        rule: str,
        wish: str,
        statuses: tuple[str, ...],
    ) -> Migration:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, project_id, lock=True, parts=False)
            state.check(context, server, state.RULES[rule])
            one = migrations.get_of_server(session, uuid, number)
            if one.status not in statuses or one.migration_type != migrations.LIVE:
                raise exception.InvalidMigrationState(
                    migration_id=number, instance_uuid=uuid, state=one.status, method=rule
                )
            migrations.update(session, one.uuid, wish=wish)
            host = one.source_compute or ''
            accept.note(session, context, server, state.RULES[rule], host)
            return one
