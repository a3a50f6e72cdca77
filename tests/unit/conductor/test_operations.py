"""The engine: leases, takeovers, several conductors at once, handing over."""

import threading

import pytest

from kilonova.common import concurrency, exception
from kilonova.conductor.operations import Engine
from kilonova.db import operations, servers
from kilonova.db.engine import count_statements
from kilonova.tests.unit.conductor.world import Node
from kilonova.tests.unit.statements import sql


def rows(world):
    with world.cell_db.reader() as session:
        return [
            operations.get(session, row.id)
            for row in session.execute(operations.OPERATIONS.select())
        ]


class TestSweep:
    def test_nothing_to_do_costs_one_statement(self, world):
        world.boot()
        with count_statements() as statements:
            assert world.conductor.engine.sweep() == 0
        assert len(sql(statements)) == 1

    def test_a_lease_that_has_not_run_out_is_respected(self, world):
        world.create()
        world.work.clear()
        world.advance(world.conf.operations.lease - 1)
        assert Node(world).engine.sweep() == 0

    def test_one_of_two_conductors_takes_it(self, world):
        world.create()
        world.work.clear()
        world.advance(world.conf.operations.lease + 1)
        first, second = Node(world), Node(world)
        assert first.engine.sweep() + second.engine.sweep() == 1
        [operation] = rows(world)
        assert (operation.attempt, operation.owner) == (2, first.engine.worker)
        world.settle()
        world.check()

    def test_hosts_get_time_to_report_when_no_conductor_ran(self, world):
        [uuid] = world.create()
        world.hosts['h1'].silent = True
        world.run()
        world.advance(3600)
        fresh = Node(world)
        fresh.engine._listening_since = world.now
        assert fresh.engine.sweep() == 0
        world.advance(world.conf.report_interval * 2)
        assert fresh.engine.sweep() == 1

    def test_hosts_get_time_to_report_when_the_bus_is_back(self, world):
        world.create()
        world.hosts['h1'].silent = True
        world.run()
        world.bus_is_down = True
        world.advance(3600)
        assert world.conductor.engine.sweep() == 0
        world.bus_is_down = False
        world.heartbeat()  # of all but the host
        world.advance(world.conf.report_interval)
        assert world.conductor.engine.sweep() == 0
        world.heartbeat()
        world.advance(world.conf.report_interval)
        assert world.conductor.engine.sweep() == 1

    def test_a_bus_that_is_down_is_not_taken_for_dead_hosts(self, world):
        uuid = world.boot()
        world.hosts['h1'].silent = True
        world.conductor.delete_server(world.new_context(), uuid)
        world.run()
        world.bus_is_down = True
        world.advance(3600)
        assert world.conductor.engine.sweep() == 0
        assert not world.server(uuid).deleted
        world.bus_is_down, world.hosts['h1'].silent = False, False
        world.heartbeat()
        world.settle()
        assert world.server(uuid).deleted
        world.check()

    def test_a_host_that_starts_anew_is_told_at_once(self, world):
        world.hosts['h1'].silent = True
        [uuid] = world.create()
        world.run()
        world.hosts['h1'].silent = False
        world.advance(1)
        world.conductor.engine.restart_host('h1')
        world.advance(1)
        assert world.conductor.engine.sweep() == 1
        world.run()
        assert world.server(uuid).vm_state == 'active'
        world.check()

    def test_an_unknown_action_is_left_to_a_newer_conductor(self, world):
        world.create()
        world.work.clear()
        with world.cell_db.transaction() as session:
            session.execute(operations.OPERATIONS.update().values(action='newer'))
        world.advance(world.conf.operations.lease + 1)
        assert world.conductor.engine.sweep() == 0


class TestLeases:
    def test_what_runs_here_is_prolonged(self, world):
        world.create()
        seen = []

        def look():
            world.advance(world.conf.operations.lease - 1)
            world.conductor.engine.renew()
            world.advance(world.conf.operations.lease - 1)
            seen.append(Node(world).engine.sweep())

        world.before_select = look
        world.settle()
        assert seen == [0]
        world.check()

    def test_a_host_prolongs_only_its_own(self, world):
        world.hosts['h1'].silent = True
        world.create()
        world.run()
        [operation] = rows(world)
        world.advance(30)
        world.conductor.engine.report_host('h2', [operation.id, 'unknown'])
        assert rows(world)[0].lease_until == operation.lease_until
        world.conductor.engine.report_host('h1', [operation.id, 'unknown'])
        assert rows(world)[0].lease_until > operation.lease_until

    def test_one_that_is_prolonged_in_the_last_moment_stays(self, world):
        world.hosts['h1'].silent = True
        world.create()
        world.run()
        world.advance(world.conf.operations.lease + 1)
        engine = Node(world).engine
        [operation] = engine._find()
        world.conductor.engine.report_host('h1', [operation.id])
        assert engine._take(operation) is None
        assert rows(world)[0].attempt == 1
        assert world.server(operation.instance_uuid).attempt == 1

    @pytest.mark.parametrize('act', ['build', 'stop', 'delete'])
    def test_a_host_without_a_queue_is_tried_again_soon(self, world, act):
        if act == 'build':
            world.deaf.add('h1')
            [uuid] = world.create()
        else:
            uuid = world.boot()
            world.deaf.add('h1')
            getattr(world.conductor, f'{act}_server')(world.new_context(), uuid)
        pauses = []
        for _ in range(3):
            world.run()
            operation = next(row for row in rows(world) if row.state == 'running')
            assert operation.owner == 'compute:h1'
            pauses.append((operation.lease_until - world.now).total_seconds())
            world.advance(pauses[-1] + 0.001)
            assert world.conductor.engine.sweep() == 1
        interval = world.conf.operations.sweep_interval
        assert pauses == [interval, interval * 2, interval * 4]
        world.deaf.clear()
        world.settle()
        assert world.server(uuid).vm_state == {'build': 'active', 'stop': 'stopped'}.get(
            act, 'deleted'
        )
        world.check()


