"""Whatever a client sends: a 4xx that names what is wrong, and nothing has changed."""

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.api import operation, schema
from kilonova.common import exception
from kilonova.tests.functional import mutate, routes, snapshot
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.routes import CALLER, NOBODY, Route, Things

CLOUD: dict[str, Any] = {}
# A request that takes longer than this hangs, whatever the machine has to do beside it.
SLOW = 8.0


@pytest.fixture(scope='module')
def things(cloud: Cloud) -> Things:
    return Things.make(cloud)


@pytest.fixture
def unchanged(cloud: Cloud, things: Things) -> Iterator[None]:
    """See that a test's requests change nothing."""
    before = snapshot.settled(cloud)
    yield
    assert snapshot.changed(before, snapshot.take(cloud)) == {}


def ask(cloud: Cloud, route: Route, path: str, **kwargs: Any) -> Answer:
    """Send a request; whatever comes of it, it is quick and no defect of ours."""
    started = time.monotonic()
    kwargs = {'token': CALLER, 'version': route.version, **kwargs}
    answer = cloud.call(route.one.method, path, **kwargs)
    assert time.monotonic() - started < SLOW, (route, path, kwargs)
    assert answer.status < 500, (str(route), path, str(kwargs)[:2000], answer.text[:1000])
    return answer


NAMES = {400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound', 405: 'badMethod',
         406: 'computeFault', 409: 'conflictingRequest', 413: 'overLimit', 415: 'badMediaType'}  # fmt: skip


def check_fault(answer: Answer, *statuses: int) -> str:
    """See that an answer is a fault as Nova makes them; returns the message."""
    assert answer.status in statuses, answer.text
    assert answer.headers['Content-Type'] == 'application/json; charset=UTF-8'
    assert answer.headers['x-openstack-request-id'].startswith('req-')
    assert answer.headers['x-compute-request-id'] == answer.headers['x-openstack-request-id']
    ((name, content),) = answer.json.items()
    assert (name, content['code']) == (NAMES[answer.status], answer.status)
    message = content['message']
    assert message and isinstance(message, str)
    assert 'Traceback' not in message and 'sqlite' not in message.lower()
    return str(message)


