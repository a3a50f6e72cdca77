"""Operations in phases: their order, their failures, and conductors that die meanwhile."""

import pytest

from kilonova.common import exception
from kilonova.common.objects import work
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.tasks import faults
from kilonova.conductor.tasks.phases import Payload, Phase
from kilonova.conductor.tasks.procedure import Procedure
from kilonova.db import operations
from kilonova.tests.unit.conductor.test_crashes import arm, ask
from kilonova.tests.unit.conductor.world import Node


class TripPayload(Payload, kw_only=True):
    target: str = ''
    steps: list[str] = []


class Trip:
    """A choice here, work on the server's host, then on another; the first can be undone."""

    def __init__(self, node: Node, breaks: bool = False, choose=None) -> None:
        back = Phase[TripPayload](
            name='back', event='back', work=lambda job: work.Unpause(), ended=self.note('back')
        )
        self.procedure = Procedure(
            node.parts,
            node.engine,
            'pause',
            (
                Phase(name='choose', run=choose or self.choose, ended=self.note('choose')),
                Phase(
                    name='leave',
                    event='leave',
                    task_state='suspending',
                    work=lambda job: work.Pause(),
                    ended=self.note('leave'),
                ),
                Phase(
                    name='arrive',
                    event='arrive',
                    host=lambda job: job.payload.target,
                    work=lambda job: work.Suspend(),
                    ended=self.arrived,
                    undo=(back,),
                    breaks=breaks,
                ),
            ),
            payload=TripPayload,
        )

    def choose(self, job):
        job.payload.target = 'h2'

    def note(self, name):
        def ended(session, job, result):
            job.payload.steps.append(name)
            return {}

        return ended

    def arrived(self, session, job, result):
        job.payload.steps.append('arrive')
        return {'host': job.payload.target, 'description': ' '.join(job.payload.steps)}

    def accept(self, world, uuid):
        payload = TripPayload(context=faults.keep(world.context), rule='pause')
        self.procedure.accept(world.new_context(), uuid, payload)


@pytest.fixture
def uuid(world):
    booted = world.boot()
    world.advance(1)
    return booted


def events(world, uuid):
    with world.cell_db.reader() as session:
        action = operations.list_actions(session, uuid)[0]
        found = operations.get_action(session, uuid, action.request_id)
    return [(event.event, event.host, event.result) for event in found.events]


def test_phases_in_their_order(world, uuid):
    Trip(world.conductor).accept(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.task_state, server.operation) == ('paused', None, None)
    assert (server.host, server.description) == ('h2', 'choose leave arrive')
    assert (world.hosts['h1'].worked, world.hosts['h2'].worked) == (['Pause'], ['Suspend'])
    assert events(world, uuid) == [('leave', 'h1', 'Success'), ('arrive', 'h2', 'Success')]


@pytest.mark.parametrize(('breaks', 'vm_state'), [(False, 'active'), (True, 'error')])
def test_a_failure_is_undone(world, uuid, breaks, vm_state):
    world.hosts['h2'].cannot.add('Suspend')
    Trip(world.conductor, breaks).accept(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.task_state, server.host) == (vm_state, None, 'h1')
    assert world.hosts['h1'].worked == ['Pause', 'Unpause']
    assert server.fault is not None
    assert (server.fault.message, server.fault.details) == ('broken', 'pause on host h2: why')
    assert [event[2] for event in events(world, uuid)] == ['Success', 'Error', 'Success']


def test_an_undoing_that_fails_ends_it_all_the_same(world, uuid):
    world.hosts['h2'].cannot.add('Suspend')
    world.hosts['h1'].cannot.add('Unpause')
    Trip(world.conductor).accept(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert server.task_state is None
    assert server.fault is not None and server.fault.message == 'broken'


def test_a_host_that_is_down_is_a_failure(world, uuid):
    world.down.add('h2')
    world.advance(world.conf.service_down_time + 1)
    Trip(world.conductor).accept(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert (server.vm_state, server.host) == ('active', 'h1')
    assert server.fault is not None and 'h2 is unavailable' in server.fault.message
    assert world.hosts['h1'].worked == ['Pause', 'Unpause']


def test_what_is_away_is_waited_for_and_a_refusal_is_not(world, uuid):
    answers = [exception.ServiceUnavailable('away'), exception.Conflict('refused')]

    def choose(job):
        raise answers.pop(0)

    Trip(world.conductor, choose=choose).accept(world, uuid)
    world.settle()
    server = world.server(uuid)
    assert answers == [] and server.vm_state == 'active'
    assert server.fault is not None and server.fault.message == 'refused'


def test_a_report_that_comes_again_is_no_news(world, uuid):
    Trip(world.conductor).accept(world, uuid)
    world.work.pop(0)()  # choose
    fence = Fence(world.server(uuid).operation, world.server(uuid).attempt)
    report = (uuid, fence, WorkResult())
    assert world.conductor.call('work_finished', *report)
    assert world.conductor.call('work_finished', *report)
    assert not world.conductor.call('work_finished', uuid, Fence(fence.operation, 9), WorkResult())
    world.settle()
    assert world.server(uuid).description == 'choose leave arrive'


def test_a_report_that_nobody_waited_for_is_refused(world, uuid):
    """A host that was given up for dead does its work later, and has to undo it."""
    Trip(world.conductor).accept(world, uuid)
    world.work.pop(0)()  # choose
    late = Fence(world.server(uuid).operation, world.server(uuid).attempt)
    world.messages.clear()
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    world.conductor.engine.sweep()
    assert not world.conductor.call('work_finished', uuid, late, WorkResult())
    world.settle()
    assert world.server(uuid).vm_state == 'active'
    assert not world.conductor.call('work_finished', uuid, late, WorkResult())


def test_a_deletion_takes_over(world, uuid):
    Trip(world.conductor).accept(world, uuid)
    fence = Fence(world.server(uuid).operation, world.server(uuid).attempt)
    assert world.conductor.call('is_wanted', uuid, fence)
    assert not world.conductor.call('is_wanted', uuid, Fence(fence.operation, 9))
    assert not world.conductor.call('is_wanted', uuid, Fence('unknown', 1))
    world.conductor.call('delete_server', uuid)
    assert not world.conductor.call('is_wanted', uuid, fence)
    assert not world.conductor.call('work_finished', uuid, fence, WorkResult())
    world.settle()
    assert world.server(uuid).deleted


@pytest.mark.parametrize('fails', [False, True])
def test_the_conductor_dies_at_each_step(world, fails, monkeypatch):
    first = Node.__init__

    def with_trip(self, *args):
        first(self, *args)
        self.trip = Trip(self)

    monkeypatch.setattr(Node, '__init__', with_trip)
    world.replace_conductor()
    if fails:
        world.hosts['h2'].cannot.add('Suspend')
    for step in range(1, 60):
        uuid = world.boot()
        world.heartbeat()
        arm(world, step)
        ask(world, lambda uuid=uuid: world.conductor.trip.accept(world, uuid))
        world.settle()
        died, world.kill_at = world.kill_at is None, None
        server = world.server(uuid)
        assert (server.task_state, server.operation) == (None, None)
        if server.vm_state == 'paused':
            assert server.description == 'choose leave arrive'
        else:
            assert server.vm_state == 'active'
        if not died:
            assert (server.vm_state == 'paused') != fails
            return
    raise AssertionError('never lives through')
