"""Evacuations while conductors and hosts die."""

import pytest

from kilonova.common import exception
from kilonova.common.objects.migration import MigrationQuery
from kilonova.common.objects.network import Networks
from kilonova.db import server_migrations
from kilonova.tests.unit.conductor.test_crashes import arm, ask, finish
from kilonova.tests.unit.conductor.test_resize import run_until

WITH_PORTS = Networks(mode='auto')


@pytest.fixture
def uuid(world):
    booted = world.boot(networks=WITH_PORTS)
    world.advance(1)
    return booted


def kill(world, host):
    world.down.add(host)
    world.advance(world.conf.service_down_time + 1)


def come_back(world, host):
    """Remove what is elsewhere now, as a host does that starts."""
    world.down.discard(host)
    world.advance(1)
    moves = world.conductor.call('get_host_moves', host)
    gone = [move for move in moves if move.migration_type == 'evacuation']
    world.hosts[host].guests -= {move.instance_uuid for move in gone}
    done = [move.uuid for move in gone if move.status == 'done']
    world.conductor.call('evacuated_removed', host, done)


def evacuate(world, uuid, **more):
    world.conductor.evacuate_server(world.new_context(), uuid, 'secret', **more)


def move(world):
    with world.cell_db.reader() as session:
        return server_migrations.find(session, MigrationQuery())[0]


def test_away_and_back(world, uuid):
    kill(world, 'h1')
    evacuate(world, uuid)
    assert world.server(uuid).task_state == 'rebuilding'
    world.settle()
    world.check()
    assert (world.server(uuid).host, move(world).status) == ('h2', 'done')
    come_back(world, 'h1')
    world.check()
    assert world.allocations == {uuid: 'h2'} and move(world).status == 'completed'


def test_the_conductor_dies_at_each_step(world, uuid):
    for step in range(1, 60):
        before = world.server(uuid).host
        kill(world, before)
        arm(world, step)
        ask(world, lambda: evacuate(world, uuid))
        died = finish(world)
        server = world.server(uuid)
        assert server.vm_state == 'active' and server.fault is None
        assert died or server.host != before
        come_back(world, before)
        assert world.allocations == {uuid: server.host}
        if not died:
            return
    raise AssertionError('never lives through')


def test_the_destination_dies_too(world, uuid):
    kill(world, 'h1')
    evacuate(world, uuid)
    run_until(world, 'Evacuate')
    kill(world, 'h2')
    world.settle()
    world.check()
    assert world.server(uuid).host == 'h3'


def test_nobody_takes_it(world, uuid):
    for host in world.hosts.values():
        host.cannot.add('Evacuate')
    kill(world, 'h1')
    evacuate(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.host) == ('error', 'h1')
    assert world.allocations == {uuid: 'h1'} and world.bound == {f'port-{uuid}': 'h1'}
    assert move(world).status == 'error'
    assert world.conductor.call('get_host_moves', 'h1') == []
    for host in world.hosts.values():
        host.cannot.clear()
    evacuate(world, uuid)
    world.settle()
    assert (world.server(uuid).vm_state, world.server(uuid).host) == ('active', 'h2')


def test_what_was_under_way_is_superseded(world, uuid):
    world.conductor.live_migrate_server(world.new_context(), uuid, None, None)
    run_until(world, 'MigrateLive')
    kill(world, 'h1')
    evacuate(world, uuid)
    finish(world)
    assert world.server(uuid).vm_state == 'active'
    come_back(world, 'h1')
    finish(world)
    assert world.allocations == {uuid: world.server(uuid).host}


def test_only_a_host_that_is_down_is_left(world, uuid):
    with pytest.raises(exception.ComputeServiceInUse):
        evacuate(world, uuid)
    with pytest.raises(exception.Invalid, match="can't be the same one"):
        evacuate(world, uuid, host='h1')
    with pytest.raises(exception.NotFound, match='Compute host h9 not found'):
        evacuate(world, uuid, host='h9')
    assert world.server(uuid).task_state is None
