"""Requests made of valid ones, at random but by a seed: what is sent, and to a cloud that stays usable."""

import dataclasses
import json
import random
from collections.abc import Iterator
from typing import Any

from kilonova.api import versions
from kilonova.tests.functional import compare, mutate, routes, samples
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.routes import CALLER, NOBODY, Route, Things
from kilonova.tests.functional.test_bad_queries import VALUES as QUERY_VALUES
from kilonova.tests.unit.api import reference

TOKENS = [CALLER] * 14 + ['demo:demo'] * 4 + ['mallory:evil', 'admin:admin']
ODD_PARTS = (
    NOBODY, '0', '-1', '1', '99999999999999999999', '%20', '%00', '%ff', "' OR 1=1 --", '..', '%2e%2e',
    'x' * 300, '%F0%9F%98%80', '%0a', 'null', '{}', '*', '%25s',
)  # fmt: skip
ODD_HEADERS = (
    {'Accept': 'application/xml'}, {'Content-Type': 'text/html'}, {'Accept-Language': 'xx;q=9'},
    {'X-Forwarded-Proto': 'gopher'}, {'X-Openstack-Request-Id': 'req-x'}, {'Range': 'bytes=0-'},
    {'X-Auth-Project-Id': 'evil'}, {'X-Roles': 'admin'}, {'Content-Encoding': 'gzip'},
)  # fmt: skip
# After these nothing is left to be asked about: once in a while is enough.
FATAL = {
    ('DELETE', '/servers/{server_id}', None), ('POST', '/servers/{server_id}/action', 'forceDelete'),
    ('DELETE', '/os-volumes_boot/{server_id}', None), ('DELETE', '/flavors/{flavor_id}', None),
    ('POST', '/os-volumes_boot/{server_id}/action', 'forceDelete'),
    ('DELETE', '/os-services/{service_id}', None),
}  # fmt: skip
WRONG = [value for values in mutate.WRONG.values() for value in values]


@dataclasses.dataclass
class Sent:
    """One request; as text it can be sent again."""

    method: str
    path: str
    version: str
    token: str
    raw: bytes | None
    headers: dict[str, str]

    def __str__(self) -> str:
        body = '' if self.raw is None else repr(self.raw[:2000])
        return f'{self.method} {self.path[:2000]} {self.version} {self.token} {self.headers} {body}'


class Fuzzer:
    """An endless supply of requests; ``seed`` decides which."""

    def __init__(self, cloud: Cloud, seed: int, things: Things | None = None) -> None:
        self._cloud, self._random = cloud, random.Random(seed)
        self.things = things or Things.make(cloud)
        self._examples = _examples()
        self._allow(5)

    def _allow(self, servers: int) -> None:
        """A few may be made; a body that asks for thousands is refused at the very end."""
        quota = {'instances': servers, 'cores': 50, 'ram': -1, 'key_pairs': 20, 'force': True}
        answer = self._cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': quota})
        assert answer.status == 200, answer.text

    def requests(self) -> Iterator[Sent]:
        while True:
            route = self._random.choice(routes.ROUTES)
            if route.key not in FATAL or self._random.random() < 0.05:
                yield self._one(route)

    def send(self, sent: Sent) -> Answer:
        return self._cloud.call(
            sent.method, sent.path, token=sent.token, version=sent.version, raw=sent.raw,
            headers=sent.headers,
        )  # fmt: skip

    def _one(self, route: Route) -> Sent:
        choose = self._random
        version = choose.choice([route.oldest, route.version, route.version])
        sample = self._sample(route, version)
        headers = choose.choice(ODD_HEADERS) if choose.random() < 0.03 else {}
        token = choose.choice(TOKENS)
        path = self._path(route, version)
        return Sent(route.one.method, path, version, token, self._raw(sample), dict(headers))

    def _path(self, route: Route, version: str) -> str:
        other = {}
        if route.one.arguments and self._random.random() < 0.1:
            other = {self._random.choice(route.one.arguments): self._random.choice(ODD_PARTS)}
        path = route.path(self.things, **other)
        if route.one.query is None or self._random.random() < 0.7:
            return path
        names = [*route.query_names(version), 'no_such']
        pairs = [
            f'{self._random.choice(names)}={self._random.choice(QUERY_VALUES)}'
            for _ in range(self._random.randint(1, 4))
        ]
        return f'{path}?{"&".join(pairs)}'

    def _sample(self, route: Route, version: str) -> Any:
        if route.one.body is None:
            return None
        known = self._examples.get(route.key, [])
        if known and self._random.random() < 0.6:
            name = self._random.choice(known)
            body = samples.at(name, versions.parse(version))
            if body is not None:
                return compare.fill(body, self.things, {})
        return routes.bodies(self.things)[route.key]

    def _raw(self, sample: Any) -> bytes | None:
        if sample is None:
            return None
        kind = self._random.random()
        body = sample
        if kind < 0.85:
            for _ in range(self._random.choice([0, 1, 1, 1, 2, 3])):
                body = self._changed(body)
        raw = json.dumps(body).encode(errors='replace')
        return self._cut(raw) if kind > 0.93 else raw

    def _changed(self, body: Any) -> Any:
        paths = list(_paths(body))
        if not paths:
            return body
        where = self._random.choice(paths)
        if self._random.random() < 0.1:
            return mutate.put(body, (*where[:-1], 'no such'), 1) or body
        return mutate.put(body, where, self._value(body)) or body

    def _value(self, body: Any) -> Any:
        """Return something odd, or something that means something elsewhere."""
        kind = self._random.random()
        if kind < 0.6:
            return self._random.choice(WRONG)
        if kind < 0.8:
            return self._random.choice(list(routes.arguments(self.things).values()))
        if kind < 0.9:
            return ''.join(chr(self._random.randrange(1, 0x3000)) for _ in range(8))
        return body

    def _cut(self, raw: bytes) -> bytes:
        start = self._random.randrange(len(raw))
        piece = self._random.randbytes(self._random.randrange(8))
        return raw[:start] + piece + raw[start + self._random.randrange(10) :]


def _examples() -> dict[routes.Key, list[str]]:
    """Return the names of the published examples of each route's body, where they are."""
    shapes: dict[routes.Key, list[str]] = {}
    for one in samples.SAMPLES if reference.ROOT.exists() else ():
        if one.request != samples.NO_SAMPLE:
            method, path, action = one.key
            shapes.setdefault((method, reference.shape(path), action), []).append(one.request)
    return {
        route.key: shapes.get(
            (route.one.method, reference.shape(route.one.path), route.one.action), []
        )
        for route in routes.WITH_BODY
    }


def _paths(value: Any, path: mutate.Path = ()) -> Iterator[mutate.Path]:
    if path:
        yield path
    steps: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        steps = enumerate(value[:2])
    for step, inner in steps:
        yield from _paths(inner, (*path, step))
