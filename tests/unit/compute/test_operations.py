"""One thing at a time for a server, in the order of arrival."""

import threading
from collections.abc import Callable

import pytest

from kilonova.common import exception
from kilonova.common.objects.operation import Fence
from kilonova.compute import operations
from kilonova.compute.operations import Operations, Slots, Task
from kilonova.tests.unit.compute.here import CONTEXT, wait


@pytest.fixture
def running() -> Operations:
    made = Operations()
    made.ready.set()
    return made


def begin(
    running: Operations,
    kind: str = 'build',
    uuid: str = 's',
    fence: Fence | None = None,
    work: Callable[[Task], object] = lambda task: None,
) -> Task | None:
    fence = fence or Fence(f'{kind}-{uuid}', 1)
    return running.start(CONTEXT, kind, uuid, fence, work)


def test_an_older_attempt_is_cancelled_and_waited_for(running: Operations) -> None:
    events: list[str] = []

    def old(task: Task) -> None:
        try:
            task.sleep(10)
        except exception.Superseded:
            events.append('old undone')
            raise

    begin(running, fence=Fence('op', 1), work=old)
    begin(running, fence=Fence('op', 2), work=lambda task: events.append('new'))
    wait(lambda: not running.running(), 'both end')
    assert events == ['old undone', 'new']
    assert begin(running, fence=Fence('op', 1)) is None


def test_a_delete_cancels_all_that_waits(running: Operations) -> None:
    done: list[str] = []
    gate = threading.Event()
    begin(running, 'stop', work=lambda task: gate.wait(5))
    begin(running, 'start', work=lambda task: done.append('start'))
    begin(running, 'delete', work=lambda task: done.append('delete'))
    gate.set()
    wait(lambda: not running.running(), 'all end')
    assert done == ['delete']


def test_servers_do_not_wait_for_each_other(running: Operations) -> None:
    meet = threading.Barrier(2, timeout=5)
    tasks = [begin(running, uuid=uuid, work=lambda task: meet.wait()) for uuid in 'ab']
    for task in tasks:
        assert task is not None and task.done.wait(5)
    assert not meet.broken


def test_a_failure_lets_the_next_one_begin(running: Operations) -> None:
    def fail(task: Task) -> None:
        raise RuntimeError

    done = threading.Event()
    begin(running, 'stop', work=fail)
    begin(running, 'start', work=lambda task: done.set())
    assert done.wait(5)


def test_holding_a_server(running: Operations) -> None:
    done = threading.Event()
    with running.hold('s') as task:
        assert task is not None and running.is_busy('s') and running.running() == []
        begin(running, work=lambda task: done.set())
        assert not done.wait(0.1)
        with running.hold('s') as second:
            assert second is None
    assert done.wait(5)


def test_draining_abandons_what_does_not_end(running: Operations) -> None:
    seen: list[str] = []

    def work(task: Task) -> None:
        try:
            task.sleep(60)
        except operations.Abandoned:
            seen.append('abandoned')
            raise

    begin(running, work=work)
    assert running.drain(0.1) is False
    assert seen == ['abandoned']
    assert begin(running, 'stop') is None


def test_draining_before_anything_began_is_quick() -> None:
    made = Operations()
    done: list[int] = []
    begin(made, work=lambda task: done.append(1))
    assert made.drain(60) is False
    wait(lambda: not made.running(), 'it ends')
    assert done == []


def test_only_so_many_fences_are_remembered(
    running: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, 'REMEMBERED', 3)
    for number in range(5):
        begin(running, fence=Fence(str(number), 1), uuid=str(number))
    assert list(running._seen) == ['2', '3', '4']


def test_a_slot_is_not_given_once_the_daemon_stops(running: Operations) -> None:
    slots, stopping = Slots(1), threading.Event()
    task = Task('build', 's', Fence('op', 1), None)
    with slots.take(task, stopping):
        pass
    stopping.set()
    with pytest.raises(operations.Abandoned), slots.take(task, stopping):
        raise AssertionError('not reached')
    stopping.clear()
    with slots.take(task, stopping):
        pass
