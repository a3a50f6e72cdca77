"""How a build goes, and how it goes on after each thing that can go wrong."""

from kilonova.common import exception
from kilonova.common.objects.network import NetworkRequest, Networks
from kilonova.common.objects.operation import Fence
from kilonova.db import operations
from kilonova.db.engine import count_statements
from kilonova.tests.unit.statements import sql


class TestBoot:
    def test_it_runs_on_the_chosen_host(self, world):
        uuid = world.boot()
        server = world.server(uuid)
        assert (server.vm_state, server.task_state, server.power_state) == ('active', None, 1)
        assert (server.host, server.node, server.availability_zone) == ('h1', 'h1.node', 'nova')
        assert server.launched_at == world.now
        assert server.root_device_name == '/dev/vda'
        world.check()

    def test_states_on_the_way(self, world):
        [uuid] = world.create(networks=Networks(mode='auto'))
        assert world.server(uuid).task_state == 'scheduling'
        world.work.pop(0)()
        assert world.server(uuid).task_state == 'networking'
        world.settle()
        server = world.server(uuid)
        assert [vif.id for vif in server.network_info] == [f'port-{uuid}']
        world.check()

    def test_statements_and_calls(self, world):
        world.boot()  # the first of a project makes its lock
        world.calls.clear()
        with count_statements() as accepted:
            world.create()
        with count_statements() as rest:
            world.run()
        assert len(sql(accepted)) <= 12, sql(accepted)
        assert len(sql(accepted)) + len(sql(rest)) <= 25, sql(rest)
        assert world.calls == [
            'call select_destinations',
            'cast _build',
            'call build_finished',
        ]

    def test_a_batch_is_scheduled_by_one_call(self, world):
        uuids = world.create(min_count=3, max_count=3)
        with count_statements() as statements:
            world.run()
        assert world.calls.count('call select_destinations') == 1
        assert [world.server(uuid).name for uuid in uuids] == ['web-1', 'web-2', 'web-3']
        assert [world.server(uuid).launch_index for uuid in uuids] == [0, 1, 2]
        assert len(sql(statements)) <= 3 * 10
        world.check()

    def test_what_the_build_carried_is_forgotten(self, world):
        uuid = world.boot(admin_password='hidden', personality=[('/etc/motd', 'aGk=')])
        with world.cell_db.reader() as session:
            [action] = operations.list_actions(session, uuid)
            found = operations.get_action(session, uuid, action.request_id)
            row = session.execute(operations.OPERATIONS.select()).one()
        assert row.payload == ''
        assert [(e.event, e.result, e.host) for e in found.events] == [
            ('compute__do_build_and_run_instance', 'Success', 'h1')
        ]

    def test_the_token_is_not_stored(self, world):
        world.create()
        with world.cell_db.reader() as session:
            row = session.execute(operations.OPERATIONS.select()).one()
        assert '"user"' in row.payload
        assert 'secret' not in row.payload


class TestOtherHosts:
    def test_an_alternate_is_claimed(self, world):
        world.hosts['h1'].fail = 'No space left'
        uuid = world.boot()
        assert world.server(uuid).host == 'h2'
        assert world.calls.count('call select_destinations') == 1
        world.check()

    def test_an_alternate_that_is_full_is_passed_over(self, world):
        world.hosts['h1'].fail = 'No space left'
        world.refused = {'h2'}
        assert world.server(world.boot()).host == 'h3'
        world.check()

    def test_the_scheduler_is_asked_again_without_the_failed_host(self, world):
        world.hosts['h1'].fail = 'No space left'
        world.refused = {'h2', 'h3'}
        uuid = world.boot()
        assert world.selected == [(uuid, 'h1'), (uuid, 'h2')]
        world.check()

    def test_an_end_after_max_attempts(self, world):
        for host in world.hosts.values():
            host.fail = 'No space left'
        uuid = world.boot()
        server = world.server(uuid)
        assert server.vm_state == 'error'
        assert server.fault.message.startswith('Exceeded maximum number of retries.')
        assert 'No space left' in server.fault.message
        for host in ('h1', 'h2', 'h3'):
            assert f'spawning failed on host {host}: the disk is full' in server.fault.details
        world.check()

    def test_what_fails_everywhere_is_not_tried_elsewhere(self, world):
        world.hosts['h1'].fail, world.hosts['h1'].reschedule = 'Image is broken', False
        [uuid] = world.create()
        world.run()
        assert world.allocations == {} and world.open_operations() == []
        server = world.server(uuid)
        assert (server.vm_state, server.host) == ('error', None)
        assert server.fault.message == 'Image is broken'
        assert server.fault.details == 'spawning failed on host h1: the disk is full'
        assert server.fault.host == 'h1'
        world.check()

    def test_a_host_that_dies_is_left(self, world):
        given = NetworkRequest(port_id='mine')
        [uuid] = world.create(networks=Networks(mode='list', requests=[given]))
        world.hosts['h1'].silent = True
        world.ports = {'mine': uuid, 'made': uuid}
        world.run()
        world.down.add('h1')
        world.settle()
        assert world.server(uuid).host == 'h2'
        assert 'made' not in world.ports
        assert world.ports['mine'] == ''
        world.check()


