"""Ids that nothing has, odd paths and methods: nothing is there, and nothing has changed."""

from typing import Any

import pytest

from kilonova.api import operation
from kilonova.tests.functional import routes
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.refusals import ask, check_fault, each
from kilonova.tests.functional.routes import CALLER, NOBODY, Route, Things

CLOUD: dict[str, Any] = {}

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
