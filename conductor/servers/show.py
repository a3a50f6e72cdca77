"""Reading and updating server records."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server, ServerQuery
from kilonova.conductor.parts import Parts
from kilonova.db import hosts, server_groups, server_list, servers
from kilonova.db.engine import retry

UPDATABLE = {
    'security_groups',
    'name',
    'description',
    'hostname',
    'access_ip_v4',
    'access_ip_v6',
    'auto_disk_config',
    'requested_zone',
}


class ShowServers:
    """Endpoint."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @retry
    def get_server(
        self,
        context: Ctx,
        uuid: str,
        project_id: str | None = None,
        expand: list[str] | None = None,
    ) -> Server:
        with self._parts.cell_db.reader() as session:
            server = _without_secrets(servers.get(session, uuid, project_id))
            return self._expanded(session, server, expand or ())

    def _expanded(self, session: Session, server: Server, wanted: Collection[str]) -> Server:
        if 'host_status' in wanted:
            self._add_host_status(session, [server])
        if 'server_groups' in wanted:
            with self._parts.api_db.reader() as groups:
                server.server_groups = server_groups.groups_of(groups, server.uuid)
        return server

    @retry
    def get_deleted_or_live_server(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> Server:
        with self._parts.cell_db.reader() as session:
            return servers.get(session, uuid, project_id, deleted=None)

    def list_servers(self, context: Ctx, query: ServerQuery) -> list[Server]:
        return [server for _, server in self.page(query, self.marker(query))]

    @retry
    def marker(self, query: ServerQuery) -> Sequence[Any] | None:
        """Return the marker's values of the sort keys.  Raises MarkerNotFound."""
        if not query.marker:
            return None
        with self._parts.cell_db.reader() as session:
            return server_list.marker_values(session, query)

    @retry
    def page(
        self, query: ServerQuery, after: Sequence[Any] | None
    ) -> list[tuple[Sequence[Any], Server]]:
        """Return this cell's part of a page, with the values of the sort keys."""
        with self._parts.cell_db.reader() as session:
            found = server_list.page(session, query, after)
            servers_found = [_without_secrets(server) for _, server in found]
            if query.host_status:
                self._add_host_status(session, servers_found)
            return found

    @retry
    def get_server_by_port(self, context: Ctx, port_id: str) -> Server:
        with self._parts.cell_db.reader() as session:
            return _without_secrets(servers.find_by_port(session, port_id))

    @retry
    def get_host_servers(self, context: Ctx, host: str) -> list[Server]:
        with self._parts.cell_db.reader() as session:
            return servers.on_host(session, host)

    @retry
    def update_server(
        self,
        context: Ctx,
        uuid: str,
        changes: dict[str, Any],
        expand: list[str] | None = None,
    ) -> Server:
        unknown = set(changes) - UPDATABLE
        if unknown:
            raise exception.InvalidInput(reason=f'Cannot be changed: {", ".join(sorted(unknown))}')
        with self._parts.cell_db.transaction() as session:
            if changes and not servers.update(session, uuid, **changes):
                raise exception.InstanceNotFound(instance_id=uuid)
            server = _without_secrets(servers.get(session, uuid))
        with self._parts.cell_db.reader() as session:
            return self._expanded(session, server, expand or ())

    @retry
    def update_network_info(
        self, context: Ctx, uuid: str, network_info: list[VIF], before: list[VIF] | None = None
    ) -> None:
        with self._parts.cell_db.transaction() as session:
            if before is not None and servers.get(session, uuid, lock=True).network_info != before:
                return
            servers.update(session, uuid, network_info=network_info)

    def _add_host_status(self, session: Session, found: list[Server]) -> None:
        names = {server.host for server in found if server.host}
        rows = hosts.lives(session, names)
        for server in found:
            server.host_status = self._host_status(server.host, rows)

    def _host_status(self, host: str | None, rows: dict[str, hosts.Life]) -> str:
        if not host:
            return ''
        row = rows.get(host)
        if row is None:
            return 'UNKNOWN'
        if row.forced_down:
            return 'DOWN'
        if not hosts.is_up(row, self._parts.conf.service_down_time):
            return 'UNKNOWN'
        return 'MAINTENANCE' if row.disabled else 'UP'


def _without_secrets(server: Server) -> Server:
    """Leave out how a host reaches the volumes: nobody but the host needs it."""
    for device in server.block_devices:
        device.connection_info = None
    return server
