"""Valid requests, mutated at random: always an answer, never a defect of ours.

The same examples in every run (``derandomize``); ``KILONOVA_FUZZ=5000`` tries more and new ones.
"""

import json
import os
import urllib.parse
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.tests.functional import mutate, routes, snapshot
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.routes import CALLER, Route, Things

CLOUD: dict[str, Any] = {}
EXAMPLES = int(os.environ.get('KILONOVA_FUZZ', '60'))
FUZZ = settings(
    max_examples=EXAMPLES,
    derandomize='KILONOVA_FUZZ' not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TEXT = st.text(max_size=40) | st.sampled_from(
    ['none', 'auto', '../x', '%00', '\u202e', '1' * 400, 'a' * 256, '2020-01-01T00:00:00Z', '::1']
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
# What power changes and deletion do to the server is not what this is about.
_LEFT_OUT = ('os-start', 'os-stop', 'reboot', 'forceDelete')
# What a server takes goes and comes back with it.
_MOVES = ('shelve', 'shelveOffload', 'unshelve')
BODIES = [route for route in routes.WITH_BODY if route.one.action not in _LEFT_OUT]
QUERIES = [route for route in routes.READS if route.one.path in ('/servers/detail', '/flavors')]


@pytest.fixture(scope='module')
def things(cloud: Cloud) -> Things:
    made = Things.make(cloud)
    # One server is there: what would be accepted is refused by the quota, at the very end.
    quota = {'quota_set': {'instances': 1, 'force': True}}
    assert cloud.admin('PUT', '/os-quota-sets/demo', quota).status == 200
    return made


def _paths(value: Any, path: mutate.Path = ()) -> list[mutate.Path]:
    found = [path] if path else []
    steps: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        steps = enumerate(value[:1])
    for step, inner in steps:
        found += _paths(inner, (*path, step))
    return found


def _check(answer: Answer, *sent: Any) -> None:
    assert answer.status < 500, (sent, answer.text)
    if answer.status >= 400:
        ((_, fault),) = answer.json.items()
        assert fault['code'] == answer.status and fault['message'], (sent, answer.text)
    assert answer.headers['x-openstack-request-id']


@pytest.mark.parametrize('route', BODIES, ids=str)
def test_bodies(cloud: Cloud, things: Things, route: Route) -> None:
    sample = routes.bodies(things)[route.key]
    path = route.path(things)
    if route.one.method == 'PUT' and 'quota-sets' in path:
        path = path.replace('/demo', '/fuzz')
    before = snapshot.settled(cloud)['allocations']

    @FUZZ
    @given(st.lists(st.tuples(st.sampled_from(_paths(sample)), JSON), min_size=1, max_size=3))
    def run(changes: list[tuple[mutate.Path, Any]]) -> None:
        body = sample
        for where, value in changes:
            body = mutate.put(body, where, value) or body
        raw = json.dumps(body, allow_nan=True).encode(errors='replace')
        answer = cloud.call(route.one.method, path, raw=raw, token=CALLER, version=route.version)
        _check(answer, body)

    run()
    if route.one.action not in _MOVES:
        assert snapshot.settled(cloud)['allocations'] == before


@pytest.mark.parametrize('route', BODIES, ids=str)
def test_bytes(cloud: Cloud, things: Things, route: Route) -> None:
    """A valid body with a piece replaced by any bytes."""
    sample = json.dumps(routes.bodies(things)[route.key]).encode()
    path = route.path(things).replace('quota-sets/demo', 'quota-sets/fuzz')

    @FUZZ
    @given(st.integers(0, len(sample)), st.integers(0, 20), st.binary(max_size=20))
    def run(start: int, length: int, piece: bytes) -> None:
        raw = sample[:start] + piece + sample[start + length :]
        answer = cloud.call(route.one.method, path, raw=raw, token=CALLER, version=route.version)
        _check(answer, raw)

    run()


@pytest.mark.parametrize('route', QUERIES, ids=str)
def test_queries(cloud: Cloud, things: Things, route: Route) -> None:
    names = st.sampled_from([*route.query_names(route.version), '_x']) | TEXT
    values = TEXT | st.from_regex(r'[0-9TZ:+.-]{1,30}') | st.integers().map(str)
    encoded = st.lists(st.tuples(names, values), min_size=1, max_size=4)

    @FUZZ
    @given(encoded.map(lambda pairs: urllib.parse.urlencode(pairs, errors='replace')))
    def structured(query: str) -> None:
        url = f'{route.path(things)}?{query}'
        _check(cloud.call('GET', url, token=CALLER, version=route.version), query)

    @FUZZ
    @given(st.binary(max_size=60).map(lambda raw: urllib.parse.quote(raw, safe='=&;+%')))
    def raw(query: str) -> None:
        url = f'{route.path(things)}?{query}'
        _check(cloud.call('GET', url, token=CALLER, version='2.1'), query)

    structured()
    raw()
