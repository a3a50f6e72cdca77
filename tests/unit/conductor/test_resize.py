"""Resizes while conductors and hosts die, and while others want the server, too."""

import datetime

import pytest
import sqlalchemy as sa

from kilonova.common import exception
from kilonova.common.objects.migration import MigrationQuery
from kilonova.common.objects.network import Networks
from kilonova.db import quotas, server_migrations
from kilonova.db.models.api import FlavorRow, InstanceMapping
from kilonova.tests.unit.conductor.crashing import Killed
from kilonova.tests.unit.conductor.test_crashes import arm, ask, finish

WITH_PORTS = Networks(mode='auto')


@pytest.fixture
def uuid(world):
    with world.api_db.transaction() as session:
        session.add(
            FlavorRow(flavorid='2', name='m2', vcpus=2, memory_mb=1024, root_gb=2, rxtx_factor=1.0)
        )
    booted = world.boot(networks=WITH_PORTS)
    world.advance(1)
    return booted


def accept(world, uuid, flavorid='2'):
    world.conductor.resize_server(world.new_context(), uuid, flavorid)


def resize(world, uuid):
    accept(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.host, server.flavor.vcpus) == ('resized', 'h2', 2)


def migrations(world):
    with world.cell_db.reader() as session:
        return server_migrations.find(session, MigrationQuery())


def size(world, uuid):
    with world.api_db.reader() as session:
        query = sa.select(InstanceMapping.vcpus, InstanceMapping.memory_mb)
        return tuple(session.execute(query.where(InstanceMapping.instance_uuid == uuid)).one())


def crash_everywhere(world, uuid, act, look, prepare=lambda: None):
    """Die one contact later each time, and begin with what that has left."""
    for step in range(1, 90):
        prepare()
        world.heartbeat()
        arm(world, step)
        ask(world, act)
        died = finish(world)
        look(died)
        if not died:
            return
        server = world.server(uuid)
        if server.vm_state == 'resized':
            world.conductor.revert_resize(world.new_context(), uuid)
            world.settle()
        elif server.flavor.vcpus == 2 or server.host != 'h1':
            raise AssertionError(server)
    raise AssertionError('never lives through')


def test_there_and_confirmed(world, uuid):
    resize(world, uuid)
    world.check()
    assert world.bound == {f'port-{uuid}': 'h2'}
    world.conductor.confirm_resize(world.new_context(), uuid)
    world.settle()
    world.check()
    assert world.server(uuid).vm_state == 'active' and size(world, uuid) == (2, 1024)


def test_there_and_back(world, uuid):
    resize(world, uuid)
    assert size(world, uuid) == (2, 1024)
    world.conductor.revert_resize(world.new_context(), uuid)
    assert world.server(uuid).task_state == 'resize_reverting'
    world.settle()
    world.check()
    server = world.server(uuid)
    assert (server.host, server.node, server.flavor.vcpus) == ('h1', 'h1.node', 1)
    assert size(world, uuid) == (1, 512)
    assert world.bound == {f'port-{uuid}': 'h1'}


def test_the_conductor_dies_at_each_step_there(world, uuid):
    def look(died):
        server = world.server(uuid)
        assert server.vm_state in ('active', 'resized')
        assert died or server.vm_state == 'resized'
        assert size(world, uuid) == ((2, 1024) if server.vm_state == 'resized' else (1, 512))

    crash_everywhere(world, uuid, lambda: accept(world, uuid), look)


@pytest.mark.parametrize('fails', ['PrepareMove', 'LeaveHost', 'FinishMove'])
def test_the_conductor_dies_at_each_step_of_a_failure(world, uuid, fails):
    for host in world.hosts.values():
        host.cannot.add(fails)

    def look(died):
        server = world.server(uuid)
        assert (server.vm_state, server.host, server.flavor.vcpus) == ('active', 'h1', 1)
        assert size(world, uuid) == (1, 512)
        assert died or server.fault is not None

    crash_everywhere(world, uuid, lambda: accept(world, uuid), look)


def test_the_conductor_dies_at_each_step_back(world, uuid):
    def look(died):
        server = world.server(uuid)
        assert died or (server.vm_state, server.host) == ('active', 'h1')

    crash_everywhere(
        world,
        uuid,
        lambda: world.conductor.revert_resize(world.new_context(), uuid),
        look,
        lambda: resize(world, uuid),
    )


def test_the_conductor_dies_at_each_step_of_a_confirmation(world, uuid):
    for step in range(1, 60):
        server = world.server(uuid)
        if server.vm_state == 'active':
            wanted = '2' if server.flavor.vcpus == 1 else '1'
            world.conductor.resize_server(world.new_context(), uuid, wanted)
            world.settle()
        world.heartbeat()
        arm(world, step)
        ask(world, lambda: world.conductor.confirm_resize(world.new_context(), uuid))
        died = finish(world)
        server = world.server(uuid)
        assert server.vm_state == 'active' or died
        if server.vm_state == 'active':
            assert size(world, uuid) == (server.flavor.vcpus, server.flavor.memory_mb)
        if not died:
            return
    raise AssertionError('never lives through')


