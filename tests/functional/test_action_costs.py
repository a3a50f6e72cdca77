"""What a change costs: the API asks the conductor twice at most, whatever the request is."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common import rpc
from kilonova.conductor.interface import ConductorInterface
from kilonova.tests.functional import examples, test_answers
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.examples import Example
from kilonova.tests.functional.samples import Sample
from kilonova.tests.functional.states import World
from kilonova.tests.unit.api import reference

pytestmark = reference.needed
CLOUD = examples.CLOUD
MOST = 2
# An image with metadata is made in Glance first, and its limit is asked for before; a host is put
# into maintenance and enabled by one request, which are two changes.
MORE = {('POST', 'createImage'): 3, ('PUT', '/os-hosts/{id}'): 3}


class Count:
    """Counts what the API sends."""

    def __init__(self, cloud: Cloud) -> None:
        self.sent: list[str] = []
        self._client: Any = cloud.all.client
        self._before = {}
        for name in rpc.methods_of(ConductorInterface):
            self._before[name] = getattr(self._client, name)
            setattr(self._client, name, self._counting(name))

    def _counting(self, name: str) -> Any:
        def send(*args: Any, **kwargs: Any) -> Any:
            self.sent.append(name)
            return self._before[name](*args, **kwargs)

        return send

    def close(self) -> None:
        for name, method in self._before.items():
            setattr(self._client, name, method)


@pytest.fixture(scope='module')
def count(cloud: Cloud) -> Iterator[Count]:
    made = Count(cloud)
    yield made
    made.close()


@pytest.fixture(scope='module')
def world(cloud: Cloud) -> World:
    return World(cloud)


@pytest.fixture(autouse=True)
def tidy(world: World) -> Iterator[None]:
    yield
    world.tidy()


CHANGES = [one for one in examples.WRITTEN if one.key[0] != 'GET']


@pytest.mark.parametrize('sample', CHANGES, ids=str)
def test_a_change_asks_twice_at_most(world: World, count: Count, sample: Sample) -> None:
    request = Example.prepared(world, sample, test_answers.versions_of(sample)[-1])
    before = len(count.sent)
    answer = request.send(world.cloud)
    sent = count.sent[before:]
    assert answer.status < 300, answer.text
    method, path, action = sample.key
    assert len(sent) <= MORE.get((method, action or path), MOST), sent
