"""Routes that are gone say so, to those who may use the API."""

import csv
import re
from typing import Any

import pytest

from kilonova.api import operation, removed, versions
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.api import MEMBER, Api

GONE = [one for one in operation.REGISTRY if one.success == removed.STATUS]
IDS = [f'{one.method} {one.path} {one.action or ""}' for one in GONE]


def _call(api: Api, one: operation.Operation, **kwargs: Any) -> Any:
    path = one.path.format(**dict.fromkeys(one.arguments, 'x'))
    body = {one.action: None} if one.action else None
    return api.call(one.method, path, body, **kwargs)


@pytest.mark.parametrize('one', GONE, ids=IDS)
def test_gone_at_every_version(api: Api, one: operation.Operation) -> None:
    for version in ('2.1', '2.5', str(versions.MAX)):
        answer = _call(api, one, version=version, token=MEMBER)
        expected = ('computeFault', 'This resource is no longer available. No forwarding address '
                                    'is given.')  # fmt: skip
        if not one.serves(versions.parse(version)):
            expected = ('itemNotFound', 'The resource could not be found.')
        assert answer.fault == expected
        assert answer.headers['OpenStack-API-Version'] == f'compute {version}'


@pytest.mark.parametrize('one', GONE, ids=IDS)
def test_gone_only_for_callers_of_the_api(api: Api, one: operation.Operation) -> None:
    assert (_call(api, one, token=None).status, _call(api, one, token=None).body) == (204, b'')


def test_on_the_old_endpoint_too(api: Api) -> None:
    assert api.call('GET', '//v2/os-agents').status == 410
    assert api.call('GET', '//v2/admin/os-cells/capacities').status == 410


def test_words_beside_what_is_gone(api: Api) -> None:
    unknown = api.call('POST', '/os-networks/x/action', {'nonsense': None})
    assert unknown.fault == ('badRequest', 'There is no such action: nonsense')
    assert api.call('POST', '/os-networks/x/action', raw=b'{').status == 400
    assert api.call('PATCH', '/os-agents').status == 404


def test_all_that_nova_removed(api: Api) -> None:
    with reference.file('routes.csv').open(newline='') as content:
        rows = [row for row in csv.DictReader(content) if row['removed_release']]
    # A running Nova answers 400 here, whatever the table says.
    rows = [row for row in rows if row['action'] != 'os-getRDPConsole']
    published = {(row['method'], row['action'] or None) + _end(row) for row in rows}
    ours = {
        (
            one.method,
            one.action,
            _shape(one.path),
            '' if one.until == versions.MAX else str(one.until),
        )
        for one in GONE
    }
    assert ours == published


def _end(row: dict[str, str]) -> tuple[str, str]:
    return _shape(row['path']), row['max_version']


def _shape(path: str) -> str:
    return re.sub(r'{\w+}', '{}', path)