def test_a_deletion_at_each_step_leaves_nothing(world, uuid):
    """Whatever is under way on whichever host."""
    for steps in range(40):
        server = world.boot(networks=WITH_PORTS)
        world.heartbeat()
        accept(world, server)
        for _ in range(steps):
            if world.work:
                world.work.pop(0)()
            elif world.messages:
                host, handler, args = world.messages.pop(0)
                handler(*args)
        over = not world.work and not world.messages
        world.conductor.call('delete_server', server)
        finish(world)
        assert world.server(server).deleted
        assert not any(server in host.guests | host.left for host in world.hosts.values())
        assert [one for one in world.allocations if one != uuid] == []
        if over:
            return
    raise AssertionError('never over')


@pytest.mark.parametrize('when', ['PrepareMove', 'LeaveHost', 'FinishMove'])
def test_the_destination_dies(world, uuid, when):
    """It is replaced before anything has moved, and left when it is too late."""
    world.hosts['h2'].silent = True
    accept(world, uuid)
    if when != 'PrepareMove':
        world.hosts['h2'].silent = False
        run_until(world, when)
        world.hosts['h2'].silent = True
    world.down.add('h2')
    world.advance(world.conf.service_down_time + 1)
    world.settle()
    server = world.server(uuid)
    if when == 'PrepareMove':
        assert (server.vm_state, server.host) == ('resized', 'h3')
    else:
        assert (server.vm_state, server.host) == ('active', 'h1')
        assert server.fault is not None
    world.hosts['h2'].guests.clear()
    world.check()


def run_until(world, kind):
    """Go on until a host is about to do a piece of work."""
    for _ in range(100):
        if world.messages and kind in repr(world.messages[0][2][-1]):
            return
        if world.work:
            world.work.pop(0)()
        else:
            host, handler, args = world.messages.pop(0)
            handler(*args)
    raise AssertionError(kind)


def test_a_source_that_is_down_needs_no_confirmation(world, uuid):
    resize(world, uuid)
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    with pytest.raises(exception.Conflict, match='h1 is unavailable'):
        world.conductor.revert_resize(world.new_context(), uuid)
    assert world.server(uuid).task_state is None
    world.conductor.confirm_resize(world.new_context(), uuid)
    world.settle()
    world.check()
    assert world.server(uuid).vm_state == 'active'


def test_a_host_that_is_down_cannot_be_left(world, uuid):
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    with pytest.raises(exception.Conflict, match='h1 is unavailable'):
        accept(world, uuid)
    assert migrations(world) == [] and size(world, uuid) == (1, 512)


def test_placement_that_is_away_is_waited_for(world, uuid):
    world.placement_error = exception.ServiceUnavailable('away')
    accept(world, uuid)
    world.run()
    assert world.server(uuid).task_state == 'resize_prep'
    world.placement_error = None
    world.settle()
    world.check()
    assert world.server(uuid).vm_state == 'resized'


def test_what_could_not_be_given_back_is_given_back_later(world, uuid):
    world.hosts['h1'].cannot.add('LeaveHost')
    accept(world, uuid)
    run_until(world, 'LeaveHost')
    world.placement_error = exception.ServiceUnavailable('away')
    world.settle()
    (move,) = migrations(world)
    assert (move.status, world.allocations[uuid]) == ('error', 'h2')
    world.placement_error = None
    finish(world)
    assert world.allocations == {uuid: 'h1'} and size(world, uuid) == (1, 512)


def test_a_late_claim_is_corrected(world, uuid):
    """The scheduler answers nobody, and claims another host than the second one says."""
    accept(world, uuid)

    def die():
        raise Killed

    world.before_select = die
    world.run()
    world.advance(world.conf.operations.lease + 1)
    world.conductor.engine.sweep()
    run_until(world, 'LeaveHost')
    world.allocations[uuid] = 'h4'
    world.settle()
    assert world.allocations[uuid] == world.server(uuid).host == 'h2'


def test_confirmation_by_itself(world, uuid):
    resize(world, uuid)
    world.conf.set_override('resize_confirm_window', 600)
    for chore in world.conductor.engine.chores:
        chore()
    assert world.server(uuid).vm_state == 'resized'
    world.advance(601)
    for chore in world.conductor.engine.chores:
        chore()
    world.settle()
    world.check()
    assert world.server(uuid).vm_state == 'active'


def test_the_larger_flavor_counts(world, uuid):
    world.conf.set_override('cores', 1, 'quota')
    with pytest.raises(exception.QuotaExceeded, match='cores'):
        accept(world, uuid)
    world.conf.set_override('cores', 2, 'quota')
    resize(world, uuid)
    with world.api_db.reader() as session:
        assert quotas.usage(session, 'p')[0] == {'instances': 1, 'cores': 2, 'ram': 1024}
    with pytest.raises(exception.QuotaExceeded):
        world.create()


def test_a_booking_without_a_resize_is_corrected(world, uuid):
    arm(world, 3)
    ask(world, lambda: accept(world, uuid))
    world.now += datetime.timedelta(seconds=1)
    finish(world)
    assert size(world, uuid) == (1, 512)