class TestStop:
    def test_what_is_not_finished_is_handed_over(self, world):
        [uuid] = world.create()
        world.work.clear()
        world.conductor.engine._working.clear()
        world.conductor.engine.stop(0)
        world.advance(1)
        other = world.conductor = Node(world)
        assert other.engine.sweep() == 1
        world.settle()
        assert world.server(uuid).vm_state == 'active'
        world.check()

    def test_it_waits_for_what_runs(self, world):
        engine = Engine(world.conductor.parts, concurrency.spawn)
        begun, go_on, done = threading.Event(), threading.Event(), []

        def work():
            begun.set()
            go_on.wait(10)
            done.append(True)

        engine.run(['x'], work)
        assert begun.wait(10)
        threading.Timer(0.1, go_on.set).start()
        engine.stop(10)
        assert done == [True]

    def test_it_waits_no_longer_than_it_may(self, world):
        engine = Engine(world.conductor.parts, concurrency.spawn)
        go_on = threading.Event()
        engine.run(['x'], lambda: go_on.wait(20))
        engine.stop(0.1)
        go_on.set()


class Live:
    """A world's conductor with real threads; hosts answer as soon as they are told."""

    def __init__(self, world):
        self.world = world
        self.node = Node(world)
        self.node.engine._spawn = concurrency.spawn
        self.post = threading.Lock()


@pytest.fixture
def direct(world, monkeypatch):
    """Messages are delivered at once, in the thread that sends."""
    lock = threading.RLock()

    def post(host, handler, *args):
        world.calls.append(f'cast {handler.__name__}')
        concurrency.spawn(handler, *args)

    def select(*args, **kwargs):
        with lock:
            return real(*args, **kwargs)

    real = world.select_destinations
    monkeypatch.setattr(world, 'post', post)
    monkeypatch.setattr(world, 'select_destinations', select)
    return world


def wait_until(condition, seconds=30):
    pause = threading.Event()
    for _ in range(int(seconds * 50)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError('it did not come to that')


class TestThreads:
    def test_several_conductors_sweep_one_database(self, direct):
        world = direct
        uuids = [uuid for _ in range(10) for uuid in world.create(min_count=2, max_count=2)]
        world.work.clear()
        world.advance(world.conf.operations.lease + 1)
        lives = [Live(world).node for _ in range(4)]

        def sweep(node):
            for _ in range(3):
                node.engine.sweep()

        threads = [threading.Thread(target=sweep, args=(node,)) for node in lives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        wait_until(lambda: not world.open_operations())
        assert sorted(uuid for uuid, _ in world.selected) == sorted(uuids)
        for host in world.hosts.values():
            assert len(host.spawned) == len({uuid for uuid, _ in host.spawned})
        assert {op.attempt for op in rows(world)} == {2}
        world.check()

    def test_many_requests_at_once(self, direct):
        world = direct
        nodes = [Live(world).node for _ in range(3)]
        uuids: list[str] = []

        def create(node):
            for _ in range(5):
                made = node.create_servers(world.new_context(), world.request())
                uuids.extend(made.uuids)

        threads = [threading.Thread(target=create, args=(node,)) for node in nodes * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        wait_until(lambda: len(uuids) == 30 and not world.open_operations())
        world.check()
        for uuid in uuids:
            nodes[0].delete_server(world.new_context(), uuid)
        wait_until(lambda: not world.open_operations())
        world.check()
        assert world.usage() == 0


class TestGivingUp:
    def test_a_delete_that_cannot_be_done_is_tried_for_long_and_can_be_asked_for_again(self, world):
        uuid = world.boot()
        world.hosts['h1'].fail = 'The disk is busy'
        world.conductor.delete_server(world.new_context(), uuid)
        begun = world.now
        world.settle(rounds=2000)
        assert (world.now - begun).total_seconds() >= world.conf.operations.patience
        server = world.server(uuid)
        assert (server.vm_state, server.deleted) == ('error', False)
        assert 'The disk is busy' in server.fault.message
        assert 'given up after 1' in server.fault.details
        assert 'h1' not in server.fault.message
        world.hosts['h1'].fail = None
        world.conductor.delete_server(world.new_context(), uuid)
        world.settle()
        assert world.server(uuid).deleted
        world.check()

    def test_placement_that_is_away_does_not_hold_up_a_delete(self, world):
        uuid = world.boot()
        world.placement_error = exception.FellowServiceError(service='placement', reason='503')
        world.conductor.delete_server(world.new_context(), uuid)
        world.run()
        assert world.server(uuid).deleted
        assert uuid in world.allocations
        world.placement_error = None
        world.settle()
        world.check()

    def test_a_server_that_is_gone_ends_its_operation(self, world):
        [uuid] = world.create()
        world.work.clear()
        with world.cell_db.transaction() as session:
            servers.update(session, uuid, operation=None)
        world.advance(world.conf.operations.lease + 1)
        for _ in range(3):
            world.conductor.engine.sweep()
            world.run()
            world.advance(world.conf.operations.lease + 1)
        assert world.open_operations() == []
