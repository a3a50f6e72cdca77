"""All that is around a conductor, in memory, with its bad days.

Nothing here happens by itself: background work and messages wait in queues that ``settle``
empties, the clock moves when it is told to.  ``World.kill_at`` makes the conductor die
(``Killed``) at its n-th contact with a database or another daemon.
"""

import contextlib
import datetime
import random
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import sqlalchemy as sa
from oslo_config import cfg

from kilonova.common import exception, volumes
from kilonova.common.clients.cinder import Cinder
from kilonova.common.clients.placement import Allocations
from kilonova.common.context import RequestContext
from kilonova.common.objects.console import Console, ConsolePlace
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.image import Image
from kilonova.common.objects.migration import MigrationQuery
from kilonova.common.objects.network import VIF, FixedIP, Networks
from kilonova.common.objects.operation import BuildRequest, Fence
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.common.objects.server import Server, ServerCreate
from kilonova.common.objects.work import DetachVolume, WorkResult
from kilonova.conductor import service
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.db import hosts as db_hosts
from kilonova.db import server_migrations, servers, types
from kilonova.db.engine import Database
from kilonova.db.models.api import FlavorRow, InstanceMapping
from kilonova.db.models.cell import ServiceRow
from kilonova.db.models.servers import InstanceRow, OperationRow

START = datetime.datetime(2026, 11, 23, 12, 0, 0)
RUNNING, SHUTDOWN = 1, 4
STATES = {'Start': RUNNING, 'Stop': SHUTDOWN, 'Reboot': RUNNING}


class Killed(BaseException):
    """The conductor's process is gone; no ``except Exception`` sees it."""


class Crashing:
    """A database whose transactions are contacts at which the conductor may die."""

    def __init__(self, real: Database, world: 'World', name: str) -> None:
        self._real, self._world, self._name = real, world, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        self._world.contact(f'{self._name}: begin')
        with self._real.transaction() as session:
            yield session
            self._world.contact(f'{self._name}: before commit')
        self._world.contact(f'{self._name}: committed')


class CrashingCinder:
    """Cinder; each request is a contact, before and after it is done."""

    def __init__(self, real: Cinder, world: 'World') -> None:
        self._real, self._world = real, world

    def __getattr__(self, name: str) -> Any:
        def ask(*args: Any, **kwargs: Any) -> Any:
            self._world.contact(f'cinder: {name}')
            answer = getattr(self._real, name)(*args, **kwargs)
            self._world.contact(f'cinder: {name}: done')
            return answer

        return ask


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


