"""Locks, and states set by hand."""

import pytest
import sqlalchemy as sa

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.db.models.servers import OperationRow

ADMIN = RequestContext(project_id='ops', user_id='root', is_admin=True, overwrite=False)


def locked(world, uuid):
    server = world.server(uuid)
    return server.locked, server.locked_by, server.locked_reason


def test_owner(world):
    uuid = world.boot()
    world.conductor.lock_server(world.context, uuid, 'mine')
    assert locked(world, uuid) == (True, 'owner', 'mine')
    world.conductor.lock_server(world.context, uuid, 'again')
    assert locked(world, uuid) == (True, 'owner', 'mine')
    with pytest.raises(exception.InstanceIsLocked):
        world.conductor.stop_server(world.new_context(), uuid)
    world.conductor.unlock_server(world.context, uuid)
    assert locked(world, uuid) == (False, None, None)


def test_an_administrator_s_lock_is_not_the_owner_s(world):
    uuid = world.boot()
    world.conductor.lock_server(world.context, uuid, 'mine')
    world.conductor.lock_server(ADMIN, uuid)
    assert locked(world, uuid) == (True, 'admin', 'mine')
    with pytest.raises(exception.InstanceIsLocked):
        world.conductor.unlock_server(world.context, uuid)
    assert locked(world, uuid)[0]
    world.conductor.unlock_server(ADMIN, uuid)
    assert locked(world, uuid) == (False, None, None)


def test_an_owner_s_lock_may_be_overridden(world):
    uuid = world.boot()
    world.conductor.lock_server(world.context, uuid)
    with pytest.raises(exception.InstanceIsLocked):
        world.conductor.unlock_server(ADMIN, uuid)
    world.conductor.unlock_server(ADMIN, uuid, override=True)
    assert locked(world, uuid) == (False, None, None)


def test_they_are_actions(world):
    uuid = world.boot()
    for act in (world.conductor.lock_server, world.conductor.unlock_server):
        context = world.new_context()
        act(context, uuid)
        action = world.conductor.get_action(context, uuid, context.request_id).actions[0]
        (event,) = action.events
        word = act.__name__.partition('_')[0]
        assert (action.action, action.message) == (word, None)
        assert (event.event, event.result) == (f'api_{word}', 'Success')
        assert event.finish_time is not None
    assert world.server(uuid).operation is None


@pytest.mark.parametrize('vm_state', ['active', 'error'])
def test_reset_takes_the_server_from_what_works_on_it(world, vm_state):
    uuid = world.boot()
    world.conductor.stop_server(world.new_context(), uuid)
    assert world.server(uuid).task_state == 'powering-off'
    world.conductor.reset_server_state(ADMIN, uuid, vm_state)
    server = world.server(uuid)
    assert (server.vm_state, server.task_state, server.operation) == (vm_state, None, None)
    world.settle()
    assert world.server(uuid).vm_state == vm_state
    with world.cell_db.reader() as session:
        states = set(
            session.scalars(sa.select(OperationRow.state).where(OperationRow.action == 'stop'))
        )
    assert states == {'superseded'}
    world.conductor.stop_server(world.new_context(), uuid)
    world.settle()
    assert world.server(uuid).vm_state == 'stopped'


def test_reset_of_a_server_without_host(world):
    [uuid] = world.create()
    world.conductor.reset_server_state(ADMIN, uuid, 'error')
    world.settle()
    assert world.server(uuid).vm_state == 'error'
    world.conductor.delete_server(world.new_context(), uuid)
    world.settle()
    assert world.allocations == {}
