"""Periodic jobs and reports that are repeated."""

import threading
from collections.abc import Iterator

import pytest

from kilonova.common import exception
from kilonova.compute import periodic, report
from kilonova.compute.console import last_lines
from kilonova.tests.unit.compute.here import wait


@pytest.fixture
def jobs() -> Iterator[periodic.Periodic]:
    made = periodic.Periodic()
    yield made
    made.stop()


def test_jobs_run_at_their_intervals(jobs: periodic.Periodic) -> None:
    often: list[int] = []
    rarely: list[int] = []
    never: list[int] = []
    jobs.add(0.02, lambda: often.append(1))
    jobs.add(30, lambda: rarely.append(1))
    jobs.add(-1, lambda: never.append(1))
    jobs.start()
    wait(lambda: len(often) >= 3, 'three runs')
    assert (rarely, never) == ([], [])


def test_zero_is_a_minute(jobs: periodic.Periodic) -> None:
    jobs.add(0, lambda: None)
    assert jobs._queue[0][2] == 60


def test_a_job_that_fails_runs_again(jobs: periodic.Periodic) -> None:
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        raise RuntimeError

    jobs.add(0.02, fail)
    jobs.start()
    wait(lambda: len(runs) >= 2, 'a second run')


def test_a_report_is_repeated_whatever_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, 'FIRST_PAUSE', 0.01)
    errors = [exception.ServiceUnavailable(), RuntimeError('no database'), OSError()]

    def send() -> str:
        if errors:
            raise errors.pop()
        return 'answer'

    assert report.deliver('It', send, report.Until(threading.Event())) == 'answer'


def test_a_refusal_is_an_answer() -> None:
    def send() -> bool:
        raise exception.InstanceNotFound(instance_id='x')

    waiting = report.Until(threading.Event())
    with pytest.raises(exception.InstanceNotFound):
        report.deliver('It', send, waiting)
    assert report.deliver_fenced('It', send, waiting) is False


def test_waiting_ends_with_the_daemon() -> None:
    stopping = threading.Event()
    stopping.set()

    def send() -> None:
        raise exception.ServiceUnavailable

    with pytest.raises(exception.ServiceUnavailable, match='stops'):
        report.deliver('It', send, report.Until(stopping))


@pytest.mark.parametrize(
    'log, length, text',
    [
        (b'a\nb\nc\n', 2, 'c\n'),
        (b'a\nb\nc', 2, 'b\nc'),
        (b'a\nb\nc\n', 9, 'a\nb\nc\n'),
        (b'a\nb\n', None, 'a\nb\n'),
        (b'a\nb\n', -1, 'a\nb\n'),
        (b'a\nb\n', 0, ''),
        (b'', 3, ''),
        (b'\n\n', 2, '\n'),
        (b'a\n', 1, ''),
        (b'\xff\n', 2, '\ufffd\n'),
    ],
)
def test_last_lines(log: bytes, length: int | None, text: str) -> None:
    assert last_lines(log, length) == text
