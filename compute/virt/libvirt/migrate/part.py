"""What the driver does with guests that move."""

import contextlib
from collections.abc import Callable

from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.migrate.arrival import Arrival
from kilonova.compute.virt.libvirt.migrate.checks import Checks
from kilonova.compute.virt.libvirt.migrate.cold import Destination, Source
from kilonova.compute.virt.libvirt.migrate.live import LiveMove
from kilonova.compute.virt.libvirt.migrate.parts import Moves
from kilonova.compute.virt.moves import Json, Moving, MovingLive, Steer


class LibvirtMoves(Moving, MovingLive):
    """This part of the driver."""

    _moves: Moves
    _working_on: Callable[[str], contextlib.AbstractContextManager[None]]

    # -- cold

    def prepare_move(self, server: Server, flavor: Flavor) -> None:
        Destination(self._moves).prepare(server, flavor)

    def leave(self, server: Server, vifs: list[VIF], flavor: Flavor, timeout: int) -> Json:
        with self._working_on(server.uuid):
            return Source(self._moves).leave(server, vifs, timeout)

    def finish_move(
        self,
        server: Server,
        vifs: list[VIF],
        data: Json,
        start: Callable[[Callable[[], None]], None] | None,
    ) -> None:
        with self._working_on(server.uuid):
            Destination(self._moves).finish(server, vifs, data, start)

    def revert_move(self, server: Server, vifs: list[VIF], power_on: bool) -> None:
        with self._working_on(server.uuid):
            Source(self._moves).revert(server, vifs, power_on)

    def confirm_move(self, server: Server) -> None:
        self._moves.directories.drop_aside(server.uuid)

    # -- live

    def check_live_destination(
        self, server: Server, block_migration: bool | None, disk_over_commit: bool
    ) -> Json:
        return self._checks().destination(server, block_migration, disk_over_commit)

    def check_live_source(self, server: Server, data: Json) -> Json:
        return self._checks().source(server, data)

    def _checks(self) -> Checks:
        moves = self._moves
        backend, cache = moves.maker.backend, moves.cache
        return Checks(moves.host, moves.guests, moves.directories, backend, cache, moves.mark)

    def receive_live(self, server: Server, vifs: list[VIF], data: Json) -> Json:
        with self._working_on(server.uuid):
            return Arrival(self._moves).receive(server, vifs, data)

    def migrate_live(self, server: Server, target: str, data: Json, steer: Steer) -> None:
        with self._working_on(server.uuid):
            LiveMove(self._moves, server, data, steer).run()

    def has_arrived_live(self, server: Server) -> bool:
        return Arrival(self._moves).is_here(server)

    def arrive_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        with self._working_on(server.uuid):
            Arrival(self._moves).settle(server)

    def rollback_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        with self._working_on(server.uuid):
            Arrival(self._moves).roll_back(server, vifs, data)

    def clean_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        with self._working_on(server.uuid):
            Arrival(self._moves).clean(server, data)
