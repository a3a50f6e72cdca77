"""How guests of the fake driver move from one host to another."""

import fnmatch
from collections.abc import Callable
from typing import Any

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt import driver
from kilonova.compute.virt.driver import Events, Json, PowerState


class FakeMoves(driver.Moving):
    """A part of ``FakeDriver``, whose guests these are.

    ``_left`` are guests that this host has left and keeps for the way back.
    """

    _conf: Any
    _host: str
    _lock: Any
    _guests: dict[str, Any]
    _left: dict[str, Any]
    calls: Any
    _pause: Callable[[float], None]
    _save: Callable[[], None]
    _add: Callable[[Any], None]
    _remove: Callable[[str], bool]
    _boot: Callable[[Any, list[VIF]], None]
    _tell: Callable[[str, Events], None]
    _guest_of: Callable[[driver.GuestSpec], Any]

    def prepare_move(self, server: Server, flavor: Flavor) -> None:
        self._step('prepare', server)

    def leave(self, server: Server, vifs: list[VIF], flavor: Flavor, timeout: int) -> Json:
        self._step('leave', server)
        with self._lock:
            if server.uuid in self._guests:
                guest = self._left[server.uuid] = self._guests.pop(server.uuid)
                guest.state, guest.left = PowerState.SHUTDOWN, True
                self._save()
            elif server.uuid not in self._left:
                raise exception.GuestNotFound(instance_id=server.uuid)
            guest = self._left[server.uuid]
        return {'boots': guest.boots, 'console': guest.console}

    def finish_move(
        self,
        server: Server,
        vifs: list[VIF],
        data: Json,
        start: Callable[[Callable[[], None]], None] | None,
    ) -> None:
        self._remove(server.uuid)
        self._step('finish', server)
        guest = self._guest_of(driver.GuestSpec(server=server, vifs=vifs))
        guest.boots, guest.console = data.get('boots', 0), data.get('console', [])
        guest.state = PowerState.SHUTDOWN
        try:
            if start is None:
                self._add(guest)
            else:
                start(lambda: self._add(guest))
                self._boot(guest, vifs)
        except BaseException:
            self._remove(server.uuid)
            raise

    def revert_move(self, server: Server, vifs: list[VIF], power_on: bool) -> None:
        self._step('revert', server)
        with self._lock:
            guest = self._left.pop(server.uuid, None)
            if guest is not None:
                guest.left = False
                self._guests[server.uuid] = guest
                self._save()
            guest = self._guests.get(server.uuid)
        if guest is None:
            raise exception.GuestNotFound(instance_id=server.uuid)
        if power_on and guest.state != PowerState.RUNNING:
            self._boot(guest, vifs)

    def confirm_move(self, server: Server) -> None:
        with self._lock:
            if server.uuid not in self._left:
                return
        self._step('confirm', server)
        with self._lock:
            self._left.pop(server.uuid, None)
            self._save()

    def _step(self, step: str, server: Server) -> None:
        """Take the time that a step takes; fail as configured."""
        self.calls[step] += 1
        self._pause(self._conf.move_delay)
        name = f'{step}/{self._host}/{server.name}'
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in self._conf.fail_move):
            raise exception.VirtDriverError(reason=f'The fake driver was told to fail to {step}.')
