"""A deletion that fails is tried again by itself until nothing is left."""

import datetime

import pytest

from kilonova.common import exception
from kilonova.common.objects.network import Networks
from kilonova.conductor.operations import LONGEST_PATIENT_PAUSE
from kilonova.tests.unit.conductor.test_operations import rows

MINUTE = 60


@pytest.fixture
def failing(world):
    """A world with a server that its host cannot delete; gives (world, uuid)."""
    uuid = world.boot()
    world.hosts['h1'].fail = 'The disk is busy'
    world.conductor.delete_server(world.new_context(), uuid)
    world.run()
    return world, uuid


def operation(world):
    """Return the deletion."""
    return next(row for row in rows(world) if row.action == 'delete')


def sweep(world):
    count = world.conductor.engine.sweep()
    world.run()
    return count


def events(world, uuid):
    """Return the events of the deletion as (host, result, details)."""
    found = world.conductor.list_actions(world.context, uuid).actions
    deletion = next(one for one in found if one.action == 'delete')
    action = world.conductor.get_action(world.context, uuid, deletion.request_id).actions[0]
    return [(event.host, event.result, event.details) for event in action.events]


def test_the_server_stays_deleting(failing):
    world, uuid = failing
    server = world.server(uuid)
    assert (server.vm_state, server.task_state, server.fault) == ('active', 'deleting', None)
    assert operation(world).message == 'The disk is busy'
    assert events(world, uuid) == [('h1', 'Error', 'Deleting on host h1: The disk is busy')]


def test_it_goes_as_soon_as_the_host_can(failing):
    world, uuid = failing
    world.hosts['h1'].fail = None
    world.settle()
    assert world.server(uuid).deleted
    assert [result for _, result, _ in events(world, uuid)] == ['Error', 'Success']
    world.check()


def test_pauses_grow_to_a_limit(failing):
    world, _ = failing
    pauses = []
    while len(pauses) < 12:
        pause = (operation(world).lease_until - world.now).total_seconds()
        assert sweep(world) == 0
        world.advance(pause + 0.001)
        assert sweep(world) == 1
        pauses.append(round(pause))
    interval = world.conf.operations.sweep_interval
    assert pauses[:3] == [interval * 2, interval * 4, interval * 8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PATIENT_PAUSE


def test_a_new_request_ends_the_pause(failing):
    world, uuid = failing
    for _ in range(6):
        world.now = operation(world).lease_until + datetime.timedelta(milliseconds=1)
        world.heartbeat()
        sweep(world)
    assert (operation(world).lease_until - world.now).total_seconds() > MINUTE
    world.hosts['h1'].fail = None
    assert not world.conductor.engine._wake.is_set()
    world.conductor.delete_server(world.new_context(), uuid)
    assert world.conductor.engine._wake.is_set()
    world.advance(0.001)
    assert sweep(world) == 1
    assert world.server(uuid).deleted
    assert len([row for row in rows(world) if row.action == 'delete']) == 1
    world.check()


def test_a_new_request_does_not_disturb_a_host_at_work(world):
    uuid = world.boot()
    world.hosts['h1'].silent = True
    world.conductor.delete_server(world.new_context(), uuid)
    world.run()
    before = operation(world)
    world.advance(1)
    world.conductor.delete_server(world.new_context(), uuid)
    world.advance(1)
    assert sweep(world) == 0
    assert operation(world) == before


def test_a_repeated_report_does_not_prolong_the_pause(failing):
    world, uuid = failing
    before = operation(world)
    world.advance(1)
    world.conductor.call('delete_failed', uuid, before.fence, 'The disk is busy', None)
    assert operation(world) == before


def test_a_host_that_goes_down_meanwhile_holds_up_nothing(failing):
    world, uuid = failing
    world.down.add('h1')
    world.advance(world.conf.service_down_time + LONGEST_PATIENT_PAUSE)
    assert sweep(world) == 1
    assert world.server(uuid).deleted


def test_neutron_that_is_away_when_the_host_is_down(world, monkeypatch):
    uuid = world.boot(networks=Networks(mode='auto'))
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    away = True

    def ports_of(device_id):
        if away:
            raise exception.FellowServiceError(service='network', reason='503')
        return []

    monkeypatch.setattr(world, 'ports_of', ports_of)
    world.conductor.delete_server(world.new_context(), uuid)
    for _ in range(20):
        world.run()
        world.advance(MINUTE)
        world.conductor.engine.sweep()
    assert world.server(uuid).task_state == 'deleting'
    away = False
    world.settle()
    assert world.server(uuid).deleted


def test_a_host_that_does_not_answer_is_told_again(world):
    uuid = world.boot()
    world.hosts['h1'].silent = True
    world.conductor.delete_server(world.new_context(), uuid)
    world.run()
    world.advance(world.conf.operations.lease + 1)
    world.hosts['h1'].silent = False
    assert sweep(world) == 1
    assert [(host, result) for host, result, _ in events(world, uuid)] == [
        ('h1', 'Error'),
        ('h1', 'Success'),
    ]
