"""Headers that no client sends: a 4xx, or as if they were not there."""

from typing import Any

import pytest

from kilonova.tests.functional import routes
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.refusals import check_fault
from kilonova.tests.functional.routes import CALLER, Things

CLOUD: dict[str, Any] = {}

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
