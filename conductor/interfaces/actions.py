"""What a server is made to do where it is."""

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.image import Image
from kilonova.common.objects.server import (
    Rebuild,
    Server,
)


class ActionsInterface(rpc.Interface):
    """What a server is made to do where it is."""

    @rpc.call()
    def start_server(self, context: Ctx, uuid: str) -> None:
        """Accept a start.  Raises InstanceInvalidState, InstanceIsLocked, InstanceNotReady."""

    @rpc.call()
    def stop_server(self, context: Ctx, uuid: str) -> None:
        """Accept a stop.  Raises as start_server."""

    @rpc.call()
    def reboot_server(self, context: Ctx, uuid: str, kind: str) -> None:
        """Accept a reboot, ``kind`` 'SOFT' or 'HARD'.  Raises as start_server."""

    @rpc.call()
    def pause_server(self, context: Ctx, uuid: str) -> None:
        """Accept a pause.  Raises as start_server; so do all that follow."""

    @rpc.call()
    def unpause_server(self, context: Ctx, uuid: str) -> None:
        """Accept the end of a pause."""

    @rpc.call()
    def suspend_server(self, context: Ctx, uuid: str) -> None:
        """Accept a suspension to disk."""

    @rpc.call()
    def resume_server(self, context: Ctx, uuid: str) -> None:
        """Accept the end of a suspension."""

    @rpc.call()
    def rescue_server(
        self,
        context: Ctx,
        uuid: str,
        admin_password: str,
        image_id: str | None,
        volume_backed: bool,
    ) -> None:
        """Accept a rescue; ``volume_backed``: servers that boot from a volume, too.

        Raises InstanceNotRescuable.
        """

    @rpc.call()
    def unrescue_server(self, context: Ctx, uuid: str) -> None:
        """Accept the end of a rescue."""

    @rpc.call(timeout=90)
    def set_admin_password(self, context: Ctx, uuid: str, password: str) -> None:
        """Set the password of the guest's administrator.

        Raises as start_server, InstancePasswordSetFailed, NotSupported.
        """

    @rpc.call()
    def trigger_crash_dump(self, context: Ctx, uuid: str) -> None:
        """Accept a crash dump."""

    @rpc.call()
    def rebuild_server(self, context: Ctx, uuid: str, request: Rebuild) -> Server:
        """Accept that a server is made anew; returns it as it is from now on.

        Raises KeypairNotFound, LimitExceeded, Invalid (flavor too small for the image).
        """

    @rpc.call()
    def shelve_server(self, context: Ctx, uuid: str, image_id: str | None = None) -> None:
        """Accept that a server is put away; ``image_id``: what its disk is sent to."""

    @rpc.call()
    def shelve_offload_server(self, context: Ctx, uuid: str) -> None:
        """Accept that a shelved server leaves its host."""

    @rpc.call()
    def unshelve_server(
        self,
        context: Ctx,
        uuid: str,
        image: Image | None = None,
        changes: dict[str, str | None] | None = None,
    ) -> None:
        """Accept that a server is brought back; ``image``: what was made of it.

        ``changes``: ``availability_zone`` (None: none in particular) and ``host``, for one that
        has left its host.  Raises UnshelveInstanceInvalidState, Invalid, ComputeHostNotFound.
        """

    @rpc.call()
    def snapshot_server(self, context: Ctx, uuid: str, image_id: str) -> None:
        """Accept that the root disk is sent to an image that exists."""

    @rpc.call()
    def backup_server(
        self, context: Ctx, uuid: str, image_id: str, backup_type: str, rotation: int
    ) -> None:
        """The same, and only the newest ``rotation`` backups of the type are kept."""

    @rpc.call()
    def restore_server(self, context: Ctx, uuid: str) -> None:
        """Accept the restoration of a soft-deleted server.  Raises QuotaExceeded."""

    @rpc.call(timeout=90)
    def snapshot_volume_backed_server(self, context: Ctx, uuid: str) -> bool:
        """Note that the API snapshots a server's volumes; tell whether the guest stands still.

        Then ``volumes_are_snapshot`` is to follow.  Raises InstanceInvalidState, and Invalid when the
        image requires that file systems stand still and they cannot.
        """

    @rpc.call(timeout=90)
    def volumes_are_snapshot(self, context: Ctx, uuid: str) -> None:
        """Let a guest go on that stood still for snapshots of its volumes."""
