"""What the API asks about servers, and their properties."""

import datetime
from typing import Any

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.console import ConsoleAccess
from kilonova.common.objects.diagnostics import ServerDiagnostics
from kilonova.common.objects.explanation import Explanation
from kilonova.common.objects.operation import ExternalEvent
from kilonova.common.objects.server import (
    CreatedServers,
    OwnedActions,
    Server,
    ServerCreate,
    ServerQuery,
)


class ServersInterface(rpc.Interface):
    """What the API asks about servers, and their properties."""

    @rpc.call()
    def create_servers(self, context: Ctx, request: ServerCreate) -> CreatedServers:
        """Accept new servers: flavor, key, group, zone and quota are checked; then the build runs.

        Raises FlavorNotFound, KeypairNotFound, InstanceGroupNotFound, QuotaExceeded,
        LimitExceeded, Invalid (zone, forced host, image too large for the flavor).
        """

    @rpc.call(timeout=120)
    def explain_servers(self, context: Ctx, request: ServerCreate) -> Explanation:
        """Say which hosts new servers would get and why.  Nothing is written; raises likewise."""

    @rpc.call()
    def get_server(
        self,
        context: Ctx,
        uuid: str,
        project_id: str | None = None,
        expand: list[str] | None = None,
    ) -> Server:
        """Return one server that is not deleted.

        ``expand``: 'host_status', 'block_devices', 'server_groups', 'unreachable' (what is known of
        it will do when its cell is down).  Tags, fault and network
        info always come.
        Raises InstanceNotFound (also when it is another project's).
        """

    @rpc.call()
    def list_servers(self, context: Ctx, query: ServerQuery) -> list[Server]:
        """Return servers; with ``query.detail`` false only uuid, name (rest at defaults).

        Raises MarkerNotFound, InvalidInput (bad regular expression, unknown sort key).
        """

    @rpc.call()
    def update_server(
        self, context: Ctx, uuid: str, changes: dict[str, Any], expand: list[str] | None = None
    ) -> Server:
        """Change name, description, hostname, access_ip_v4/v6, auto_disk_config, requested_zone."""

    @rpc.call()
    def delete_server(self, context: Ctx, uuid: str, force: bool = False) -> None:
        """Accept the deletion; supersedes whatever runs.  Raises InstanceIsLocked.

        Where deletion is deferred a server that has run is only soft-deleted, unless ``force``.
        """

    @rpc.call()
    def lock_server(self, context: Ctx, uuid: str, reason: str | None = None) -> None:
        """Lock; nothing changes when the owner locks what is locked."""

    @rpc.call()
    def unlock_server(self, context: Ctx, uuid: str, override: bool = False) -> None:
        """Unlock.  Raises InstanceIsLocked when it is another one's lock and not ``override``."""

    @rpc.call()
    def reset_server_state(self, context: Ctx, uuid: str, vm_state: str) -> None:
        """Set the state, clear the task; what works on the server is superseded."""

    @rpc.call(timeout=90)
    def get_console_output(self, context: Ctx, uuid: str, length: int | None) -> str:
        """Return the last ``length`` lines of the console log (None: all).

        Raises ConsoleNotAvailable, InstanceNotReady, NotSupported, ServiceUnavailable.
        """

    @rpc.call(timeout=90)
    def get_server_diagnostics(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> ServerDiagnostics:
        """Ask the host what it knows of a running guest; ``project_id``: of that project alone.

        Raises InstanceNotReady, InstanceInvalidState, NotSupported, ServiceUnavailable.
        """

    @rpc.call(timeout=60)
    def get_console_url(self, context: Ctx, uuid: str, protocol: str, console_type: str) -> str:
        """Return the URL of a console, with a new token in it.

        Raises ConsoleTypeInvalid, ConsoleTypeUnavailable, InstanceNotReady, InstanceInvalidState,
        NotSupported, ServiceUnavailable.
        """

    @rpc.call()
    def get_console_access(self, context: Ctx, token: str) -> ConsoleAccess:
        """Return what a token stands for while its server is where it was.  Raises TokenNotFound."""

    @rpc.call(timeout=60)
    def validate_console_token(self, context: Ctx, token: str) -> ConsoleAccess:
        """As get_console_access, and the host says that it still has the console in that place.

        For proxies, before they connect: another guest may have got the port since.
        """

    @rpc.call()
    def set_server_metadata(
        self, context: Ctx, uuid: str, metadata: dict[str, str], replace: bool
    ) -> dict[str, str]:
        """Merge or replace the metadata; returns all of it.  Raises LimitExceeded, InstanceInvalidState."""

    @rpc.call()
    def delete_server_metadata(self, context: Ctx, uuid: str, key: str) -> None:
        """Remove one item.  Raises MetadataItemNotFound."""

    @rpc.call()
    def set_server_tags(self, context: Ctx, uuid: str, tags: list[str]) -> list[str]:
        """Replace all tags.  Raises InstanceInvalidState."""

    @rpc.call()
    def add_server_tag(self, context: Ctx, uuid: str, tag: str) -> bool:
        """Add one; false if it was there.  Raises Invalid when there are 50 already."""

    @rpc.call()
    def delete_server_tag(self, context: Ctx, uuid: str, tag: str | None) -> None:
        """Remove one tag, or all for None.  Raises TagNotFound."""

    @rpc.call()
    def set_server_password(self, context: Ctx, uuid: str, password: str) -> None:
        """Keep the password that a guest has encrypted; '' forgets it.

        Raises Conflict when there is one already.
        """

    @rpc.call()
    def list_actions(
        self,
        context: Ctx,
        uuid: str,
        project_id: str | None = None,
        deleted: bool = True,
        limit: int | None = None,
        marker: str | None = None,
        changes_since: datetime.datetime | None = None,
        changes_before: datetime.datetime | None = None,
    ) -> OwnedActions:
        """Return a server's actions, newest first, without events.

        ``project_id``: it must be that one's; ``deleted``: it may be deleted.  Raises
        InstanceNotFound.
        """

    @rpc.call()
    def get_action(
        self,
        context: Ctx,
        uuid: str,
        request_id: str,
        project_id: str | None = None,
        deleted: bool = True,
    ) -> OwnedActions:
        """Return one action with its events.  Raises InstanceNotFound, ActionNotFound."""

    @rpc.call()
    def get_deleted_or_live_server(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> Server:
        """Return a server even when it is deleted (os-instance-actions from 2.21)."""

    @rpc.call()
    def external_events(self, context: Ctx, events: list[ExternalEvent]) -> list[int]:
        """Pass events on to the hosts; a status code for each (200, 404, 422), as the API shows."""

    @rpc.call()
    def get_server_by_port(self, context: Ctx, port_id: str) -> Server:
        """Return the server that owns a port."""
