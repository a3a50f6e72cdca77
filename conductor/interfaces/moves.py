"""Servers that change their size or host, and the records of that."""

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.migration import Migration, MigrationQuery


class MovesInterface(rpc.Interface):
    """Servers that change their size or host, and the records of that."""

    @rpc.call()
    def resize_server(
        self,
        context: Ctx,
        uuid: str,
        flavorid: str,
        auto_disk_config: bool | None = None,
        zero_disk_allowed: bool = True,
    ) -> None:
        """Accept a resize.  Also raises FlavorNotFound, QuotaExceeded, Forbidden (zero disk),
        CannotResizeToSameFlavor, CannotResizeDisk.
        """

    @rpc.call()
    def migrate_server(self, context: Ctx, uuid: str, host: str | None = None) -> None:
        """Accept a cold migration.  Also raises ComputeHostNotFound, CannotMigrateToSameHost."""

    @rpc.call()
    def confirm_resize(self, context: Ctx, uuid: str) -> None:
        """Accept the end of a resize.  Also raises Invalid when there is none."""

    @rpc.call()
    def revert_resize(self, context: Ctx, uuid: str) -> None:
        """Accept the way back from a resize.  Also raises Invalid when there is none."""

    @rpc.call(timeout=90)
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
        """Accept a live migration; ``wait``: return when both hosts have checked it.

        ``block_migration`` None: as the hosts find out.  ``force``: to ``host`` without asking
        the scheduler.  Also raises ComputeHostNotFound, and with ``wait`` Invalid.
        """

    @rpc.call()
    def evacuate_server(
        self,
        context: Ctx,
        uuid: str,
        admin_password: str,
        host: str | None = None,
        force: bool = False,
        stopped: bool = False,
    ) -> None:
        """Accept that a server of a host that is down is made anew on another one.

        ``stopped``: it is not started there.  Raises NotFound (host), ComputeServiceInUse.
        """

    @rpc.call()
    def abort_live_migration(
        self,
        context: Ctx,
        uuid: str,
        number: int,
        project_id: str | None = None,
        waiting: bool = False,
    ) -> None:
        """Have a live migration end; ``waiting``: also one that is only prepared.

        Raises MigrationNotFoundForInstance, InvalidMigrationState.
        """

    @rpc.call()
    def force_live_migration(
        self, context: Ctx, uuid: str, number: int, project_id: str | None = None
    ) -> None:
        """Have a live migration come to its end.  Raises as abort_live_migration."""

    @rpc.call()
    def list_migrations(self, context: Ctx, query: MigrationQuery) -> list[Migration]:
        """Return moves of servers.  Raises MarkerNotFound."""

    @rpc.call()
    def list_live_migrations(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> list[Migration]:
        """Return a server's live migrations that go on.  Raises InstanceNotFound."""

    @rpc.call()
    def get_live_migration(
        self, context: Ctx, uuid: str, number: int, project_id: str | None = None
    ) -> Migration:
        """Return one that goes on.  Raises InstanceNotFound, NotFound."""
