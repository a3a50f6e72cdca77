"""Power changes that were asked for, and those that guests make by themselves."""

import uuid
from collections.abc import Callable

import msgspec
import pytest

from kilonova.common.objects import work
from kilonova.common.objects.operation import Fence
from kilonova.compute.virt.driver import PowerState
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server, wait

MakeHere = Callable[..., Here]


def new() -> Fence:
    return Fence(str(uuid.uuid4()), 1)


def test_stop_start_reboot(here: Here) -> None:
    server = here.built(make_server())
    fence = new()
    here.work.perform(CONTEXT, server, fence, work.Stop())
    report = here.conductor.wait_for('work_finished')
    assert (report['fence'], report['result'].power_state, report['result'].error) == (
        fence,
        4,
        None,
    )
    assert here.driver.get_power_state(server.uuid) == PowerState.SHUTDOWN
    here.work.perform(CONTEXT, server, new(), work.Start())
    assert here.conductor.wait_for('work_finished', 2)['result'].power_state == PowerState.RUNNING
    here.work.perform(CONTEXT, server, new(), work.Reboot('SOFT'))
    here.conductor.wait_for('work_finished', 3)
    assert here.driver._get(server.uuid).boots == 3


def test_a_failure_is_reported_with_the_state_that_is(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'fail_power': ['*/box']})
    server = here.built(make_server())
    here.work.perform(CONTEXT, server, new(), work.Stop())
    report = here.conductor.wait_for('work_finished')
    assert 'told to fail' in report['result'].error
    assert report['result'].power_state == PowerState.RUNNING


def test_a_guest_that_is_missing_is_reported(here: Here) -> None:
    here.work.perform(CONTEXT, make_server(), new(), work.Start())
    report = here.conductor.wait_for('work_finished')
    assert (report['result'].power_state, 'not be found' in report['result'].error) == (0, True)


def test_operations_on_one_server_run_one_after_the_other(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'power_delay': 0.2})
    server = here.built(make_server())
    first, second = new(), new()
    here.work.perform(CONTEXT, server, first, work.Stop())
    here.work.perform(CONTEXT, server, second, work.Start())
    assert set(here.host.operations.running()) == {first.operation, second.operation}
    assert here.conductor.wait_for('work_finished', 2)['result'].power_state == PowerState.RUNNING
    assert [r['fence'] for r in here.conductor.named('work_finished')] == [first, second]


def test_the_console_is_readable_during_an_operation(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'power_delay': 0.5})
    server = here.built(make_server())
    here.work.perform(CONTEXT, server, new(), work.Reboot('HARD'))
    assert here.console.get_console_output(CONTEXT, server, 2) == 'box login:\n'
    assert len(here.console.get_console_output(CONTEXT, server, None).splitlines()) == 3
    assert here.host.operations.running()


# -- what guests do by themselves


@pytest.fixture
def synced(here: Here) -> Here:
    here.power_sync.collector._window = 0.05
    here.power_sync.collector.start()
    return here


def test_a_guest_that_shuts_down_becomes_known(synced: Here) -> None:
    server = synced.built(make_server())
    synced.driver.halt(server.uuid)
    report = synced.conductor.wait_for('sync_power_states')
    assert report == {'host': 'here', 'states': {server.uuid: PowerState.SHUTDOWN}}


def test_a_guest_that_vanishes_becomes_known(synced: Here) -> None:
    server = synced.built(make_server())
    synced.driver.lose(server.uuid)
    report = synced.conductor.wait_for('sync_power_states')
    assert report['states'] == {server.uuid: PowerState.NOSTATE}


def test_what_an_operation_does_is_no_news(synced: Here) -> None:
    server = synced.built(make_server())
    synced.work.perform(CONTEXT, server, new(), work.Stop())
    synced.conductor.wait_for('work_finished')
    synced.deletes.terminate_server(CONTEXT, server, new())
    synced.conductor.wait_for('delete_finished')
    assert 'sync_power_states' not in synced.conductor.settle(0.5)


