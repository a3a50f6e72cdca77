"""Resizes and cold migrations: what may be asked, and in what they end."""

import datetime
from collections.abc import Callable

from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.context import get_admin_context
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.migration import Migration
from kilonova.common.objects.request_spec import Selection
from kilonova.common.objects.server import Server
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import rules
from kilonova.conductor.tasks import faults, layouts, sizes
from kilonova.conductor.tasks.moving import MovePayload, Mover
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.conductor.tasks.resize import Resize
from kilonova.db import flavors, servers, types
from kilonova.db import server_migrations as migrations
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)


class ResizeServers:
    """Endpoint."""

    def __init__(self, parts: Parts, engine: Engine, mover: Mover) -> None:
        self._parts, self._mover = parts, mover
        self._procedures = Resize(parts, engine, mover)
        engine.chores.append(self.confirm_waiting)

    # -- there

    def resize_server(
        self,
        context: Ctx,
        uuid: str,
        flavorid: str,
        auto_disk_config: bool | None = None,
        zero_disk_allowed: bool = True,
    ) -> None:
        server = self._look_up(context, uuid, 'resize')
        flavor = self._flavor(context, flavorid)
        _check_flavor(server, flavor, zero_disk_allowed)
        layouts.check(self._parts.conf, flavor, server.image)
        request = sizes.with_flavor(sizes.request_spec(self._parts, server), flavor)
        if not self._parts.conf.allow_resize_to_same_host:
            request.ignore_hosts = [server.host or '']
        payload = MovePayload(context=faults.keep(context), rule='resize', request=request)

        def accepting(session: Session, server: Server) -> None:
            self._mover.record(session, context, server, payload, 'resize')
            if auto_disk_config is not None:
                servers.update(session, uuid, auto_disk_config=auto_disk_config)

        self._begin(self._procedures.resize, context, server, flavor, payload, accepting)

    def migrate_server(self, context: Ctx, uuid: str, host: str | None = None) -> None:
        server = self._look_up(context, uuid, 'migrate')
        request = sizes.request_spec(self._parts, server)
        request.ignore_hosts = [server.host or '']
        if host is not None:
            if host == server.host:
                raise exception.CannotMigrateToSameHost()
            self._check_host(host)
            request.requested_host = host
        payload = MovePayload(context=faults.keep(context), rule='migrate', request=request)

        def accepting(session: Session, server: Server) -> None:
            self._mover.record(session, context, server, payload, 'migration')

        flavor = server.flavor
        self._begin(self._procedures.migrate, context, server, flavor, payload, accepting)

    def _begin(
        self,
        procedure: Procedure[MovePayload],
        context: Ctx,
        server: Server,
        flavor: Flavor,
        payload: MovePayload,
        accepting: Callable[[Session, Server], None],
    ) -> None:
        """Count both flavors, and accept it."""
        sizes.book(self._parts, server, flavor)
        try:
            procedure.accept(context, server.uuid, payload, accepting)
        except exception.KilonovaError:
            sizes.settle(self._parts, server.uuid)
            raise

    @retry
    def _look_up(self, context: Ctx, uuid: str, rule: str) -> Server:
        """Return a server that may move.  Raises ServiceUnavailable (409) when its host is down."""
        with self._parts.cell_db.reader() as session:
            server = servers.get(session, uuid)
            state.check(context, server, state.RULES[rule])
            self._check_up(session, server.host or '')
            return server

    def _check_up(self, session: Session, host: str) -> None:
        if not self._parts.is_up(session, host):
            raise exception.Conflict(faults.HOST_DOWN % host)

    @retry
    def _flavor(self, context: Ctx, flavorid: str) -> Flavor:
        visible = None if context.is_admin else context.project_id or ''
        with self._parts.api_db.reader() as session:
            flavor = flavors.get(session, flavorid, visible)
        if flavor.disabled:
            raise exception.FlavorNotFound(flavor_id=flavorid)
        # Who may use it is not the server's business.
        flavor.projects = []
        return flavor

    @retry
    def _check_host(self, host: str) -> None:
        with self._parts.cell_db.reader() as session:
            rules.check_destination(session, host, None)

    # -- no way back, or back

    def confirm_resize(self, context: Ctx, uuid: str) -> None:
        payload = MovePayload(context=faults.keep(context), rule='confirmResize')

        def accepting(session: Session, server: Server) -> None:
            one = _take_up(session, server, payload, 'confirming')
            LOG.info('Migration %s of server %s is confirmed', one.uuid, uuid)

        self._procedures.confirm.accept(context, uuid, payload, accepting)

    def revert_resize(self, context: Ctx, uuid: str) -> None:
        payload = MovePayload(context=faults.keep(context), rule='revertResize')

        def accepting(session: Session, server: Server) -> None:
            one = _take_up(session, server, payload, 'reverting')
            self._check_up(session, one.source_compute or '')

        self._procedures.revert.accept(context, uuid, payload, accepting)

    def confirm_waiting(self) -> int:
        """Confirm what nobody has confirmed within ``resize_confirm_window``."""
        window = self._parts.conf.resize_confirm_window
        if not window:
            return 0
        with self._parts.cell_db.reader() as session:
            before = types.utcnow() - datetime.timedelta(seconds=window)
            found = migrations.waiting(session, before)
        for one in found:
            try:
                self.confirm_resize(get_admin_context(), one.instance_uuid)
            except exception.KilonovaError as error:
                LOG.info('Resize of %s is not confirmed now: %s', one.instance_uuid, error)
        return len(found)


def _check_flavor(server: Server, flavor: Flavor, zero_disk_allowed: bool) -> None:
    """Raises CannotResizeToSameFlavor, CannotResizeDisk, Forbidden."""
    own = server.flavor
    if flavor.flavorid == own.flavorid and flavor.id == own.id:
        raise exception.CannotResizeToSameFlavor()
    if server.boots_from_volume or flavor.root_gb:
        return
    if own.root_gb:
        raise exception.CannotResizeDisk(reason='Resize to zero disk flavor is not allowed.')
    if not zero_disk_allowed:
        raise exception.Forbidden(
            'Only volume-backed servers are allowed for flavors with zero disk.'
        )


def _take_up(session: Session, server: Server, payload: MovePayload, status: str) -> Migration:
    """Find the resize that waits, for a payload that goes on with it.  Raises Invalid."""
    found = migrations.of_server(session, server.uuid, ('finished',), migrations.COLD)
    if not found:
        raise exception.Invalid('Instance has not been resized.')
    one = found[-1]
    migrations.update(session, one.uuid, status=status)
    payload.migration = one.uuid
    payload.source, payload.source_node = one.source_compute or '', one.source_node
    payload.move = migrations.get_move(session, one.uuid)
    payload.selection = Selection(
        host=one.dest_compute or '',
        node=one.dest_node or '',
        compute_node_uuid='',
        availability_zone=server.availability_zone or '',
    )
    return one
