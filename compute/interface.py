"""Every RPC that a compute host answers."""

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.console import Console
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.operation import BuildRequest, ExternalEvent, Fence
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import HostWork


class ComputeInterface(rpc.Interface):
    """One hypervisor host.  Address it with ``client.at(host)``.

    Casts are hints: the conductor sends them again until the operation has ended, so each
    is idempotent; a second one for an operation that runs here is dropped, one with a
    newer attempt starts afresh.
    """

    TOPIC, VERSION = 'compute', '1.0'

    @rpc.cast()
    def build_server(self, context: Ctx, request: BuildRequest) -> None:
        """Make the guest; ends with build_finished or build_failed at the conductor."""

    @rpc.cast()
    def terminate_server(self, context: Ctx, server: Server, fence: Fence) -> None:
        """Remove guest, disks and ports; ends with delete_finished or delete_failed (to be told again)."""

    @rpc.cast()
    def remove_guest(self, context: Ctx, server: Server, fence: Fence) -> None:
        """Remove what a move has left of a deleted server; nobody waits for an answer."""

    @rpc.cast()
    def perform(self, context: Ctx, server: Server, fence: Fence, work: HostWork) -> None:
        """Do one piece of work on a server; ends with work_finished."""

    @rpc.cast()
    def steer_live_migration(self, context: Ctx, migration: str, wish: str) -> None:
        """Say that a live migration is to 'abort' or to 'force_complete'.

        The conductor says so again when it is told how far the migration is.
        """

    @rpc.cast()
    def external_events(self, context: Ctx, events: list[ExternalEvent]) -> None:
        """Neutron (or Cinder) says that something of a server here has happened."""

    @rpc.call(timeout=60)
    def quiesce_server(self, context: Ctx, server: Server) -> bool:
        """Have a guest's file systems stand still; False: they cannot, and need not.

        It goes on by itself after some minutes.  Raises VirtDriverError when they must.
        """

    @rpc.call(timeout=60)
    def unquiesce_server(self, context: Ctx, server: Server) -> None:
        """Let a guest go on."""

    @rpc.call(timeout=60)
    def get_console_output(self, context: Ctx, server: Server, length: int | None) -> str:
        """Return the last lines of the console log.  Raises ConsoleNotAvailable."""

    @rpc.call(timeout=60)
    def get_diagnostics(self, context: Ctx, server: Server) -> Diagnostics:
        """Return what the hypervisor knows of a running guest.

        Raises InstanceInvalidState when it does not run, NotSupported.
        """

    @rpc.call(timeout=1800)
    def cache_images(self, context: Ctx, image_ids: list[str]) -> dict[str, str]:
        """Fetch images; 'cached', 'existing', 'unsupported' or 'error' for each."""

    @rpc.call(timeout=30)
    def get_console(
        self, context: Ctx, server: Server, protocol: str, console_type: str
    ) -> Console:
        """Return where a console is.

        Raises ConsoleTypeInvalid, ConsoleTypeUnavailable, InstanceNotReady, NotSupported.
        """

    @rpc.call(timeout=20)
    def get_host_uptime(self, context: Ctx) -> str:
        """Return the host's uptime line."""

    @rpc.call(timeout=60)
    def set_host_enabled(self, context: Ctx, enabled: bool) -> None:
        """Put or take away the COMPUTE_STATUS_DISABLED trait of the host's providers."""

    @rpc.call(timeout=60)
    def host_power_action(self, context: Ctx, action: str) -> str:
        """'startup', 'shutdown' or 'reboot' the host.  Raises NotSupported."""

    @rpc.call(timeout=60)
    def set_host_maintenance(self, context: Ctx, on: bool) -> bool:
        """Put the host into maintenance or back; returns whether it is.  Raises NotSupported."""
