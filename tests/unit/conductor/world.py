"""All that is around a conductor, in memory, with its bad days.

Nothing here happens by itself: background work and messages wait in queues that ``settle``
empties, the clock moves when it is told to.  ``World.kill_at`` makes the conductor die
(``Killed``) at its n-th contact with a database or another daemon.
"""

import datetime
import random
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.image import Image
from kilonova.common.objects.migration import MigrationQuery
from kilonova.common.objects.network import Networks
from kilonova.common.objects.server import Server, ServerCreate
from kilonova.conductor import service
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.db import hosts as db_hosts
from kilonova.db import server_migrations, servers, types
from kilonova.db.engine import Database
from kilonova.db.models.api import FlavorRow, InstanceMapping
from kilonova.db.models.cell import ServiceRow
from kilonova.db.models.servers import InstanceRow, OperationRow
from kilonova.tests.unit.conductor.crashing import Crashing, Killed
from kilonova.tests.unit.conductor.fellows import Fellows
from kilonova.tests.unit.conductor.played_host import FakeHost

START = datetime.datetime(2026, 11, 23, 12, 0, 0)


class World(Fellows):
    """Scheduler, placement, Neutron, hosts, clock, and the conductors that come and go."""

    def __init__(
        self, conf: cfg.ConfigOpts, api_db: Database, cell_db: Database, monkeypatch: Any
    ) -> None:
        self.conf, self.api_db, self.cell_db = conf, api_db, cell_db
        self.now = START
        monkeypatch.setattr(types, 'utcnow', lambda: self.now)
        monkeypatch.setattr(db_hosts, 'utcnow', lambda: self.now)
        super().__init__()
        self.work: list[Callable[[], None]] = []
        self.messages: list[tuple[FakeHost, Callable[..., None], tuple[Any, ...]]] = []
        self.losses = 0
        self.hosts: dict[str, FakeHost] = {
            name: FakeHost(self, name) for name in ('h1', 'h2', 'h3', 'h4')
        }
        self.deaf: set[str] = set()
        """Hosts whose heartbeats come, but whose queue is not there."""
        self.bus_is_down = False
        self.events: list[tuple[str, list[str]]] = []
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

    # -- what is said

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
