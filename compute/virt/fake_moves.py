"""How guests of the fake driver move from one host to another."""

import fnmatch
from collections.abc import Callable
from typing import Any

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.migration import Progress
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt import driver
from kilonova.compute.virt.driver import Events, PowerState
from kilonova.compute.virt.fake_guest import plug
from kilonova.compute.virt.moves import Json, Moving, MovingLive, Steer

MIB = 1024 * 1024
STEPS = 20


class FakeMoves(Moving, MovingLive):
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
    _get: Callable[[str], Any]
    _set_state: Callable[[Any, PowerState, Events], None]
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

    # -- running guests

    def check_live_destination(
        self, server: Server, block_migration: bool | None, disk_over_commit: bool
    ) -> Json:
        self._check(server)
        return {'block_migration': block_migration is not False}

    def check_live_source(self, server: Server, data: Json) -> Json:
        self._check(server)
        guest = self._get(server.uuid)
        if not data['block_migration'] and _has_local_disk(server):
            raise exception.MigrationPreCheckError(
                reason=f'{self._host} is not on shared storage: the disks have to be copied.'
            )
        return {
            **data,
            'state': int(guest.state),
            'boots': guest.boots,
            'console': guest.console,
            'memory': guest.memory_mb * MIB,
        }

    def _check(self, server: Server) -> None:
        try:
            self._step('check', server)
        except exception.VirtDriverError as error:
            raise exception.MigrationPreCheckError(reason=str(error)) from error

    def receive_live(self, server: Server, vifs: list[VIF], data: Json) -> Json:
        self._step('receive', server)
        guest = self._guest_of(driver.GuestSpec(server=server, vifs=vifs))
        guest.state, guest.boots, guest.console = 0, data['boots'], data['console']
        plug(guest, vifs)
        self._add(guest)
        return data

    def migrate_live(self, server: Server, target: str, data: Json, steer: Steer) -> None:
        with self._lock:
            if server.uuid in self._left:  # it has been moved already
                return
        self._get(server.uuid)
        self._step('migrate', server)
        total = data['memory']
        for step in range(1, STEPS + 1):
            done = total * step // STEPS
            wish = steer(
                Progress(memory_total=total, memory_processed=done, memory_remaining=total - done)
            )
            if wish == 'abort':
                raise exception.MigrationAborted(instance_id=server.uuid)
            if wish == 'force_complete':
                break
            self._pause(self._conf.live_migration_delay / STEPS)
        with self._lock:
            guest = self._left[server.uuid] = self._guests.pop(server.uuid)
            guest.left = True
            self._save()

    def arrive_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        self._step('arrive', server)
        state = PowerState(data['state'])
        event = Events.STARTED if state == PowerState.RUNNING else Events.PAUSED
        self._set_state(self._get(server.uuid), state, event)

    def rollback_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        self.calls['rollback'] += 1
        self._remove(server.uuid)

    def clean_live(self, server: Server, vifs: list[VIF], data: Json) -> None:
        self._step('clean', server)
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


def _has_local_disk(server: Server) -> bool:
    """Tell whether there is anything of a guest's disks that no other host can reach."""
    local = any(not device.is_volume for device in server.block_devices)
    return local or not server.boots_from_volume or bool(server.config_drive)
