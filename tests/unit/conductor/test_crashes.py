"""The conductor dies at every single step; another one goes on."""

import pytest

from kilonova.common.objects.network import Networks
from kilonova.common.objects.server import ServerQuery
from kilonova.tests.unit.conductor.crashing import Killed

STEPS = range(1, 60)
WITH_PORTS = Networks(mode='auto')


def finish(world):
    """Let everything end after the crash; tell whether there was one."""
    world.settle()
    died = world.kill_at is None
    world.kill_at = None
    world.advance(world.conf.operations.booking_time + 1)
    for chore in world.conductor.engine.chores:
        chore()
    world.check()
    return died


def ask(world, ask_for):
    """Send a request; the conductor may die over it, and the client does not ask again."""
    try:
        ask_for()
    except Killed:
        world.replace_conductor()


def arm(world, step):
    world.kill_at = len(world.contacts) + step


def live_servers(world):
    return world.conductor.list_servers(world.context, ServerQuery())


def crash_at_each_step(prepare, act, look):
    """Run ``act`` again and again, dying one contact later each time, until it lives through."""

    def run(make_world):
        for step in STEPS:
            world = make_world()
            state = prepare(world)
            arm(world, step)
            ask(world, lambda world=world, state=state: act(world, state))
            died = finish(world)
            look(world, state)
            if not died:
                return step
        raise AssertionError('never lives through')

    return run


def gone(world, host):
    """What a host that was down finds to be no longer its own when it is back."""
    return {uuid for uuid in host.guests if world.server(uuid).deleted}


def no_preparation(world):
    return None


@pytest.fixture
def make_world(world):
    """Worlds one after another, in the same databases."""
    first = [world]

    def make():
        if first:
            return first.pop()
        for host in world.hosts.values():
            host.guests.difference_update(gone(world, host))
            host.fail, host.reschedule, host.silent = None, True, False
        world.down.clear()
        world.heartbeat()
        return world

    return make


def test_build(make_world):
    def look(world, state):
        for server in live_servers(world):
            assert server.vm_state == 'active', server.fault

    steps = crash_at_each_step(no_preparation, lambda world, state: world.create(), look)(
        make_world
    )
    assert steps > 12


def test_build_with_ports(make_world):
    def look(world, known):
        for server in live_servers(world):
            assert server.vm_state == 'active', server.fault
            assert [vif.id for vif in server.network_info] == [f'port-{server.uuid}']

    crash_at_each_step(
        no_preparation, lambda world, state: world.create(networks=WITH_PORTS), look
    )(make_world)


def test_build_that_moves_on_to_an_alternate(make_world):
    def prepare(world):
        world.hosts['h1'].fail = 'No space left'

    def look(world, known):
        for server in live_servers(world):
            assert (server.vm_state, server.host) == ('active', 'h2'), server.fault

    steps = crash_at_each_step(prepare, lambda world, state: world.create(), look)(make_world)
    assert steps > 20


def test_build_that_fails_everywhere(make_world):
    def prepare(world):
        for host in world.hosts.values():
            host.guests.difference_update(gone(world, host))
            host.fail = 'No space left'

    def look(world, known):
        for server in live_servers(world):
            assert server.vm_state == 'error'
            assert server.fault.message.startswith('Exceeded maximum number of retries.')

    crash_at_each_step(prepare, lambda world, state: world.create(), look)(make_world)


def test_build_without_any_host(make_world):
    def look(world, known):
        for server in live_servers(world):
            assert server.vm_state == 'error'
            assert server.fault.message.startswith('No valid host was found.')
            assert 'ComputeFilter' in server.fault.details

    crash_at_each_step(
        lambda world: world.down.update(world.hosts), lambda world, state: world.create(), look
    )(make_world)


def deleted_unless_never_accepted(world, uuid):
    server = world.server(uuid)
    accepted = any(op.action == 'delete' for op in actions(world, uuid))
    assert server.deleted == accepted


def actions(world, uuid):
    return world.conductor.list_actions(world.context, uuid).actions


def delete(world, uuid):
    world.conductor.delete_server(world.new_context(), uuid)


def test_delete(make_world):
    steps = crash_at_each_step(
        lambda world: world.boot(networks=WITH_PORTS), delete, deleted_unless_never_accepted
    )(make_world)
    assert steps > 8


def test_delete_when_the_host_is_down(make_world):
    def prepare(world):
        uuid = world.boot(networks=WITH_PORTS)
        world.down.add('h1')
        world.advance(world.conf.service_down_time + 1)
        return uuid

    crash_at_each_step(prepare, delete, deleted_unless_never_accepted)(make_world)


def test_delete_of_a_server_that_failed(make_world):
    def prepare(world):
        world.down.update(world.hosts)
        return world.boot()

    crash_at_each_step(prepare, delete, deleted_unless_never_accepted)(make_world)


def test_delete_during_the_build(make_world):
    def prepare(world):
        [uuid] = world.create(networks=WITH_PORTS)
        world.work.pop(0)()
        return uuid

    crash_at_each_step(prepare, delete, deleted_unless_never_accepted)(make_world)


@pytest.mark.parametrize('failure, vm_state', [(None, 'stopped'), ('The guest hangs', 'active')])
def test_stop(make_world, failure, vm_state):
    def prepare(world):
        uuid = world.boot()
        world.hosts['h1'].fail = failure
        return uuid

    def look(world, uuid):
        server = world.server(uuid)
        accepted = any(op.action == 'stop' for op in actions(world, uuid))
        assert server.vm_state == (vm_state if accepted else 'active')
        if failure and accepted:
            assert server.fault.message == failure

    crash_at_each_step(
        prepare,
        lambda world, uuid: world.conductor.stop_server(world.new_context(), uuid),
        look,
    )(make_world)
