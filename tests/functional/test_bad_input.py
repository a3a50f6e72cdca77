"""Bodies that are none, or not what is expected: a 400 that names what is wrong, and nothing has changed."""

import copy
import json
from typing import Any

from kilonova.api import schema
from kilonova.common import exception
from kilonova.tests.functional import mutate, routes
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.refusals import ask, check_fault, each
from kilonova.tests.functional.routes import Route, Things

CLOUD: dict[str, Any] = {}


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
