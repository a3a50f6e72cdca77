"""Shares of servers, as durable operations."""

import uuid

import pytest

from kilonova.common import exception
from kilonova.common.objects.share import Share
from kilonova.db import shares

SHARE = '0f7b9b8c-1111-4222-8333-944445555666'


def new(share_id=SHARE, tag='data'):
    return Share(uuid=str(uuid.uuid4()), share_id=share_id, tag=tag, export_location='10.0.0.1:/x')


@pytest.fixture
def stopped(world):
    made = world.boot()
    world.conductor.stop_server(world.new_context(), made)
    world.settle()
    return made


def states(world, uuid):
    return {share.tag: share.status for share in world.server(uuid).shares}


def attach(world, uuid, **fields):
    context = world.new_context()
    world.conductor.attach_share(context, uuid, new(**fields))
    return context


def test_life(world, stopped):
    context = attach(world, stopped)
    assert states(world, stopped) == {'data': 'attaching'}
    assert world.server(stopped).task_state is None
    world.settle()
    (share,) = world.server(stopped).shares
    assert (share.status, share.export_location) == ('inactive', '10.0.0.1:/x')
    action = world.conductor.get_action(context, stopped, context.request_id).actions[0]
    assert (action.action, action.events[0].event) == ('attach_share', 'compute_allow_share')
    assert action.events[0].result == 'Success'
    world.conductor.start_server(world.new_context(), stopped)
    world.settle()
    assert states(world, stopped) == {'data': 'active'}
    with pytest.raises(exception.InstanceInvalidState):
        world.conductor.detach_share(world.context, stopped, SHARE)
    world.conductor.stop_server(world.new_context(), stopped)
    world.settle()
    assert states(world, stopped) == {'data': 'inactive'}
    world.conductor.detach_share(world.new_context(), stopped, SHARE)
    assert states(world, stopped) == {'data': 'detaching'}
    world.conductor.detach_share(world.new_context(), stopped, SHARE)
    world.settle()
    assert world.server(stopped).shares == []
    with pytest.raises(exception.ShareNotFound):
        world.conductor.detach_share(world.new_context(), stopped, SHARE)


def test_what_is_refused_changes_nothing(world, stopped):
    attach(world, stopped)
    with pytest.raises(exception.ShareMappingAlreadyExists):
        attach(world, stopped, tag='other')
    with pytest.raises(exception.ShareMappingAlreadyExists):
        attach(world, stopped, share_id=str(uuid.uuid4()))
    world.settle()
    running = world.boot()
    with pytest.raises(exception.InstanceInvalidState):
        attach(world, running)
    assert states(world, stopped) == {'data': 'inactive'} and states(world, running) == {}


def test_several_beside_one_another_and_a_start(world, stopped):
    attach(world, stopped)
    attach(world, stopped, share_id=str(uuid.uuid4()), tag='more')
    world.conductor.start_server(world.new_context(), stopped)
    world.settle()
    assert states(world, stopped) == {'data': 'active', 'more': 'active'}
    assert world.server(stopped).vm_state == 'active'


def test_a_host_that_fails(world, stopped):
    world.hosts['h1'].fail = 'no way in'
    context = attach(world, stopped)
    world.settle()
    assert states(world, stopped) == {'data': 'error'}
    action = world.conductor.get_action(context, stopped, context.request_id).actions[0]
    assert (action.message, action.events[0].result) == ('Error', 'Error')
    assert world.server(stopped).vm_state == 'stopped'
    world.hosts['h1'].fail = None
    world.conductor.detach_share(world.new_context(), stopped, SHARE)
    world.settle()
    assert states(world, stopped) == {}


@pytest.mark.parametrize('lost', [1, 2])
def test_a_lost_message_is_sent_again(world, stopped, lost):
    world.losses = lost
    attach(world, stopped)
    world.settle()
    assert states(world, stopped) == {'data': 'inactive'}


def test_a_conductor_that_dies(world, stopped):
    attach(world, stopped)
    world.replace_conductor()
    world.messages.clear()
    world.settle()
    assert states(world, stopped) == {'data': 'inactive'}


def test_a_host_that_is_down_ends_it_with_an_error(world, stopped):
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    attach(world, stopped)
    world.settle()
    assert states(world, stopped) == {'data': 'error'}


def test_deletion_while_it_is_attached(world, stopped):
    attach(world, stopped)
    world.messages.clear()
    world.conductor.delete_server(world.new_context(), stopped)
    world.settle()
    assert world.open_operations() == []
    with pytest.raises(exception.InstanceNotFound):
        world.conductor.get_server(world.context, stopped)


def test_who_uses_a_share(world, stopped, cell_db):
    attach(world, stopped)
    world.settle()
    assert world.conductor.get_share_users(world.context, SHARE, 'h1') == [stopped]
    assert world.conductor.get_share_users(world.context, SHARE, 'h2') == []
    world.conductor.detach_share(world.new_context(), stopped, SHARE)
    with cell_db.reader() as session:
        assert shares.users(session, SHARE, 'h1') == []


def test_some_actions_are_not_for_servers_with_shares(world, stopped):
    attach(world, stopped)
    world.conductor.start_server(world.new_context(), stopped)
    world.settle()
    with pytest.raises(exception.ForbiddenSharesNotSupported, match='that have shares'):
        world.conductor.suspend_server(world.new_context(), stopped)
