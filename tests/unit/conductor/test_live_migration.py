"""Live migrations while conductors and hosts die."""

import pytest

from kilonova.common import exception
from kilonova.common.objects.migration import MigrationQuery, Progress
from kilonova.common.objects.network import Networks
from kilonova.common.objects.operation import Fence
from kilonova.db import server_migrations
from kilonova.tests.unit.conductor.test_crashes import arm, ask, finish
from kilonova.tests.unit.conductor.test_resize import run_until

WITH_PORTS = Networks(mode='auto')


@pytest.fixture
def uuid(world):
    booted = world.boot(networks=WITH_PORTS)
    world.advance(1)
    return booted


def accept(world, uuid, host=None, **more):
    world.conductor.live_migrate_server(world.new_context(), uuid, host, None, **more)


def move(world):
    with world.cell_db.reader() as session:
        return server_migrations.find(session, MigrationQuery())[0]


def test_there(world, uuid):
    accept(world, uuid)
    assert world.server(uuid).task_state == 'migrating'
    world.settle()
    world.check()
    server = world.server(uuid)
    assert (server.vm_state, server.host, server.node) == ('active', 'h2', 'h2.node')
    assert move(world).status == 'completed'
    assert world.bound == {f'port-{uuid}': 'h2'}
    assert world.bindings == {(f'port-{uuid}', 'h2')}  # the active one is not ours to remove


@pytest.mark.parametrize('ahead', [False, True])
def test_the_conductor_dies_at_each_step(world, uuid, ahead):
    world.binds_ahead = ahead
    for step in range(1, 90):
        before = world.server(uuid).host
        world.heartbeat()
        arm(world, step)
        ask(world, lambda: accept(world, uuid))
        died = finish(world)
        server = world.server(uuid)
        assert server.vm_state == 'active' and server.fault is None
        assert died or server.host != before
        assert world.bound.get(f'port-{uuid}', before) == server.host
        if not died:
            return
    raise AssertionError('never lives through')


@pytest.mark.parametrize('fails', ['CheckLive', 'CheckLiveSource', 'ReceiveLive', 'MigrateLive'])
def test_the_conductor_dies_at_each_step_of_a_failure(world, uuid, fails):
    for host in world.hosts.values():
        host.cannot.add(fails)
    world.conf.set_override('migrate_max_retries', 1)
    for step in range(1, 90):
        world.heartbeat()
        arm(world, step)
        ask(world, lambda: accept(world, uuid))
        died = finish(world)
        server = world.server(uuid)
        assert (server.vm_state, server.host) == ('active', 'h1')
        assert world.bindings == set()
        assert died or (server.fault is not None and move(world).status == 'error')
        if not died:
            return
    raise AssertionError('never lives through')


@pytest.mark.parametrize(
    ('host', 'kind', 'ends_at'),
    [
        ('h2', 'CheckLive', 'h3'),
        ('h2', 'ReceiveLive', 'h1'),
        ('h2', 'MigrateLive', 'h1'),
        ('h1', 'MigrateLive', 'h1'),
        ('h1', 'CleanLive', 'h2'),
        ('h2', 'ArriveLive', 'h2'),
    ],
)
def test_a_host_dies(world, uuid, host, kind, ends_at):
    accept(world, uuid)
    run_until(world, kind)
    if (host, kind) == ('h2', 'MigrateLive'):
        world.hosts['h1'].cannot.add('MigrateLive')
    if host == 'h1':
        world.hosts['h2'].cannot.add('AskArrivedLive')
    world.down.add(host)
    world.advance(world.conf.service_down_time + 1)
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.host, server.task_state) == ('active', ends_at, None)
    assert world.allocations == {uuid: ends_at}
    world.check()


def test_the_source_dies_after_the_guest_has_arrived(world, uuid):
    """Its destination says so, and the guest is not rolled back."""
    accept(world, uuid)
    run_until(world, 'MigrateLive')
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.host, server.task_state) == ('active', 'h2', None)


def test_the_source_does_not_know_that_the_guest_has_arrived(world, uuid):
    """Its connection was cut at the end: the destination knows better."""
    world.hosts['h1'].confused.add('MigrateLive')
    accept(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.host, server.task_state) == ('active', 'h2', None)
    assert move(world).status == 'completed' and server.fault is None
    assert world.allocations == {uuid: 'h2'}
    world.check()


