"""Emptying hosts for maintenance.

A drain is a row that says what is wanted and what was done; each server's move is an operation
of its own.  Whoever looks at the row takes the next step: the conductors' sweep, and who asks.
"""

import datetime
import secrets
from collections.abc import Callable

import msgspec
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import drain
from kilonova.common.objects.drain import Drain, DrainedServer
from kilonova.common.objects.migration import MigrationQuery
from kilonova.common.objects.server import Server
from kilonova.conductor import drain_forecast, drain_plan, state
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers.live_migration import LiveMigrations
from kilonova.conductor.servers.resize import ResizeServers
from kilonova.conductor.tasks.evacuation import Evacuation
from kilonova.db import drains, hosts, servers, types
from kilonova.db import server_migrations as migrations
from kilonova.db.engine import retry
from kilonova.db.models.drains import HostDrainRow

LOG = logging.getLogger(__name__)

AT_ONCE = 4
"""Servers that are on their way from one host at a time; more only wait for each other."""
BEGINNING = datetime.timedelta(seconds=60)
"""What a conductor that has set out to begin a move gets to do so."""
REASON = 'The host is being drained.'
Ways = dict[str, Callable[[Ctx, str], None]]


class Drains:
    """Endpoint."""

    def __init__(
        self,
        parts: Parts,
        resizes: ResizeServers,
        lives: LiveMigrations,
        evacuation: Evacuation,
    ) -> None:
        self._parts, self._resizes = parts, resizes
        self._ways: Ways = {
            drain_plan.LIVE: lambda context, uuid: lives.live_migrate_server(
                context, uuid, None, None
            ),
            drain_plan.COLD: resizes.migrate_server,
            drain_plan.EVACUATION: lambda context, uuid: evacuation.evacuate_server(
                context, uuid, secrets.token_urlsafe(12)
            ),
        }

    # -- endpoint

    def drain_host(
        self, context: Ctx, host: str, evacuate: bool = False, dry_run: bool = False
    ) -> Drain:
        self._assert_known(host)
        if dry_run:
            return self._only_look(context, host, evacuate)
        self._disable(context, host)
        self._begin(context, host, evacuate)
        return self._advance(host)

    def get_host_drain(self, context: Ctx, host: str) -> Drain:
        self._assert_known(host)
        if self._read(host) is None:
            raise exception.HostDrainNotFound(host=host)
        return self._advance(host)

    @retry
    def stop_host_drain(self, context: Ctx, host: str) -> None:
        with self._parts.cell_db.transaction() as session:
            row = drains.find(session, host, lock=True)
            if row is None or row.state != drain.DRAINING:
                raise exception.HostDrainNotFound(host=host)
            row.state, row.ended_at = drain.STOPPED, types.utcnow()

    def sweep(self) -> None:
        """Take the next step of every drain."""
        with self._parts.cell_db.reader() as session:
            found = drains.running(session)
        for host in found:
            self._advance(host)

    # -- the record

    @retry
    def _assert_known(self, host: str) -> None:
        with self._parts.cell_db.reader() as session:
            if hosts.find_compute(session, host) is None:
                raise exception.ComputeHostNotFound(host=host)

    @retry
    def _disable(self, context: Ctx, host: str) -> None:
        """Keep new servers away; a host that is down changes its trait when it starts."""
        with self._parts.cell_db.transaction() as session:
            row = hosts.find_compute(session, host)
            if row is None or row.disabled:
                return
            row.disabled, row.disabled_reason = True, REASON
            hosts.bump(session)
            up = self._parts.is_up(session, host)
        if up:
            try:
                self._parts.compute.at(host).set_host_enabled(context, False)
            except exception.KilonovaError as error:
                LOG.warning('Host %s did not change its trait: %s', host, error)

    @retry
    def _begin(self, context: Ctx, host: str, evacuate: bool) -> None:
        """Write down what is wanted; a drain that goes on is left alone, but for that."""
        with self._parts.cell_db.transaction() as session:
            row = drains.find(session, host, lock=True)
            if row is None:
                row = HostDrainRow(host=host, state='', servers={})
                session.add(row)
            row.evacuate = evacuate
            if row.state != drain.DRAINING:
                row.state, row.ended_at, row.servers = drain.DRAINING, None, {}
                row.started_at = types.utcnow()
                row.user_id, row.project_id = context.user_id, context.project_id

    @retry
    def _read(self, host: str) -> Drain | None:
        with self._parts.cell_db.reader() as session:
            row = drains.find(session, host)
            return None if row is None else _to_drain(row)

    def _only_look(self, context: Ctx, host: str, evacuate: bool) -> Drain:
        here, up = self._here(host)
        found = [(drain_plan.look(one, up, evacuate), one) for one in here.values()]
        drain_forecast.ask(self._parts, context, found)
        return Drain(host=host, evacuate=evacuate, servers=[one for one, _server in found])

    # -- a step

    def _advance(self, host: str) -> Drain:
        """See what has become of what was begun, begin more, and note all of it.

        Several may do so at once: who has written down first that a server moves begins its move.
        """
        found = self._read(host)
        assert found is not None
        if found.state != drain.DRAINING:
            return found
        before = {one.uuid: one.status for one in found.servers}
        known = {one.uuid: one for one in found.servers}
        here, up = self._here(host)
        for one in known.values():
            self._follow(one, here, found)
        for server in here.values():
            if server.uuid not in known or known[server.uuid].status == drain.WAITING:
                known[server.uuid] = drain_plan.look(server, up, found.evacuate)
        found.servers = list(known.values())
        failed = self._begin_moves(self._reserve(found, before))
        return self._note(found, failed)

    @retry
    def _here(self, host: str) -> tuple[dict[str, Server], bool]:
        with self._parts.cell_db.reader() as session:
            there = servers.on_host(session, host)
            return {one.uuid: one for one in there}, self._parts.is_up(session, host)

    @retry
    def _reserve(self, found: Drain, before: dict[str, str]) -> list[DrainedServer]:
        """Note what was seen, unless somebody has noted something else; return what to begin."""
        with self._parts.cell_db.transaction() as session:
            row = self._own(session, found)
            if row is None:
                return []
            known = {one.uuid: one for one in _to_drain(row).servers}
            for one in found.servers:
                noted = known.get(one.uuid)
                if (noted.status if noted else None) == before.get(one.uuid):
                    known[one.uuid] = one
            free = AT_ONCE - sum(one.status == drain.MOVING for one in known.values())
            waiting = [one for one in known.values() if one.status == drain.WAITING and one.how]
            chosen = waiting[: max(free, 0)]
            for one in chosen:
                one.status, one.begun_at = drain.MOVING, types.utcnow()
            _keep(row, known)
            return chosen

    def _begin_moves(self, chosen: list[DrainedServer]) -> dict[str, str]:
        """Return what was refused, and why."""
        failed = {}
        for one in chosen:
            try:
                self._ways[one.how or ''](ctx.get_admin_context(), one.uuid)
            except exception.KilonovaError as error:
                failed[one.uuid] = error.message
        return failed

    def _follow(self, one: DrainedServer, here: dict[str, Server], found: Drain) -> None:
        """Update one that was on its way."""
        if one.status != drain.MOVING:
            if one.uuid not in here and one.status in (drain.WAITING, drain.STAYS):
                one.status, one.reason = drain.MOVED, None  # by somebody else, or deleted
            return
        server, status, one.target = self._state(one, found)
        if server is None:
            one.status, one.progress = drain.MOVED, 100
            return
        one.progress = server.progress or 0
        if server.task_state is not None:
            return
        if one.how == drain_plan.COLD and server.vm_state == state.RESIZED:
            self._confirm(one)
        elif server.host != found.host:
            one.status, one.progress = drain.MOVED, 100
        elif status is None:
            if one.begun_at is None or types.utcnow() - one.begun_at > BEGINNING:
                one.status = drain.WAITING  # who was to begin it has died
        elif status in ('error', 'cancelled'):
            one.status = drain.FAILED
            one.reason = server.fault.message if server.fault else 'The move was ended.'

    @retry
    def _state(
        self, one: DrainedServer, found: Drain
    ) -> tuple[Server | None, str | None, str | None]:
        """Return a server, its last move's status, and where that goes."""
        with self._parts.cell_db.reader() as session:
            query = MigrationQuery(
                filters={'instance_uuid': one.uuid, 'source_compute': found.host},
                changes_since=found.started_at,
                limit=1,
            )
            moves = migrations.find(session, query)
            try:
                server = servers.get(session, one.uuid)
            except exception.NotFound:
                server = None
            last = moves[0] if moves else None
            if last is None:
                return server, None, None
            return server, last.status, last.dest_compute

    def _confirm(self, one: DrainedServer) -> None:
        try:
            self._resizes.confirm_resize(ctx.get_admin_context(), one.uuid)
        except exception.KilonovaError as error:
            LOG.info('The move of server %s is not confirmed yet: %s', one.uuid, error)

    @retry
    def _note(self, found: Drain, failed: dict[str, str]) -> Drain:
        with self._parts.cell_db.transaction() as session:
            row = self._own(session, found)
            if row is not None:
                known = {one.uuid: one for one in _to_drain(row).servers}
                for uuid, reason in failed.items():
                    known[uuid].status, known[uuid].reason = drain.FAILED, reason
                _keep(row, known)
                self._end(row, list(known.values()))
        now = self._read(found.host)
        assert now is not None
        return now

    @staticmethod
    def _own(session: Session, found: Drain) -> HostDrainRow | None:
        """Return the row, locked, while it is the same drain and goes on."""
        row = drains.find(session, found.host, lock=True)
        goes_on = row is not None and row.state == drain.DRAINING
        return row if goes_on and row and row.started_at == found.started_at else None

    @staticmethod
    def _end(row: HostDrainRow, found: list[DrainedServer]) -> None:
        if any(one.status in (drain.WAITING, drain.MOVING) for one in found):
            return
        stays = any(one.status in (drain.FAILED, drain.STAYS) for one in found)
        row.state, row.ended_at = drain.INCOMPLETE if stays else drain.DRAINED, types.utcnow()


def _keep(row: HostDrainRow, known: dict[str, DrainedServer]) -> None:
    row.servers = {uuid: msgspec.to_builtins(one) for uuid, one in known.items()}


def _to_drain(row: HostDrainRow) -> Drain:
    return Drain(
        host=row.host,
        state=row.state,
        evacuate=row.evacuate,
        started_at=row.started_at,
        ended_at=row.ended_at,
        servers=msgspec.convert(list(row.servers.values()), list[DrainedServer]),
    )
