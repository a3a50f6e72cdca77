"""The parts of a virt driver that take guests from one host to another."""

from collections.abc import Callable
from typing import Any

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.migration import Progress
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server

Json = dict[str, Any]
Steer = Callable[[Progress], str | None]


class Moving:
    """Cold moves.  The source keeps the guest, shut down, until the move is confirmed.

    Each step may be begun again.  All raise VirtDriverError, GuestNotFound, NotSupported.
    """

    def prepare_move(self, server: Server, flavor: Flavor) -> None:
        """At the destination: raise when the guest could not be had here with this flavor."""
        raise exception.NotSupported(feature='cold migration')

    def leave(self, server: Server, vifs: list[VIF], flavor: Flavor, timeout: int) -> Json:
        """At the source: shut down, unplug, keep disks for both ways; returns what finish needs."""
        raise exception.NotSupported(feature='cold migration')

    def finish_move(
        self,
        server: Server,
        vifs: list[VIF],
        data: Json,
        start: Callable[[Callable[[], None]], None] | None,
    ) -> None:
        """At the destination: make the guest with ``server.flavor`` of what the source has left.

        ``start`` is called as spawn's ``wait_plugged``; without it the guest stays off.
        """
        raise exception.NotSupported(feature='cold migration')

    def revert_move(self, server: Server, vifs: list[VIF], power_on: bool) -> None:
        """At the source: have the guest that was left again; no error when it was not left."""
        raise exception.NotSupported(feature='cold migration')

    def confirm_move(self, server: Server) -> None:
        """At the source: remove what was kept; no error when nothing was."""


class MovingLive:
    """Moves of running guests.  All raise VirtDriverError, GuestNotFound, NotSupported.

    ``data`` goes from step to step; each returns it with what the next ones need.
    """

    def check_live_destination(
        self, server: Server, block_migration: bool | None, disk_over_commit: bool
    ) -> Json:
        """At the destination.  Raises MigrationPreCheckError, and says why."""
        raise exception.NotSupported(feature='live migration')

    def check_live_source(self, server: Server, data: Json) -> Json:
        """At the source.  Raises MigrationPreCheckError."""
        raise exception.NotSupported(feature='live migration')

    def receive_live(self, server: Server, vifs: list[VIF], data: Json) -> Json:
        """At the destination: make disks and plugs."""
        raise exception.NotSupported(feature='live migration')

    def migrate_live(self, server: Server, target: str, data: Json, steer: Steer) -> None:
        """At the source: return when the guest runs at the destination, and here no more.

        ``steer`` is told now and then how far it is, and may answer 'abort' or
        'force_complete'.  Raises MigrationAborted; then the guest runs here as before.
        """
        raise exception.NotSupported(feature='live migration')

    def has_arrived_live(self, server: Server) -> bool:
        """At the destination: whether the guest is here, though its source cannot say so."""
        return False

    def arrive_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        """At the destination: make the guest one of this host's."""
        raise exception.NotSupported(feature='live migration')

    def rollback_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        """At the destination: remove what ``receive_live`` made; no error when it is gone."""
        raise exception.NotSupported(feature='live migration')

    def clean_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        """At the source: remove what the guest has left; no error when it is gone."""
        raise exception.NotSupported(feature='live migration')