def test_nothing_is_undone_while_the_destination_is_out_of_hearing(world, uuid):
    """A busy moment of its own is no reason to take it for dead, when it may have the guest."""
    accept(world, uuid)
    run_until(world, 'MigrateLive')
    world.down.update(('h1', 'h2'))
    for _ in range(3):
        world.advance(world.conf.service_down_time + 1)
        world.conductor.engine.sweep()
        while world.work:
            world.work.pop(0)()
    assert world.server(uuid).task_state == 'migrating'
    world.down.discard('h2')
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.host, server.task_state) == ('active', 'h2', None)
    assert 'RollbackLive' not in world.hosts['h2'].worked


def test_a_guest_that_is_nowhere_is_rolled_back(world, uuid):
    """The fault says what the source said."""
    world.hosts['h1'].confused.add('MigrateLive')
    world.hosts['h2'].cannot.add('AskArrivedLive')
    accept(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert (server.host, server.task_state, server.fault.message) == ('h1', None, 'broken')
    assert move(world).status == 'error'
    assert 'RollbackLive' in world.hosts['h2'].worked


@pytest.mark.parametrize('steps', range(0, 40, 3))
def test_a_deletion_leaves_nothing(world, steps):
    uuid = world.boot(networks=WITH_PORTS)
    accept(world, uuid)
    for _ in range(steps):
        if world.work:
            world.work.pop(0)()
        elif world.messages:
            host, handler, args = world.messages.pop(0)
            handler(*args)
    world.conductor.call('delete_server', uuid)
    finish(world)
    assert world.server(uuid).deleted and world.allocations == {}
    for host in world.hosts.values():
        assert not host.guests | host.left | host.incoming


def test_how_far_it_is_and_what_is_wanted(world, uuid):
    accept(world, uuid)
    run_until(world, 'MigrateLive')
    number = move(world).id
    server = world.server(uuid)
    fence = Fence(server.operation, server.attempt)

    def report(status, **values):
        return world.conductor.call(
            'live_migration_progress', uuid, fence, status, Progress(**values)
        )

    with pytest.raises(exception.InvalidMigrationState, match='is preparing'):
        world.conductor.call('force_live_migration', uuid, number)
    assert report('queued') == ''
    with pytest.raises(exception.InvalidMigrationState, match='is queued'):
        world.conductor.call('abort_live_migration', uuid, number)
    assert report('running', memory_total=100, memory_processed=40, memory_remaining=60) == ''
    found = move(world)
    assert (found.status, found.memory_processed) == ('running', 40)
    assert world.server(uuid).progress == 40
    with pytest.raises(exception.MigrationNotFoundForInstance):
        world.conductor.call('abort_live_migration', uuid, number + 1)
    with pytest.raises(exception.InstanceNotFound):
        world.conductor.call('abort_live_migration', uuid, number, 'other')
    world.conductor.call('abort_live_migration', uuid, number, 'p')
    while world.work:
        world.work.pop(0)()
    assert world.hosts['h1'].wishes == [(found.uuid, 'abort')]
    # A cast that is lost is no wish that is lost.
    assert report('running') == 'abort'
    old = world.conductor.call(
        'live_migration_progress', uuid, Fence(fence.operation, 99), 'running', Progress()
    )
    assert old == 'superseded'


def test_a_host_that_is_forced(world, uuid):
    with world.cell_db.transaction() as session:
        add_node(session, 'h1')
        add_node(session, 'h4')
    accept(world, uuid, 'h4', force=True)
    world.settle()
    world.check()
    assert world.server(uuid).host == 'h4'
    assert world.calls.count('call select_destinations') == 1
    accept(world, uuid, 'h4', force=True)
    world.settle()
    fault = world.server(uuid).fault
    assert fault is not None and 'to current host (h4)' in fault.message
    with pytest.raises(exception.ComputeHostNotFound):
        accept(world, uuid, 'h9')


def add_node(session, host):
    from kilonova.db.models.cell import ComputeNodeRow

    session.add(
        ComputeNodeRow(
            uuid=host, host=host, hypervisor_hostname=f'{host}.node', hypervisor_type='fake',
            hypervisor_version=1, vcpus=8, memory_mb=1024, local_gb=10, cpu_info={},
            supported_instances=[], metrics=[], stats={}, pci_devices=[], cpu_allocation_ratio=1,
            ram_allocation_ratio=1, disk_allocation_ratio=1, host_ip='192.0.2.4',
        )
    )  # fmt: skip
