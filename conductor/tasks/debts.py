"""What moves that have ended may still hold: allocations, guests on the other host."""

from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import get_admin_context
from kilonova.common.objects.migration import Migration
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Parts
from kilonova.db import server_migrations as migrations
from kilonova.db import servers
from kilonova.db.engine import retry

LOG = logging.getLogger(__name__)


class Debts:
    """Settles it: at once when a server is deleted, else when it is due."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def close(self, session: Session, server: Server) -> None:
        """End a server's open moves because something else takes the server over."""
        migrations.close(session, server.uuid, self._parts.lease())

    def sweep(self) -> int:
        """Settle what is due; returns how much that was."""
        with self._parts.cell_db.reader() as session:
            found = migrations.owed(session)
        for one in found:
            try:
                self._settle(one)
            except exception.ServiceUnavailable as error:
                LOG.warning('What migration %s holds stays for now: %s', one.uuid, error)
                continue
            self._paid(one.uuid)
        return len(found)

    def pay(self, server_uuid: str) -> None:
        """Give back at once what the moves of a server hold that is being deleted."""
        with self._parts.cell_db.reader() as session:
            found = migrations.owed(session, server_uuid)
            server = servers.get(session, server_uuid, deleted=None) if found else None
        for one in found:
            assert server is not None
            self._drop(one, server)

    @retry
    def _paid(self, uuid: str) -> None:
        with self._parts.cell_db.transaction() as session:
            migrations.paid(session, uuid)

    def _settle(self, one: Migration) -> None:
        with self._parts.cell_db.reader() as session:
            server = servers.get(session, one.instance_uuid, deleted=None)
        placement = self._parts.placement
        if server.deleted:
            self._drop(one, server)
        elif server.host != one.source_compute or one.status != 'error':
            placement.delete_allocations(one.uuid)
        elif placement.get_allocations(one.uuid).allocations:
            placement.move_allocations(one.uuid, server.uuid)

    def _drop(self, one: Migration, server: Server) -> None:
        for host in {one.source_compute, one.dest_compute} - {server.host, None}:
            self._clean(str(host), server)
        self._parts.placement.delete_allocations(one.uuid)

    def _clean(self, host: str, server: Server) -> None:
        """Tell a host to remove what it has; one that is down finds it when it is back."""
        with self._parts.cell_db.reader() as session:
            alive = self._parts.is_up(session, host)
        if not alive:
            return
        fence = Fence(f'{server.operation or server.uuid}:left', server.attempt)
        try:
            self._parts.compute.at(host).remove_guest(get_admin_context(), server, fence)
        except (exception.ServiceUnavailable, OSError) as error:
            LOG.warning('Host %s looks for server %s later: %s', host, server.uuid, error)
