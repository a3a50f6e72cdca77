"""Reading the records of moves."""

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.migration import Migration, MigrationQuery
from kilonova.conductor.parts import Parts
from kilonova.db import server_migrations as migrations
from kilonova.db import servers
from kilonova.db.engine import retry


class ServerMigrations:
    """Endpoint."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @retry
    def list_migrations(self, context: Ctx, query: MigrationQuery) -> list[Migration]:
        with self._parts.cell_db.reader() as session:
            return migrations.find(session, query)

    @retry
    def list_live_migrations(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> list[Migration]:
        with self._parts.cell_db.reader() as session:
            servers.get(session, uuid, project_id, parts=False)
            return migrations.of_server(session, uuid, migrations.IN_PROGRESS, (migrations.LIVE,))

    @retry
    def get_live_migration(
        self, context: Ctx, uuid: str, number: int, project_id: str | None = None
    ) -> Migration:
        with self._parts.cell_db.reader() as session:
            servers.get(session, uuid, project_id, parts=False)
            try:
                found = migrations.get_of_server(session, uuid, number)
            except exception.MigrationNotFoundForInstance:
                raise exception.NotFound(
                    f'In-progress live migration {number} is not found for server {uuid}.'
                ) from None
        if found.migration_type != migrations.LIVE:
            raise exception.NotFound(f'Migration {number} for server {uuid} is not live-migration.')
        if found.status not in migrations.IN_PROGRESS:
            raise exception.NotFound(
                f'Live migration {number} for server {uuid} is not in progress.'
            )
        return found

    @retry
    def get_host_moves(self, context: Ctx, host: str) -> list[Migration]:
        with self._parts.cell_db.reader() as session:
            return migrations.on_host(session, host)
