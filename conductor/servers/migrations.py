"""Reading the records of moves."""

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.migration import Migration, MigrationQuery
from kilonova.conductor.parts import Parts
from kilonova.db import server_migrations as records
from kilonova.db import servers
from kilonova.db.engine import retry


class ServerMigrations:
    """Endpoint."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @retry
    def list_migrations(self, context: Ctx, query: MigrationQuery) -> list[Migration]:
        with self._parts.cell_db.reader() as session:
            return records.find(session, query)

    @retry
    def list_live_migrations(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> list[Migration]:
        with self._parts.cell_db.reader() as session:
            servers.get(session, uuid, project_id, parts=False)
            return records.of_server(session, uuid, records.IN_PROGRESS, (records.LIVE,))

    @retry
    def get_live_migration(
        self, context: Ctx, uuid: str, number: int, project_id: str | None = None
    ) -> Migration:
        with self._parts.cell_db.reader() as session:
            servers.get(session, uuid, project_id, parts=False)
            try:
                found = records.get_of_server(session, uuid, number)
            except exception.MigrationNotFoundForInstance:
                raise exception.NotFound(
                    f'In-progress live migration {number} is not found for server {uuid}.'
                ) from None
        if found.migration_type != records.LIVE:
            raise exception.NotFound(f'Migration {number} for server {uuid} is not live-migration.')
        if found.status not in records.IN_PROGRESS:
            raise exception.NotFound(
                f'Live migration {number} for server {uuid} is not in progress.'
            )
        return found

    def evacuated_removed(self, context: Ctx, host: str, migrations: list[str]) -> None:
        for uuid in migrations:
            self._parts.placement.delete_allocations(uuid)
            self._complete(host, uuid)

    @retry
    def _complete(self, host: str, uuid: str) -> None:
        with self._parts.cell_db.transaction() as session:
            found = records.get(session, uuid)
            if found is not None and (found.source_compute, found.status) == (host, 'done'):
                records.update(session, uuid, status='completed')

    @retry
    def get_host_moves(self, context: Ctx, host: str) -> list[Migration]:
        with self._parts.cell_db.reader() as session:
            return records.on_host(session, host)