def each(found: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize('route', found, ids=str)


def test_every_operation_has_a_sample(things: Things) -> None:
    assert {route.key for route in routes.WITH_BODY} == set(routes.bodies(things))


# -- bodies that are no JSON object

_DEEP = 10_000
MALFORMED = {
    'nothing': b'',
    'space': b' ',
    'word': b'hello',
    'cut': b'{"server": {"name": "x"',
    'list': b'[]',
    'null': b'null',
    'number': b'1',
    'string': b'"x"',
    'true': b'true',
    'two': b'{} {}',
    'comma': b'{"a": 1,}',
    'single quotes': b"{'a': 1}",
    'comment': b'{} // x',
    'NaN': b'{"a": NaN}',
    'infinity': b'{"a": Infinity}',
    'byte order mark': b'\xef\xbb\xbf{',
    'utf-16': '{"a": 1}'.encode('utf-16'),
    'latin-1': b'{"a": "\xe9"}',
    'half a character': b'{"a": "\xf0\x9f"}',
    'surrogate as utf-8': b'{"a": "\xed\xa0\x80"}',
    'lone surrogate': b'{"a": "\\ud800"}',
    'lone low surrogate': b'{"\\udc00": 1}',
    'null character': b'{"a\\u0000": 1}',
    'raw null character': b'{"a\x00": 1}',
    'null character inside': b'{"a": [{"b": "\\u0000"}]}',
    'control character': b'{"a": "\x01"}',
    'deep lists': b'[' * _DEEP + b']' * _DEEP,
    'deep objects': b'{"a":' * _DEEP + b'1' + b'}' * _DEEP,
    'deep and open': b'{"a":[' * _DEEP,
    'huge exponent': b'{"a": 1e400}',
    'many digits': b'{"a": ' + b'9' * 10000 + b'}',
}


@each(routes.WITH_BODY)
def test_malformed_bodies(cloud: Cloud, things: Things, route: Route, unchanged: None) -> None:
    for name, raw in MALFORMED.items():
        if not raw and route.one.body is not None and route.one.body.is_optional:
            continue
        message = check_fault(ask(cloud, route, route.path(things), raw=raw), 400)
        assert message, name


@each(routes.WITH_BODY)
def test_bodies_around_the_object(
    cloud: Cloud, things: Things, route: Route, unchanged: None
) -> None:
    """Nothing, something else or something more where the object is expected."""
    sample = routes.bodies(things)[route.key]
    (key, inner), *_ = sample.items()
    wrong = [{}, {'nonsense': inner}, {**sample, 'nonsense': 1}, {'': inner}]
    if isinstance(inner, dict):
        wrong += [{**sample, key: value} for value in ([], 'x', 1, True, [inner], mutate.DEEP)]
    whole = route.body_schema(route.version)
    for body in wrong:
        # A few old schemas let anything through beside what they know.
        if not _accepts(whole, body):
            check_fault(ask(cloud, route, route.path(things), body=body), 400)
    part = whole.get('properties', {}).get(key, {})
    if part.get('additionalProperties') is False and 'properties' in part:
        message = check_fault(
            ask(
                cloud,
                route,
                route.path(things),
                body={**sample, key: {**(inner or {}), 'no such': 1}},
            ),
            400,
        )
        assert 'no such' in message


def _accepts(declared: dict[str, Any], body: Any) -> bool:
    try:
        schema.Validator(declared).check_body(copy.deepcopy(body))
    except exception.Invalid:
        return False
    return True


@each(routes.WITH_BODY)
def test_media_types(cloud: Cloud, things: Things, route: Route, unchanged: None) -> None:
    sample = routes.bodies(things)[route.key]
    for kind in ('application/xml', 'text/html', 'multipart/form-data', 'x', '/', 'é',
                 'application/x-www-form-urlencoded', 'application/json-patch+json'):  # fmt: skip
        answer = ask(cloud, route, route.path(things), body=sample, headers={'Content-Type': kind})
        check_fault(answer, 415)


@each(routes.WITH_BODY)
def test_body_over_the_limit(cloud: Cloud, things: Things, route: Route, unchanged: None) -> None:
    limit = cloud.conf.oslo_middleware.max_request_body_size
    raw = json.dumps(routes.bodies(things)[route.key]).encode()
    check_fault(ask(cloud, route, route.path(things), raw=raw + b' ' * (limit + 1)), 413)
    check_fault(ask(cloud, route, route.path(things), raw=b'x' * limit), 400)


# -- wrong values

# Any value does for these; what they do is the same with each.
_NO_FIELDS = ('os-start', 'os-stop', 'forceDelete')
CREATE = ('POST', '/servers', None)
# What /os-volumes_boot does is what /servers does.
FIELDS = [
    route
    for route in routes.WITH_BODY
    if route.one.action not in _NO_FIELDS and not route.one.path.startswith('/os-volumes_boot')
]


@each([route for route in FIELDS if route.key != CREATE])
@pytest.mark.parametrize('newest', [True, False], ids=['newest', 'oldest'])
def test_wrong_values(cloud: Cloud, things: Things, route: Route, newest: bool) -> None:
    """Every field of every body with values of every type and of every absurd size."""
    before = snapshot.settled(cloud)
    for what, answer in _with_wrong_values(cloud, things, route, newest):
        if answer.status < 400:
            _undo(cloud, things, answer)
            before = snapshot.settled(cloud)
        elif route.one.action == 'os-migrateLive' and not newest:
            # What the hosts find is the answer up to 2.33, of a request that was accepted.
            before = snapshot.settled(cloud)
        else:
            assert snapshot.changed(before, snapshot.take(cloud)) == {}, what


@pytest.mark.parametrize('newest', [True, False], ids=['newest', 'oldest'])
def test_wrong_values_of_new_servers(cloud: Cloud, things: Things, newest: bool) -> None:
    """The quota refuses what would be accepted; of these, one a field is made after all."""
    (route,) = (one for one in routes.WITH_BODY if one.key == CREATE)
    known = {one['id'] for one in cloud.get('/servers', token=CALLER)['servers']}
    _set_quota(cloud, 1)
    before = snapshot.settled(cloud)
    sound: dict[Any, Any] = {}
    for what, answer in _with_wrong_values(cloud, things, route, newest):
        assert answer.status >= 400
        if answer.status == 403 and 'Quota exceeded for' in answer.text:
            sound[what[0]] = what[2]
    assert snapshot.changed(before, snapshot.take(cloud)) == {}
    assert len(sound) > 10
    _set_quota(cloud, -1)
    version = route.version if newest else route.oldest
    for body in sound.values():
        ask(cloud, route, '/servers', body=body, version=version)
    snapshot.settled(cloud)
    for server in cloud.get('/servers', token=CALLER)['servers']:
        if server['id'] not in known:
            assert cloud.admin('DELETE', f'/servers/{server["id"]}').status == 204
    after = snapshot.settled(cloud)
    for name in ('allocations', 'ports'):
        assert after[name] == before[name]
    cloud.admin('DELETE', '/os-quota-sets/demo')


def _set_quota(cloud: Cloud, limit: int) -> None:
    quota = {'instances': limit, 'cores': limit, 'ram': -1, 'force': True}
    assert cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': quota}).status == 200


def _with_wrong_values(
    cloud: Cloud, things: Things, route: Route, newest: bool
) -> Iterator[tuple[Any, Answer]]:
    version = route.version if newest else route.oldest
    schema = route.body_schema(version)
    sample = mutate.fitting(schema, routes.bodies(things)[route.key])
    for path, value, body, wrong in mutate.mutations(schema, sample):
        answer = ask(cloud, route, route.path(things), body=body, version=version)
        if wrong or answer.status >= 400:
            message = check_fault(answer, 400, *(() if wrong else (403, 404, 409)))
        if wrong:
            names = [step for step in path if isinstance(step, str)]
            assert any(name in message for name in names), (path, value, message)
        yield (path, value, body), answer


def _undo(cloud: Cloud, things: Things, answer: Answer) -> None:
    """Remove what an accepted request has made."""
    made = answer.json if answer.text else {}
    if 'id' in made.get('server', {}) and made['server']['id'] != things.server:
        cloud.admin('DELETE', f'/servers/{made["server"]["id"]}')
        cloud.wait_gone(made['server']['id'])
    elif 'reservation_id' in made:
        path = f'/servers?reservation_id={made["reservation_id"]}&all_tenants=1'
        for one in cloud.get(path, token=CALLER)['servers']:
            cloud.admin('DELETE', f'/servers/{one["id"]}')
            cloud.wait_gone(one['id'])
    elif 'flavor' in made and made['flavor']['id'] != things.flavor:
        cloud.admin('DELETE', f'/flavors/{made["flavor"]["id"]}')
    elif 'keypair' in made:
        owner, name = made['keypair']['user_id'], made['keypair']['name']
        cloud.call('DELETE', f'/os-keypairs/{name}?user_id={owner}', token=CALLER)
    elif 'quota_set' in made:
        cloud.admin('DELETE', '/os-quota-sets/demo')


@pytest.mark.parametrize('depth', [100, 300, 500, 800, 950, 990, 999, 1000, 1010, 2000, 5000])
def test_depth_where_anything_goes(cloud: Cloud, things: Things, depth: int) -> None:
    """Scheduler hints may hold what they like; it is read, checked, sent and stored."""
    (route,) = (one for one in routes.WITH_BODY if one.key == CREATE)
    for opening, closing in ((b'[', b']'), (b'{"x":', b'}')):
        raw = (
            b'{"server": ' + json.dumps(routes.server_body(things)['server']).encode()
            + b', "os:scheduler_hints": {"mine": ' + opening * depth + b'1' + closing * depth + b'}}'
        )  # fmt: skip
        answer = ask(cloud, route, '/servers', raw=raw)
        assert answer.status in (202, 400)
        if answer.status == 202:
            shown = cloud.get(f'/servers/{answer.json["server"]["id"]}', version='2.104')
            assert shown['server']['status'] in ('BUILD', 'ACTIVE')
            _undo(cloud, things, answer)


def test_duplicate_keys_count_once(cloud: Cloud, things: Things) -> None:
    """The last one counts, as with Nova; what was checked is what is done."""
    path = f'/servers/{things.server}/metadata'
    raw = b'{"metadata": {"evil": "' + b'x' * 300 + b'"}, "metadata": {"known": "1"}}'
    answer = cloud.call('POST', path, raw=raw, token=CALLER)
    assert answer.status == 200
    assert answer.json['metadata']['known'] == '1'
    assert 'evil' not in answer.json['metadata']


# -- paths


# Names that a request may choose: whatever is asked for, there may be one.
FREE = ('project_id', 'name', 'tag', 'pattern')
_NOTHING = (
    NOBODY, '0', '-1', '999999999999999999999', '%20', "' OR 1=1 --", '%0a', '1e9', '%D9%A3',
    NOBODY + 'x', NOBODY.upper(), '%F0%9F%98%80', '*', '%25', '{}', '[', '(a%2B)%2B$', '%u0041',
)  # fmt: skip
_NEVER = ('%00', 'a%00b', '%ff', '%ed%a0%80', 'x' * 300, '%C3%A9' * 300)


@each([route for route in routes.ROUTES if '{' in route.one.path])
def test_ids_that_nothing_has(cloud: Cloud, things: Things, route: Route, unchanged: None) -> None:
    sample = routes.bodies(things).get(route.key)
    for name in route.one.arguments:
        for value in _NOTHING:
            if name in FREE and route.one.method == 'PUT':
                continue
            answer = ask(cloud, route, route.path(things, **{name: value}), body=sample)
            if name not in FREE or answer.status >= 400:
                # A server that does not migrate is refused before its migrations are looked at.
                check_fault(answer, 400, 404, *([409] if name == 'migration_id' else []))


@each([route for route in routes.ROUTES if '{' in route.one.path])
def test_ids_that_nothing_can_have(
    cloud: Cloud, things: Things, route: Route, unchanged: None
) -> None:
    """Bytes that are no text, and more text than any column takes."""
    sample = routes.bodies(things).get(route.key)
    for name in route.one.arguments:
        for value in _NEVER:
            answer = ask(cloud, route, route.path(things, **{name: value}), body=sample)
            if route.one.method != 'GET' or answer.status >= 400:
                check_fault(answer, 400, 404)


@pytest.mark.parametrize('path', ['/%', '/%z', '/%zz', '/.', '/..', '/%2e%2e/%2e%2e/etc/passwd',
                                  '/nothing', '/servers/x/y/z', '/%73ervers', '/servers//detail',
                                  '/servers/detail/', '/servers%2Fdetail', '/' + 'x/' * 5000,
                                  '/\x7f', '/servers;x=1'])  # fmt: skip
def test_odd_paths(cloud: Cloud, path: str, unchanged: None) -> None:
    for method in ('GET', 'POST', 'PUT', 'DELETE'):
        answer = cloud.call(method, '//v2.1' + path, token=CALLER, body={})
        assert answer.status < 500
        if method != 'GET':
            check_fault(answer, 400, 404, 405)


PATHS = sorted({route.one.path for route in routes.ROUTES})


@pytest.mark.parametrize('path', PATHS)
def test_wrong_methods(cloud: Cloud, things: Things, path: str, unchanged: None) -> None:
    """As with Nova there is nothing (404, not 405), for HEAD either."""
    here = {one.method for one in operation.REGISTRY if one.path == path}
    url = path.format(**routes.arguments(things))
    for method in ('PATCH', 'TRACE', 'CONNECT', 'get', 'FOO', 'PUT', 'POST', 'DELETE', 'GET'):
        if method in here or (path, method) in _SHARED:
            continue
        for project in ('', '/demo'):
            answer = cloud.call(method, project + url, token=CALLER, version='2.52')
            check_fault(answer, 404)
    head = cloud.call('HEAD', url, token=CALLER, version='2.52')
    assert (head.status, head.text) == (404, '')
    assert head.headers['x-openstack-request-id']
    for token in (CALLER, None):
        asked = cloud.call('OPTIONS', url, token=token, version='2.52')
        assert (asked.status, asked.text) == (200, '')


# One path with two names of its variable part.
_SHARED = {
    (path, other.method)
    for path in PATHS
    for other in operation.REGISTRY
    if path.partition('{')[0] == other.path.partition('{')[0]
    and path.partition('}')[2] == other.path.partition('}')[2]
}


# -- headers

_HEADERS: list[dict[str, str]] = [
    {'X-OpenStack-Nova-API-Version': value}
    for value in ('', 'x', '2', '2.', '.1', '2.1.1', '2.01', '-2.1', '2.-1', '2.1 2.2', '٢.١',
                  '2.' + '9' * 5000, '9' * 5000 + '.1', '2.1\u00e9', 'Latest', '0.0', '2.1e1')
] + [
    {'OpenStack-API-Version': value}
    for value in ('compute', 'compute 2', 'compute x', 'compute 2.1,compute 99.1', 'compute ' * 500,
                  ',' * 5000, 'compute 2.1.1', 'compute latest latest', 'compute -2.1', 'é é')
] + [
    {'Accept': 'application/xml'}, {'Accept': '\u00e9'}, {'Accept-Language': 'x' * 9000},
    {'Accept-Encoding': 'gzip;q=\u00e9'}, {'X-Openstack-Request-Id': '\u00e9'},
    {'X-Openstack-Request-Id': 'req-' + 'x' * 9000}, {'X-Service-Token': '\u00e9'},
    {'X-Forwarded-For': '\u00e9'}, {'X-Forwarded-Proto': 'x' * 999}, {'Forwarded': ';=,"'},
    {'Host': ''}, {'Host': '[::1'}, {'Host': 'a b'}, {'Host': 'x:y'}, {'Range': 'bytes=-'},
    {'If-None-Match': '"'}, {'If-Modified-Since': 'never'}, {'Expect': 'miracles'},
    {'Cookie': '=;=\u00e9'}, {'Authorization': '\u00e9'}, {'Origin': '\u00e9'},
    {'Transfer-Encoding': 'chunked, x'}, {'Content-Encoding': 'gzip'},
]  # fmt: skip


@pytest.mark.parametrize('number', range(len(_HEADERS)))
def test_odd_headers(cloud: Cloud, things: Things, number: int, unchanged: None) -> None:
    headers = _latin(_HEADERS[number])
    for path in ('/servers/detail', f'/servers/{things.server}', '/nothing'):
        answer = cloud.call('GET', path, token=CALLER, version=None, headers=headers)
        assert answer.status < 500, answer.text
        if answer.status >= 400:
            check_fault(answer, 400, 404, 406)
        assert 'Vary' in answer.headers


def _latin(headers: dict[str, str]) -> dict[str, str]:
    """Return headers as a server hands them on: bytes as characters."""
    return {name: value.encode().decode('latin-1') for name, value in headers.items()}


@pytest.mark.parametrize('length', ['-1', 'x', '1e9', '٣', '9' * 5000, ' ', '0x10', '1.5'])
def test_odd_content_lengths(cloud: Cloud, things: Things, length: str, unchanged: None) -> None:
    headers = _latin({'Content-Length': length})
    answer = cloud.call(
        'POST', '/flavors', routes.bodies(things)['POST', '/flavors', None],
        token=CALLER, headers=headers,
    )  # fmt: skip
    check_fault(answer, 400, 413)


@pytest.mark.parametrize('token', ['', ':', 'é', ':demo', 'x' * 9000, 'a:b:c', '%00', '\t'])
def test_odd_tokens(cloud: Cloud, token: str, unchanged: None) -> None:
    answer = cloud.call('GET', '/servers', token=None, headers=_latin({'X-Auth-Token': token}))
    assert answer.status < 500
