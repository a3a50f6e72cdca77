"""The endpoints that change what a server does: power, deletion, actions."""

import pytest

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.db import servers
from kilonova.db.engine import count_statements
from kilonova.tests.unit.statements import sql


class TestPower:
    def test_stop_and_start(self, world):
        uuid = world.boot()
        world.conductor.stop_server(world.new_context(), uuid)
        assert world.server(uuid).task_state == 'powering-off'
        world.settle()
        assert (world.server(uuid).vm_state, world.server(uuid).power_state) == ('stopped', 4)
        world.conductor.start_server(world.new_context(), uuid)
        assert world.server(uuid).task_state == 'powering-on'
        world.settle()
        assert (world.server(uuid).vm_state, world.server(uuid).power_state) == ('active', 1)
        world.check()

    def test_refusals(self, world):
        uuid = world.boot()
        with pytest.raises(exception.InstanceInvalidState) as caught:
            world.conductor.start_server(world.new_context(), uuid)
        assert str(caught.value) == (
            f"Cannot 'start' instance {uuid} while it is in vm_state active"
        )
        world.conductor.stop_server(world.new_context(), uuid)
        with pytest.raises(exception.InstanceInvalidState) as caught:
            world.conductor.reboot_server(world.new_context(), uuid, 'SOFT')
        assert str(caught.value) == (
            f"Cannot 'reboot' instance {uuid} while it is in task_state powering-off"
        )

    def test_never_placed(self, world):
        world.down = set(world.hosts)
        uuid = world.boot()
        with pytest.raises(exception.InstanceNotReady):
            world.conductor.stop_server(world.new_context(), uuid)

    def test_a_hard_reboot_helps_a_hanging_soft_one(self, world):
        uuid = world.boot()
        world.hosts['h1'].silent = True
        world.conductor.reboot_server(world.new_context(), uuid, 'SOFT')
        world.run()
        world.hosts['h1'].silent = False
        world.conductor.reboot_server(world.new_context(), uuid, 'HARD')
        assert world.server(uuid).task_state == 'rebooting_hard'
        world.settle()
        assert world.server(uuid).vm_state == 'active'
        world.check()

    def test_host_that_is_down(self, world):
        uuid = world.boot()
        world.down.add('h1')
        world.advance(world.conf.service_down_time + 1)
        world.conductor.stop_server(world.new_context(), uuid)
        world.settle()
        server = world.server(uuid)
        assert (server.vm_state, server.task_state) == ('active', None)
        assert server.fault.message == 'Compute service of h1 is unavailable at this time.'

    def test_host_that_dies_over_it(self, world):
        uuid = world.boot()
        world.hosts['h1'].silent = True
        world.conductor.stop_server(world.new_context(), uuid)
        world.run()
        world.down.add('h1')
        world.settle()
        server = world.server(uuid)
        assert (server.vm_state, server.task_state) == ('active', None)
        assert 'unavailable' in server.fault.message

    def test_locked(self, world):
        uuid = world.boot()
        with world.cell_db.transaction() as session:
            servers.update(session, uuid, locked=True)
        conductor = world.conductor
        for call in (conductor.stop_server, conductor.delete_server):
            with pytest.raises(exception.InstanceIsLocked, match=f'Instance {uuid} is locked'):
                call(world.new_context(), uuid)
        admin = RequestContext(is_admin=True, project_id='p', overwrite=False)
        conductor.delete_server(admin, uuid)
        world.settle()
        assert world.server(uuid).deleted


class TestDelete:
    def test_statements(self, world):
        uuid = world.boot()
        world.calls.clear()
        with count_statements() as statements:
            world.conductor.delete_server(world.new_context(), uuid)
            world.run()
        assert world.server(uuid).deleted
        assert len(sql(statements)) <= 15, sql(statements)
        assert world.calls == ['cast _terminate', 'call delete_finished']

    def test_twice(self, world):
        uuid = world.boot()
        world.conductor.delete_server(world.new_context(), uuid)
        world.conductor.delete_server(world.new_context(), uuid)
        world.settle()
        assert world.calls.count('cast _terminate') == 1
        world.check()
        with pytest.raises(exception.InstanceNotFound):
            world.conductor.delete_server(world.new_context(), uuid)

    def test_it_ends_what_runs(self, world):
        uuid = world.boot()
        world.hosts['h1'].silent = True
        world.conductor.stop_server(world.new_context(), uuid)
        world.run()
        world.hosts['h1'].silent = False
        world.conductor.delete_server(world.new_context(), uuid)
        world.settle()
        world.check()
        found = world.conductor.list_actions(world.context, uuid).actions
        assert {action.action for action in found} == {'create', 'stop', 'delete'}


class TestActions:
    def test_order_and_pages(self, world):
        uuid = world.boot()
        for call in ('stop_server', 'start_server'):
            world.advance(1)
            getattr(world.conductor, call)(world.new_context(), uuid)
            world.settle()
        found = world.conductor.list_actions(world.context, uuid).actions
        assert [action.action for action in found] == ['start', 'stop', 'create']
        page = world.conductor.list_actions(
            world.context, uuid, limit=1, marker=found[0].request_id
        ).actions
        assert page == found[1:2]
        since = world.conductor.list_actions(
            world.context, uuid, changes_since=found[1].updated_at
        ).actions
        assert since == found[:2]
        with pytest.raises(exception.MarkerNotFound):
            world.conductor.list_actions(world.context, uuid, marker='x')

    def test_events(self, world):
        uuid = world.boot()
        world.hosts['h1'].fail = 'It hangs'
        world.advance(1)
        world.conductor.stop_server(world.new_context(), uuid)
        world.settle()
        [stop, _] = world.conductor.list_actions(world.context, uuid).actions
        action = world.conductor.get_action(world.context, uuid, stop.request_id).actions[0]
        [event] = action.events
        assert action.message == 'Error'
        assert (event.event, event.result) == ('compute_stop_instance', 'Error')
        assert event.details == 'stop on host h1: why'
        with pytest.raises(exception.ActionNotFound):
            world.conductor.get_action(world.context, uuid, 'x')