class World:
    """Scheduler, placement, Neutron, hosts, clock, and the conductors that come and go."""

    def __init__(
        self, conf: cfg.ConfigOpts, api_db: Database, cell_db: Database, monkeypatch: Any
    ) -> None:
        self.conf, self.api_db, self.cell_db = conf, api_db, cell_db
        self.now = START
        monkeypatch.setattr(types, 'utcnow', lambda: self.now)
        monkeypatch.setattr(db_hosts, 'utcnow', lambda: self.now)
        self.contacts: list[str] = []
        self.kill_at: int | None = None
        self.work: list[Callable[[], None]] = []
        self.messages: list[tuple[FakeHost, Callable[..., None], tuple[Any, ...]]] = []
        self.losses = 0
        self.hosts = {name: FakeHost(self, name) for name in ('h1', 'h2', 'h3', 'h4')}
        self.down: set[str] = set()
        self.deaf: set[str] = set()
        """Hosts whose heartbeats come, but whose queue is not there."""
        self.bus_is_down = False
        self.cinder: Cinder | None = None
        self.allocations: dict[str, str] = {}
        self.refused: set[str] = set()
        self.ports: dict[str, str] = {}
        self.bound: dict[str, str] = {}
        self.bindings: set[tuple[str, str]] = set()
        self.binds_ahead = True
        self.events: list[tuple[str, list[str]]] = []
        self.calls: list[str] = []
        self.selected: list[tuple[str, ...]] = []
        self.scheduler_error: Exception | None = None
        self.placement_error: Exception | None = None
        self.before_select: Callable[[], None] | None = None
        self.context = RequestContext(project_id='p', user_id='u', overwrite=False)
        for resource in ('instances', 'cores', 'ram'):
            conf.set_override(resource, 10**6, 'quota')
        self._prepare()
        self.conductor = Node(self)

    def _prepare(self) -> None:
        with self.cell_db.transaction() as session:
            for name in self.hosts:
                session.add(ServiceRow(uuid=f's-{name}', host=name, binary='nova-compute'))
            session.add(ServiceRow(uuid='s', host='c', binary='nova-scheduler'))
        with self.api_db.transaction() as session:
            session.add(
                FlavorRow(
                    flavorid='1', name='m1', vcpus=1, memory_mb=512, root_gb=1, rxtx_factor=1.0
                )
            )
        self.heartbeat()

    # -- contacts

    def contact(self, what: str) -> None:
        self.contacts.append(what)
        if self.kill_at is not None and len(self.contacts) == self.kill_at:
            raise Killed(what)

    def post(self, host: FakeHost, handler: Callable[..., None], *args: Any) -> None:
        self.contact(f'cast to {host.name}')
        self.calls.append(f'cast {handler.__name__}')
        if host.name in self.deaf:
            raise exception.ServiceUnavailable('Nobody listens.')
        if self.losses > 0:
            self.losses -= 1
        else:
            self.messages.append((host, handler, args))
        self.contact(f'cast to {host.name}: sent')

    def report(self, name: str, *args: Any) -> Any:
        """A host calls, and calls again when the conductor dies over it."""
        self.calls.append(f'call {name}')
        try:
            return self.conductor.call(name, *args)
        except Killed:
            self.replace_conductor()
            return self.conductor.call(name, *args)

    # -- the scheduler, placement, Neutron

    def check_rebuild(self, context: Any, spec: Any, table_version: int) -> None:
        """Every host may have every image."""

    def select_destinations(
        self,
        context: Any,
        spec: RequestSpec,
        uuids: list[str],
        table_version: int,
        alternates: int = 0,
    ) -> list[list[Selection]]:
        self.contact('select')
        self.calls.append('call select_destinations')
        if self.before_select is not None:
            hook, self.before_select = self.before_select, None
            hook()
        if self.scheduler_error is not None:
            raise self.scheduler_error
        usable = [h for h in self.hosts if h not in self.down and h not in spec.ignore_hosts]
        if not usable:
            raise exception.NoValidHost(reason='All 4 hosts were filtered out by ComputeFilter.')
        found = []
        for uuid in uuids:
            self.selected.append((uuid, usable[0]))
            self.allocations[uuid] = usable[0]
            found.append([self._selection(host) for host in usable[: alternates + 1]])
        self.contact('select: claimed')
        return found

    @staticmethod
    def _selection(host: str) -> Selection:
        return Selection(
            host=host,
            node=f'{host}.node',
            compute_node_uuid=host,
            availability_zone='nova',
            allocations={host: {'resources': {'VCPU': 1}}},
        )

    def claim(self, consumer: str, allocations: dict[str, Any], project: str, user: str) -> int:
        self.contact('claim')
        host = next(iter(allocations))
        if host in self.refused:
            raise exception.Conflict('full')
        self.allocations[consumer] = host
        self.contact('claim: done')
        return 1

    def delete_allocations(self, consumer: str) -> bool:
        self.contact('delete allocations')
        if self.placement_error is not None:
            raise self.placement_error
        held = self.allocations.pop(consumer, None)
        self.contact('delete allocations: done')
        return held is not None

    def get_allocations(self, consumer: str) -> Allocations:
        self.contact('get allocations')
        host = self.allocations.get(consumer)
        held = {host: {'resources': {'VCPU': 1}}} if host else {}
        return Allocations(allocations=held)

    def move_allocations(self, source: str, target: str) -> None:
        self.contact('move allocations')
        if self.placement_error is not None:
            raise self.placement_error
        if source not in self.allocations:
            raise exception.Conflict('it holds nothing')
        self.allocations[target] = self.allocations.pop(source)
        self.contact('move allocations: done')

    def make_port(self, server_uuid: str) -> list[VIF]:
        port_id = f'port-{server_uuid}'
        self.ports[port_id] = server_uuid
        ip = FixedIP(address='10.0.0.5')
        return [VIF(id=port_id, address='fa:16:3e:00:00:01', network_id='n', fixed_ips=[ip])]

    def remove_ports(self, server_uuid: str) -> None:
        self.ports = {port: owner for port, owner in self.ports.items() if owner != server_uuid}

    def ports_of(self, device_id: str) -> list[dict[str, Any]]:
        self.contact('list ports')
        return [{'id': port} for port, owner in self.ports.items() if owner == device_id]

    def find(self, resource: str, **filters: Any) -> list[dict[str, Any]]:
        self.contact(f'list {resource}')
        return [{'id': f'subnet of {network}'} for network in filters.values()]

    def delete_port(self, port_id: str) -> bool:
        return self.ports.pop(port_id, None) is not None

    def update_port(self, port_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        if 'device_id' in changes:
            self.ports[port_id] = changes['device_id']
        if 'binding:host_id' in changes:
            self.contact('bind port')
            self.bound[port_id] = changes['binding:host_id']
        return {}

    def ask_cinder(self, context: Any) -> Cinder:
        """Nobody asks for volumes unless a test puts a Cinder here."""
        assert self.cinder is not None, 'Cinder was asked'
        return cast(Cinder, CrashingCinder(self.cinder, self))

    def has_extension(self, alias: str) -> bool:
        self.contact('list extensions')
        return self.binds_ahead

    def add_binding(
        self, port: dict[str, Any], host: str, profile: dict[str, Any]
    ) -> dict[str, Any]:
        self.contact('add binding')
        self.bindings.add((port['id'], host))
        return {}

    def activate_binding(self, port_id: str, host: str) -> None:
        self.contact('activate binding')
        self.bound[port_id] = host

    def delete_binding(self, port_id: str, host: str) -> None:
        self.contact('delete binding')
        self.bindings.discard((port_id, host))

    # -- time and life

    def heartbeat(self) -> None:
        if self.bus_is_down:
            return
        with self.cell_db.transaction() as session:
            session.execute(
                sa.update(ServiceRow)
                .where(ServiceRow.host.not_in(self.down))
                .values(last_seen_up=self.now)
            )

    def advance(self, seconds: float) -> None:
        self.now += datetime.timedelta(seconds=seconds)
        self.heartbeat()

    def replace_conductor(self) -> None:
        """The old one is gone with all that it had in memory; a new one starts."""
        self.kill_at = None
        self.work.clear()
        self.conductor = Node(self)

    def run(self) -> None:
        """Do what waits, until nothing does."""
        while self.work or self.messages:
            try:
                if self.work:
                    self.work.pop(0)()
                    continue
            except Killed:
                self.replace_conductor()
                continue
            host, handler, args = self.messages.pop(0)
            if host.name not in self.down and not host.silent:
                handler(*args)

    def settle(self, rounds: int = 60) -> None:
        """Go on until every operation has ended and nothing is owed."""
        for _ in range(rounds):
            self.run()
            if not self.open_operations():
                return
            self.advance(self.conf.operations.lease + 1)
            try:
                self.conductor.engine.sweep()
            except Killed:
                self.replace_conductor()
        raise AssertionError(f'never ends: {self.open_operations()}')

    def open_operations(self) -> list[Any]:
        with self.cell_db.reader() as session:
            columns = (OperationRow.action, OperationRow.state, OperationRow.step)
            query = sa.select(*columns, OperationRow.attempt, OperationRow.message)
            return list(session.execute(query.where(OperationRow.lease_until.is_not(None))))

    # -- what is asked, and what came of it

    def request(self, **values: Any) -> ServerCreate:
        defaults: dict[str, Any] = {
            'name': 'web',
            'flavorid': '1',
            'image': Image(id='image', size=1),
            'networks': Networks(mode='none'),
        }
        return ServerCreate(**(defaults | values))

    def new_context(self) -> RequestContext:
        return RequestContext(project_id='p', user_id='u', auth_token='secret', overwrite=False)

    def create(self, **values: Any) -> list[str]:
        created = self.conductor.create_servers(self.new_context(), self.request(**values))
        return list(created.uuids)

    def boot(self, **values: Any) -> str:
        [uuid] = self.create(**values)
        self.settle()
        return uuid

    def server(self, uuid: str) -> Server:
        with self.cell_db.reader() as session:
            return servers.get(session, uuid, deleted=None)

    def usage(self) -> int:
        with self.api_db.reader() as session:
            query = sa.select(sa.func.count()).where(InstanceMapping.queued_for_delete.is_(False))
            return session.execute(query).scalar_one()

    def check(self) -> None:
        """Records, quota, placement, hosts and Neutron agree with one another."""
        with self.cell_db.reader() as session:
            uuids = list(session.scalars(sa.select(InstanceRow.uuid)))
        live = 0
        for uuid in uuids:
            server = self.server(uuid)
            alive = [host for name, host in self.hosts.items() if name not in self.down]
            where = [host.name for host in alive if uuid in host.guests]
            assert server.task_state is None, server.task_state
            assert server.operation is None
            if server.vm_state in ('active', 'stopped', 'resized'):
                assert where == [server.host] or server.host in self.down
                assert self.allocations.get(uuid) == server.host
            else:
                assert server.vm_state in ('error', 'deleted')
                assert where == []
                assert uuid not in self.allocations
                assert uuid not in self.ports.values()
            if server.vm_state == 'error':
                assert server.fault is not None
            live += not server.deleted
        assert self.usage() == live
        self.check_moves()

    def check_moves(self) -> None:
        """A move holds its source exactly as long as there is a way back."""
        with self.cell_db.reader() as session:
            moves = server_migrations.find(session, MigrationQuery())
        for move in moves:
            held, server = self.allocations.get(move.uuid), self.server(move.instance_uuid)
            waits = move.status == 'finished'
            evacuated = move.status == 'done'
            assert waits or move.status in (
                'confirmed', 'reverted', 'error', 'completed', 'cancelled', 'done'
            )  # fmt: skip
            assert not waits or server.vm_state == 'resized'
            holds = waits or (evacuated and not server.deleted)
            assert held == (move.source_compute if holds else None)
            if move.source_compute not in self.down:
                source = self.hosts[move.source_compute or '']
                assert not waits or server.uuid in source.left
        waiting = {move.instance_uuid for move in moves if move.status == 'finished'}
        left = {uuid for name, host in self.hosts.items() if name not in self.down
                for uuid in host.left}  # fmt: skip
        assert left <= waiting
        assert not any(h.incoming for name, h in self.hosts.items() if name not in self.down)


class Node:
    """One conductor process."""

    def __init__(self, world: World, worker: str | None = None) -> None:
        self.world = world
        self.parts = Parts(
            conf=world.conf,
            api_db=Crashing(world.api_db, world, 'api'),  # type: ignore[arg-type]
            cell_db=Crashing(world.cell_db, world, 'cell'),  # type: ignore[arg-type]
            scheduler=world,  # type: ignore[arg-type]
            compute=Computes(world),  # type: ignore[arg-type]
            placement=world,
            neutron=world,
            volumes=world.ask_cinder,
        )
        number = random.randrange(10**9)
        self.engine = Engine(self.parts, self.spawn, worker or f'c{number}')
        self.endpoints = service.server_endpoints(self.parts, self.engine)
        self.engine._listening_since = world.now - datetime.timedelta(hours=1)

    def spawn(self, function: Callable[..., None], *args: Any) -> None:
        self.world.work.append(lambda: function(*args))

    def __getattr__(self, name: str) -> Any:
        for endpoint in self.endpoints:
            if hasattr(endpoint, name):
                return getattr(endpoint, name)
        raise AttributeError(name)

    def call(self, name: str, *args: Any) -> Any:
        return getattr(self, name)(self.world.context, *args)


class Computes:
    """The compute client."""

    def __init__(self, world: World) -> None:
        self._world = world

    def at(self, host: str) -> FakeHost:
        return self._world.hosts[host]
