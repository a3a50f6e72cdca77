"""One request to a fellow service fails, whichever: what is refused then has changed nothing anywhere.

Nova's examples are sent in the state that they presume, once for each request to a fellow
service that their answer takes; that one fails.
"""

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kilonova.tests.functional import checkpoint, examples, snapshot
from kilonova.tests.functional.checkpoint import Checkpoint
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.examples import ROWS, WRITTEN, Example
from kilonova.tests.functional.refusals import NAMES
from kilonova.tests.functional.samples import Sample
from kilonova.tests.functional.states import World
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.reference import Key

pytestmark = reference.needed
CLOUD = examples.CLOUD
FAULT: dict[str, Any] = {'error': {'code': 500, 'message': 'broken on purpose'}}
ATTEMPT = {f'cell1.sqlite {name}' for name in ('instances', 'operations', 'operation_events')}
FAULTS = {501: 'notImplemented', 503: 'serviceUnavailable', **NAMES}


def _newest() -> list[Sample]:
    """Return the example of each route that holds at its newest version."""
    found: dict[tuple[Key, str], Sample] = {}
    for one in WRITTEN:
        # What is under way in the other state does not come to rest before it is asked about.
        if one.key[0] != 'GET' and one.state != 'live-migrating':
            known = found.get((one.key, one.state))
            if known is None or known.until < one.until:
                found[one.key, one.state] = one
    return list(found.values())


class Failure:
    """Fails one of the requests to fellow services; counts them until the answer is there."""

    def __init__(self, cloud: Cloud, number: int) -> None:
        self._cloud, self._number = cloud, number
        self._lock = threading.Lock()
        self.asked: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        for fellow in self._cloud.fellows:
            fellow.intercept = lambda method, path: (
                (500, FAULT) if self._is_it(method, path) else None
            )
        self._cloud.placement.intercept = lambda method, path: (
            (500, 'broken', 'on purpose') if self._is_it(method, path) else None
        )
        try:
            yield
        finally:
            self._cloud.placement.intercept = None
            for fellow in self._cloud.fellows:
                fellow.intercept = None

    def _is_it(self, method: str, path: str) -> bool:
        with self._lock:
            self.asked.append(f'{method} {path}')
            return len(self.asked) == self._number


@pytest.fixture(scope='module')
def world(cloud: Cloud) -> World:
    return World(cloud)


@pytest.fixture(scope='module')
def fresh(cloud: Cloud, world: World) -> Checkpoint:
    return Checkpoint(cloud)


@pytest.fixture
def as_before(world: World, fresh: Checkpoint) -> Iterator[None]:
    yield
    while world.after:
        world.after.pop()()
    fresh.restore()


def _everything(cloud: Cloud) -> dict[str, Any]:
    found = snapshot.settled(cloud)
    for fellow in cloud.fellows:
        for name, value in checkpoint.state(fellow).items():
            found[f'{type(fellow).__name__} {name}'] = copy.deepcopy(value)
    return found


def _try(cloud: Cloud, example: Example, number: int) -> tuple[Answer, list[str]]:
    """Send it while the request of that number fails; returns the answer and what was asked."""
    held = _everything(cloud)
    failure = Failure(cloud, number)
    with failure.watching():
        answer = example.send(cloud)
        asked = list(failure.asked)
    assert answer.status < 500 or answer.status in (501, 503), (asked, answer.text)
    if answer.status >= 400:
        ((name, fault),) = answer.json.items()
        assert (name, fault['code']) == (FAULTS[answer.status], answer.status)
        changed = snapshot.changed(held, _everything(cloud))
        if example.path.endswith('/os-interface'):
            # A host is asked before the answer: that it has failed is kept with the server.
            changed = {name: rows for name, rows in changed.items() if name not in ATTEMPT}
        assert changed == {}, (number, asked, answer.text)
    return answer, asked


@pytest.mark.parametrize('sample', _newest(), ids=str)
def test_a_refusal_changes_nothing(
    world: World, fresh: Checkpoint, as_before: None, sample: Sample
) -> None:
    version = min(ROWS[sample.key].until, sample.until)
    example = Example.prepared(world, sample, version)
    ready = Checkpoint(world.cloud)
    answer, asked = _try(world.cloud, example, 0)
    assert answer.status in ROWS[sample.key].statuses(version), answer.text
    ready.restore()
    for number in range(1, len(asked) + 1):
        _try(world.cloud, example, number)
        ready.restore()
