"""Moves as one host sees them: leaving, arriving, going back, and what must not be lost."""

import uuid

import msgspec
import pytest

from kilonova.common.objects import work
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.migration import Migration, Progress
from kilonova.common.objects.network import NetworkRequest
from kilonova.common.objects.operation import Fence
from kilonova.compute.virt.driver import PowerState
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server, networks, wait

LARGE = Flavor(id=2, flavorid='2', name='large', memory_mb=128, vcpus=2, root_gb=2)


@pytest.fixture
def here(tmp_path):
    made = Here(tmp_path)
    yield made
    made.close()


def perform(here, server, what, fence=None):
    """Let a piece of work be done; return its result."""
    count = len(here.conductor.named('work_finished')) + 1
    here.work.perform(CONTEXT, server, fence or Fence(str(uuid.uuid4()), 1), what)
    result = here.conductor.wait_for('work_finished', count)['result']
    here.wait_idle()
    return result


def port(here):
    network = here.neutron.add_network()
    return networks(NetworkRequest(network_id=network))


def move_of(server, kind='resize', **values):
    return Migration(
        uuid=str(uuid.uuid4()),
        instance_uuid=server.uuid,
        migration_type=kind,
        status='finished',
        source_compute='here',
        **values,
    )


def test_leave_and_come_back(here):
    server = here.built(make_server(), port(here))
    result = perform(here, server, work.LeaveHost(flavor=LARGE))
    assert (result.error, result.power_state) == (None, PowerState.SHUTDOWN)
    assert here.driver.list_guests() == [server.uuid]
    assert here.driver.get_power_states() == {}
    # It may be told twice.
    again = perform(here, server, work.LeaveHost(flavor=LARGE))
    assert again.values == result.values
    result = perform(here, server, work.RevertMove(flavor=server.flavor, power_on=True))
    assert result.power_state == PowerState.RUNNING
    assert [vif.id for vif in result.network_info] == [v.id for v in server.network_info]
    assert here.driver._guests[server.uuid].boots == 2


def test_leave_for_good(here):
    server = here.built(make_server())
    perform(here, server, work.LeaveHost(flavor=LARGE))
    elsewhere = msgspec.structs.replace(server, host='there')
    result = perform(here, elsewhere, work.ConfirmMove())
    assert (result.error, result.power_state) == (None, None)
    assert here.driver.list_guests() == []
    assert perform(here, elsewhere, work.ConfirmMove()).error is None


@pytest.mark.parametrize(('power_on', 'state'), [(True, 1), (False, 4)])
def test_arrive(here, power_on, state):
    server = make_server()
    data = {'boots': 3, 'console': ['before']}
    result = perform(here, server, work.FinishMove(flavor=LARGE, power_on=power_on, data=data))
    assert (result.error, result.power_state) == (None, state)
    guest = here.driver._guests[server.uuid]
    assert (guest.vcpus, guest.boots, guest.console[0]) == (2, 3 + power_on, 'before')
    assert perform(here, server, work.AbandonMove(flavor=LARGE)).error is None
    assert here.driver.list_guests() == []


def test_nobody_wants_it_any_more(here):
    here.conductor.refuse.add('work_finished')
    server = make_server()
    perform(here, server, work.FinishMove(flavor=LARGE, power_on=True))
    assert here.driver.list_guests() == []
    perform(here, server, work.ReceiveLive(data={'boots': 1, 'console': []}))
    assert here.driver.list_guests() == []


def test_a_smaller_disk_is_no_reason_to_shut_down(here):
    server = here.built(make_server(flavor=LARGE))
    small = msgspec.structs.replace(LARGE, root_gb=1)
    result = perform(here, server, work.LeaveHost(flavor=small))
    assert result.error == 'Resize error: Unable to resize disk down.'
    assert result.power_state == PowerState.RUNNING


def test_another_hosts_server_has_no_power_state_here(here):
    here.conf.set_override('fail_move', ['prepare/*'], 'fake_driver')
    result = perform(here, make_server(host='there'), work.PrepareMove(flavor=LARGE))
    assert result.error is not None and result.power_state is None


def test_a_guest_that_may_come_back_is_no_orphan(here):
    server = here.built(make_server())
    perform(here, server, work.LeaveHost(flavor=LARGE))
    here.conductor.servers[server.uuid] = msgspec.structs.replace(server, host='there')
    here.conductor.moves = [move_of(server, dest_compute='there')]
    here.orphans.reap()
    assert here.driver.list_guests() == [server.uuid]
    here.conductor.moves = []
    here.orphans.reap()
    assert here.driver.list_guests() == []


@pytest.mark.parametrize('host', ['here', 'there'])
def test_what_was_evacuated_is_removed_and_told(here, host):
    server = here.built(make_server())
    here.conductor.servers[server.uuid] = msgspec.structs.replace(server, host=host)
    move = move_of(server, 'evacuation', dest_compute='there')
    move.status = 'done' if host == 'there' else 'pre-migrating'
    here.conductor.moves = [move]
    assert here.orphans.reap() == []
    assert here.driver.list_guests() == []
    told = here.conductor.named('evacuated_removed')
    assert [one['migrations'] for one in told] == ([[move.uuid]] if host == 'there' else [])


def test_live(here):
    server = here.built(make_server())
    checked = perform(here, server, work.CheckLiveSource(data={'block_migration': True})).values
    result = perform(here, server, work.MigrateLive(target='there', migration='m', data=checked))
    assert result.error is None
    reported = here.conductor.named('live_migration_progress')[0]
    assert (reported['status'], reported['progress']) == ('running', Progress())
    assert here.driver.get_power_states() == {}
    assert perform(here, server, work.CleanLive(data=checked)).error is None
    assert here.driver.list_guests() == []


def test_a_wish_that_comes_with_the_answer(here):
    server = here.built(make_server())
    checked = perform(here, server, work.CheckLiveSource(data={'block_migration': True})).values
    here.conductor.wish = 'abort'
    result = perform(here, server, work.MigrateLive(target='there', migration='m', data=checked))
    assert result.values == {'cancelled': True} and result.power_state == PowerState.RUNNING
    assert here.host.wishes == {}


def test_disks_that_are_not_shared_have_to_be_copied(here):
    server = here.built(make_server())
    checked = perform(here, server, work.CheckLive(block_migration=False)).values
    result = perform(here, server, work.CheckLiveSource(data=checked))
    assert result.error is not None and 'not on shared storage' in result.error
    assert result.code == 400


def test_removing_what_a_move_has_left(here):
    server = here.built(make_server())
    perform(here, server, work.LeaveHost(flavor=LARGE))
    here.deletes.remove_guest(CONTEXT, server, Fence('op:left', 1))
    wait(lambda: here.driver.list_guests() == [], 'it is gone')
    here.wait_idle()
    assert here.conductor.named('delete_finished') == []