def test_all_states_are_told_but_those_of_busy_servers(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'power_delay': 0.5})
    running, stopped, busy, lost = (here.built(make_server()) for _ in range(4))
    here.driver.halt(stopped.uuid)
    here.driver._remove(lost.uuid)
    here.work.perform(CONTEXT, busy, new(), work.Stop())
    here.power_sync.sync_all()
    assert here.conductor.wait_for('sync_power_states')['states'] == {
        running.uuid: PowerState.RUNNING,
        stopped.uuid: PowerState.SHUTDOWN,
        lost.uuid: PowerState.NOSTATE,
    }


def test_a_guest_that_should_not_run_is_stopped(here: Here) -> None:
    server = here.built(make_server())
    here.conductor.to_stop = [server.uuid]
    here.power_sync.sync_all()
    assert here.driver.get_power_state(server.uuid) == PowerState.SHUTDOWN


def test_a_guest_that_cannot_be_stopped_does_not_keep_others_from_it(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'fail_power': ['*/stubborn']})
    stubborn, other = here.built(make_server(name='stubborn')), here.built(make_server())
    here.conductor.to_stop = [stubborn.uuid, other.uuid]
    here.power_sync.sync_all()
    assert here.driver.get_power_state(other.uuid) == PowerState.SHUTDOWN


# -- guests that should not be here, and the start of the daemon


def test_a_guest_of_a_deleted_server_is_removed(here: Here) -> None:
    kept, gone = here.built(make_server()), here.built(make_server())
    here.conductor.servers[gone.uuid].deleted = True
    assert here.orphans.reap() == [kept]
    assert here.driver.list_guests() == [kept.uuid]


@pytest.mark.parametrize(
    'action, state', [('log', PowerState.RUNNING), ('noop', PowerState.RUNNING), ('shutdown', 4)]
)
def test_or_dealt_with_as_the_operator_says(here: Here, action: str, state: int) -> None:
    here.conf.set_override('running_deleted_instance_action', action)
    gone = here.built(make_server())
    here.conductor.servers[gone.uuid].deleted = True
    here.orphans.reap()
    assert here.driver.get_power_state(gone.uuid) == state


def test_a_deletion_of_a_moment_ago_is_given_time(here: Here) -> None:
    from oslo_utils import timeutils

    here.conf.set_override('running_deleted_instance_timeout', 600)
    gone = here.built(make_server())
    record = here.conductor.servers[gone.uuid]
    record.deleted, record.deleted_at = True, timeutils.utcnow()
    here.orphans.reap()
    assert here.driver.list_guests() == [gone.uuid]


def test_a_guest_of_a_server_that_lives_elsewhere_is_removed_but_not_its_ports(here: Here) -> None:
    server = here.built(make_server())
    here.conductor.servers[server.uuid].host = 'elsewhere'
    here.orphans.reap()
    assert here.driver.list_guests() == []
    assert here.neutron.requests == []


def test_a_guest_that_nobody_knows_is_left_alone(here: Here) -> None:
    server = here.built(make_server())
    here.conductor.servers.clear()
    here.orphans.reap()
    assert here.driver.list_guests() == [server.uuid]


def test_the_start_tells_states_and_missing_guests(here: Here) -> None:
    there, lost = here.built(make_server()), here.built(make_server())
    here.driver.halt(there.uuid)
    here.driver._remove(lost.uuid)
    half_built = make_server()
    here.conductor.servers[half_built.uuid] = half_built
    here.host.told.clear()
    here.recovery.run()
    assert here.conductor.named('sync_power_states')[-1]['states'] == {
        there.uuid: PowerState.SHUTDOWN,
        lost.uuid: PowerState.NOSTATE,
    }


def test_guests_that_ran_are_started_after_a_reboot_of_the_host(here: Here) -> None:
    ran, stopped = here.built(make_server()), here.built(make_server())
    here.conductor.servers[stopped.uuid] = msgspec.structs.replace(
        stopped, vm_state='stopped', power_state=4
    )
    here.driver.halt(ran.uuid)
    here.driver.halt(stopped.uuid)
    here.conf.set_override('resume_guests_state_on_host_boot', True)
    here.recovery.run()
    wait(lambda: here.driver.get_power_state(ran.uuid) == PowerState.RUNNING, 'it runs again')
    assert here.driver.get_power_state(stopped.uuid) == PowerState.SHUTDOWN
