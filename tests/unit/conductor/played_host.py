"""A compute host as the conductor knows it: what it is sent, what it reports."""

from typing import TYPE_CHECKING, Any

import msgspec

from kilonova.common import exception, volumes
from kilonova.common.objects.console import Console, ConsolePlace
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.network import VIF
from kilonova.common.objects.operation import BuildRequest, Fence
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import DetachVolume, WorkResult

if TYPE_CHECKING:
    from kilonova.tests.unit.conductor.world import World

RUNNING, SHUTDOWN = 1, 4
STATES = {'Start': RUNNING, 'Stop': SHUTDOWN, 'Reboot': RUNNING}


class FakeHost:
    """A compute host that is addressed by casts; each message waits until it is delivered."""

    def __init__(self, world: 'World', name: str) -> None:
        self.world, self.name = world, name
        self.guests: set[str] = set()
        self.incoming: set[str] = set()
        """Guests that are made ready for."""
        self.left: set[str] = set()
        """Guests that moved away and could come back."""
        self.spawned: list[tuple[str, Fence]] = []
        self.fail: str | None = None
        self.reschedule = True
        self.silent = False
        self.latest: dict[str, int] = {}
        self.console_port = 5900
        self.worked: list[str] = []
        self.wishes: list[tuple[str, str]] = []
        self.cannot: set[str] = set()
        """Kinds of work that fail."""
        self.confused: set[str] = set()
        """Kinds of work that are done, and said to have failed."""
        self.answers: dict[str, WorkResult] = {}
        """What other kinds of work end in."""

    def build_server(self, context: Any, request: BuildRequest) -> None:
        self.world.post(self, self._build, request)

    def terminate_server(self, context: Any, server: Server, fence: Fence) -> None:
        self.world.post(self, self._terminate, server, fence)

    def perform(self, context: Any, server: Server, fence: Fence, work: Any) -> None:
        self.world.post(self, self._work, server, fence, work)

    def steer_live_migration(self, context: Any, migration: str, wish: str) -> None:
        self.world.contact('cast')
        self.wishes.append((migration, wish))

    def external_events(self, context: Any, events: Any) -> None:
        self.world.contact('cast')
        self.world.events.append((self.name, [event.name for event in events]))

    def get_console_output(self, context: Any, server: Server, length: int | None) -> str:
        return f'{server.name} {length}'

    def get_console(
        self, context: Any, server: Server, protocol: str, console_type: str
    ) -> Console:
        if server.uuid not in self.guests:
            raise exception.InstanceNotReady(instance_id=server.uuid)
        place = ConsolePlace(host=self.name, port=self.console_port, tls_port=6970)
        return Console(place=place, base_url=f'http://proxy/{protocol}?kept=1')

    def get_diagnostics(self, context: Any, server: Server) -> Diagnostics:
        return Diagnostics(state='running', driver=server.name)

    # -- what happens when a message arrives

    def _is_old(self, fence: Fence) -> bool:
        old = self.latest.get(fence.operation, 0) >= fence.attempt
        self.latest[fence.operation] = max(fence.attempt, self.latest.get(fence.operation, 0))
        return old

    def _build(self, request: BuildRequest) -> None:
        server, fence = request.server, request.fence
        if self._is_old(fence):
            return
        if self.fail is not None:
            details = 'the disk is full'
            self.world.report(
                'build_failed', server.uuid, fence, self.fail, details, self.reschedule, 500
            )
            return
        vifs: list[VIF] = []
        if request.networks.mode != 'none':
            vifs = self.world.make_port(server.uuid)
            if not self.world.report('server_progress', server.uuid, fence, 'spawning', vifs):
                self.world.remove_ports(server.uuid)
                return
        self.guests.add(server.uuid)
        self.spawned.append((server.uuid, fence))
        changes = {'root_device_name': '/dev/vda'}
        if not self.world.report('build_finished', server.uuid, fence, RUNNING, vifs, changes):
            self.guests.discard(server.uuid)
            self.world.remove_ports(server.uuid)

    def _terminate(self, server: Server, fence: Fence) -> None:
        if self._is_old(fence):
            return
        if self.fail is not None:
            self.world.report('delete_failed', server.uuid, fence, self.fail, None)
            return
        self._forget(server.uuid)
        self.world.remove_ports(server.uuid)
        if self.world.cinder is not None:
            volumes.release(self.world.cinder, server.uuid, server.block_devices)
        self.world.report('delete_finished', server.uuid, fence)

    def remove_guest(self, context: Any, server: Server, fence: Fence) -> None:
        self.world.post(self, self._forget, server.uuid)

    def _forget(self, uuid: str) -> None:
        self.guests.discard(uuid)
        self.left.discard(uuid)
        self.incoming.discard(uuid)

    def _move(self, kind: str, uuid: str) -> None:
        """Have guests as a host has them that does, or fails to do, a step of a move."""
        works = kind not in self.cannot and self.fail is None
        if kind == 'LeaveHost' and uuid in self.guests:
            self.guests.discard(uuid)
            self.left.add(uuid)
        elif kind == 'RevertMove' and works and uuid in self.left:
            self.left.discard(uuid)
            self.guests.add(uuid)
        elif kind in ('FinishMove', 'Evacuate') and works:
            self.incoming.discard(uuid)  # what is there already is removed first
            self.guests.add(uuid)
        elif kind == 'AbandonMove' and works:
            self.guests.discard(uuid)
        elif kind == 'ConfirmMove' and works:
            self.left.discard(uuid)

    def _move_live(self, kind: str, uuid: str, work: Any) -> None:
        if kind in self.cannot:
            return
        if kind == 'ReceiveLive':
            self.incoming.add(uuid)
        elif kind == 'MigrateLive' and uuid in self.guests:
            to = self.world.hosts[work.target]
            self.guests.discard(uuid)
            self.left.add(uuid)
            to.incoming.discard(uuid)
            to.guests.add(uuid)
        elif kind == 'RollbackLive':
            self.incoming.discard(uuid)
        elif kind == 'CleanLive':
            self.left.discard(uuid)

    def _work(self, server: Server, fence: Fence, work: Any) -> None:
        if self._is_old(fence):
            return
        kind = type(work).__name__
        self.worked.append(kind)
        result = self.answers.get(kind) or WorkResult(power_state=STATES.get(kind))
        self._move(kind, server.uuid)
        self._move_live(kind, server.uuid, work)
        self._connect(work, result)
        if self.fail is not None or kind in self.cannot:
            stays = kind == 'MigrateLive' and server.uuid in self.guests
            result = WorkResult(power_state=int(stays), error=self.fail or 'broken', details='why')
        if kind in self.confused:
            result = WorkResult(power_state=0, error='broken', details='why')
        self.world.report('work_finished', server.uuid, fence, result)

    def _connect(self, work: Any, result: WorkResult) -> None:
        """Connect a volume as a host does that gives it to a guest."""
        device = getattr(work, 'new', getattr(work, 'device', None))
        if device is None or self.world.cinder is None or isinstance(work, DetachVolume):
            return
        connector = {'host': self.name, 'mountpoint': device.device_name}
        device.connection_info = self.world.cinder.update_attachment(
            device.attachment_id, connector
        )
        result.values['device'] = msgspec.to_builtins(device)