class TestNoHost:
    def test_users_and_administrators_read_different_things(self, world):
        world.down = set(world.hosts)
        server = world.server(world.boot())
        assert server.fault.code == 500
        assert (
            server.fault.message == 'No valid host was found. There are not enough hosts available.'
        )
        assert 'ComputeFilter' in server.fault.details
        world.check()

    def test_it_can_be_deleted(self, world):
        world.down = set(world.hosts)
        uuid = world.boot()
        world.conductor.delete_server(world.new_context(), uuid)
        world.settle()
        assert world.server(uuid).deleted
        world.check()


class TestScheduler:
    def test_one_that_comes_back_is_asked_again(self, world):
        world.scheduler_error = exception.ServiceUnavailable('gone')
        [uuid] = world.create()
        world.run()
        assert world.server(uuid).task_state == 'scheduling'
        world.scheduler_error = None
        world.settle()
        assert world.server(uuid).vm_state == 'active'
        world.check()

    def test_one_that_stays_away_is_an_error(self, world):
        world.scheduler_error = exception.FellowServiceError(service='placement', reason='503')
        uuid = world.boot()
        server = world.server(uuid)
        assert server.vm_state == 'error'
        assert 'placement' in server.fault.message
        assert 'scheduling was given up after 10 attempts' in server.fault.details
        world.check()

    def test_a_bug_of_ours_is_an_error_too(self, world):
        world.scheduler_error = RuntimeError('a bug')
        server = world.server(world.boot())
        assert server.vm_state == 'error'
        assert 'a bug' in server.fault.details
        world.check()


class TestMessages:
    def test_a_lost_cast_is_sent_again(self, world):
        world.losses = 2
        uuid = world.boot()
        assert world.server(uuid).vm_state == 'active'
        assert world.calls.count('cast _build') == 3
        world.check()

    def test_a_host_that_works_is_left_alone(self, world):
        [uuid] = world.create()
        world.work.pop(0)()
        world.work.pop(0)()
        [message] = world.messages
        world.messages.clear()
        for _ in range(5):
            world.advance(30)
            with world.cell_db.reader() as session:
                [row] = session.execute(operations.OPERATIONS.select()).all()
            world.conductor.engine.report_host('h1', [row.id])
            assert world.conductor.engine.sweep() == 0
        world.messages.append(message)
        world.settle()
        assert world.calls.count('cast _build') == 1
        world.check()

    def test_a_late_answer_changes_nothing(self, world):
        world.hosts['h1'].silent = True
        [uuid] = world.create()
        world.work.pop(0)()
        world.work.pop(0)()
        late = world.messages[0]
        world.run()
        world.down.add('h1')
        world.settle()
        assert world.server(uuid).host == 'h2'
        world.down.clear()
        world.hosts['h1'].silent = False
        world.messages.append(late)
        world.run()
        assert world.server(uuid).host == 'h2'
        world.check()

    def test_an_answer_of_an_earlier_attempt(self, world):
        world.hosts['h1'].silent = True
        [uuid] = world.create()
        world.run()
        world.advance(world.conf.operations.lease + 1)
        assert world.conductor.engine.sweep() == 1
        old = Fence(world.server(uuid).operation, 1)
        call = world.conductor.call
        assert call('server_progress', uuid, old, 'spawning', []) is False
        assert call('build_finished', uuid, old, 1, [], {}) is False
        call('build_failed', uuid, old, 'late', None, True)
        assert (world.server(uuid).host, world.server(uuid).attempt) == ('h1', 2)

    def test_the_same_answer_twice_is_true_twice(self, world):
        uuid = world.boot()
        [(_, fence)] = world.hosts['h1'].spawned
        assert world.conductor.call('build_finished', uuid, fence, 1, [], {}) is True
        world.check()

    def test_a_bus_that_is_down_does_not_fail_the_build(self, world, monkeypatch):
        def refuse(*args):
            raise exception.ServiceUnavailable('The message bus cannot be reached.')

        with monkeypatch.context() as patch:
            patch.setattr(world, 'post', refuse)
            [uuid] = world.create()
            world.run()
        assert world.server(uuid).host == 'h1'
        world.settle()
        assert world.server(uuid).vm_state == 'active'


class TestSuperseded:
    def test_a_delete_during_scheduling_leaves_no_claim(self, world):
        [uuid] = world.create()

        def delete():
            world.conductor.delete_server(world.new_context(), uuid)
            world.work.pop(0)()
            assert world.server(uuid).deleted

        world.before_select = delete
        world.run()
        assert world.allocations == {}
        world.settle()
        assert world.server(uuid).deleted
        assert world.calls.count('cast _build') == 0
        world.check()

    def test_a_claim_that_comes_after_the_delete_is_found(self, world):
        [uuid] = world.create()
        world.work.clear()  # the conductor that schedules is dead, its call is not
        world.conductor.delete_server(world.new_context(), uuid)
        world.run()
        assert world.server(uuid).deleted
        world.allocations[uuid] = 'h1'
        world.settle()
        world.check()

    def test_a_delete_during_the_build_ends_the_guest(self, world):
        [uuid] = world.create()
        world.work.pop(0)()
        world.work.pop(0)()
        world.conductor.delete_server(world.new_context(), uuid)
        world.settle()
        assert world.server(uuid).deleted
        world.check()
