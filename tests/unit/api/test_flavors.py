"""Flavors, their access and their extra specs."""

from typing import Any

import pytest

from kilonova.tests.unit.api.api import ADMIN, MEMBER, Api

BODY: dict[str, Any] = {'name': 'm1', 'ram': 512, 'vcpus': 1, 'disk': 1, 'id': '1'}


@pytest.fixture(autouse=True)
def flavor(api: Api) -> None:
    assert api.call('POST', '/flavors', {'flavor': BODY}).status == 200
    private = {**BODY, 'id': '2', 'name': 'own', 'ram': '1024', 'os-flavor-access:is_public': False}
    assert api.call('POST', '/flavors', {'flavor': private}).status == 200


@pytest.mark.parametrize(
    'version, swap, more',
    [
        ('2.1', '', {'rxtx_factor': 1.0, 'OS-FLV-DISABLED:disabled': False}),
        ('2.55', '', {'rxtx_factor': 1.0, 'OS-FLV-DISABLED:disabled': False, 'description': None}),
        (
            '2.75',
            0,
            {
                'rxtx_factor': 1.0,
                'OS-FLV-DISABLED:disabled': False,
                'description': None,
                'extra_specs': {},
            },
        ),
        ('2.102', 0, {'description': None, 'extra_specs': {}}),
    ],
)
def test_show(api: Api, version: str, swap: Any, more: dict[str, Any]) -> None:
    assert api.get('/flavors/1', version=version, token=MEMBER)['flavor'] == {
        'id': '1',
        'name': 'm1',
        'ram': 512,
        'vcpus': 1,
        'disk': 1,
        'swap': swap,
        'OS-FLV-EXT-DATA:ephemeral': 0,
        'os-flavor-access:is_public': True,
        'links': [
            {'rel': 'self', 'href': 'http://localhost/v2.1/flavors/1'},
            {'rel': 'bookmark', 'href': 'http://localhost/flavors/1'},
        ],
        **more,
    }


def test_create_takes_all_fields_and_makes_an_id(api: Api) -> None:
    body = {
        **BODY,
        'id': None,
        'name': 'big',
        'swap': '8',
        'OS-FLV-EXT-DATA:ephemeral': 3,
        'rxtx_factor': '2.5',
        'description': 'a flavor',
    }
    made = api.call('POST', '/flavors', {'flavor': body}, version='2.55').json['flavor']
    assert len(made['id']) == 36
    assert (made['swap'], made['OS-FLV-EXT-DATA:ephemeral'], made['rxtx_factor']) == (8, 3, 2.5)
    assert made['description'] == 'a flavor'


def test_create_conflict(api: Api) -> None:
    answer = api.call('POST', '/flavors', {'flavor': BODY})
    assert answer.fault == ('conflictingRequest', 'Flavor with ID 1 already exists.')


@pytest.mark.parametrize(
    'field, value, since',
    [
        ('description', 'new in 2.55', '2.55'),
        ('rxtx_factor', 0, None),
        ('description', 'line\nbreak', None),
        ('id', ' x', None),
        ('name', ' x', None),
        ('swap', -1, None),
        ('ram', 2147483648, None),
    ],
)
def test_create_refuses(api: Api, field: str, value: Any, since: str | None) -> None:
    body = {'flavor': {**BODY, 'id': '9', 'name': 'other', field: value}}
    before = '2.54' if since else '2.101'
    assert api.call('POST', '/flavors', body, version=before).status == 400
    if since:
        assert api.call('POST', '/flavors', body, version=since).status == 200


def test_lists(api: Api) -> None:
    assert [one['id'] for one in api.get('/flavors', token=MEMBER)['flavors']] == ['1']
    assert 'ram' not in api.get('/flavors')['flavors'][0]
    detail = api.get('/flavors/detail?is_public=None')['flavors']
    assert [one['ram'] for one in detail] == [512, 1024]
    assert [one['id'] for one in api.get('/flavors?is_public=no')['flavors']] == ['2']
    # Only an administrator may ask for other projects' flavors.
    assert len(api.get('/flavors?is_public=None', token=MEMBER)['flavors']) == 1
    assert api.get('/flavors?minRam=513')['flavors'] == []
    assert api.get('/flavors?name=m1', version='2.102')['flavors'][0]['id'] == '1'


@pytest.mark.parametrize('query', ['minRam=x', 'minDisk=x', 'is_public=perhaps', 'sort_key=color'])
def test_bad_filters(api: Api, query: str) -> None:
    assert api.call('GET', f'/flavors?{query}').fault[0] == 'badRequest'


def test_pages(api: Api) -> None:
    page = api.get('/flavors/detail?is_public=None&limit=1&sort_dir=desc')
    assert [one['id'] for one in page['flavors']] == ['2']
    assert page['flavors_links'] == [
        {
            'rel': 'next',
            'href': 'http://localhost/v2.1/flavors/detail'
            '?is_public=None&limit=1&sort_dir=desc&marker=2',
        }
    ]
    page = api.get('/flavors/detail?is_public=None&limit=1&sort_dir=desc&marker=2')
    assert [one['id'] for one in page['flavors']] == ['1']
    assert api.call('GET', '/flavors?marker=nope').fault[0] == 'badRequest'


def test_update_description(api: Api) -> None:
    body = {'flavor': {'description': 'new'}}
    answer = api.call('PUT', '/flavors/1', body, version='2.55')
    assert answer.json['flavor']['description'] == 'new'
    body = {'flavor': {'description': 'new', 'name': 'x'}}
    assert api.call('PUT', '/flavors/1', body, version='2.55').status == 400


def test_delete(api: Api) -> None:
    answer = api.call('DELETE', '/flavors/1')
    assert (answer.status, answer.body) == (202, b'')
    assert api.call('DELETE', '/flavors/1').fault == (
        'itemNotFound',
        'Flavor 1 could not be found.',
    )


def test_access(api: Api) -> None:
    assert api.call('GET', '/flavors/2', token=MEMBER).status == 404
    answer = api.call('POST', '/flavors/2/action', {'addTenantAccess': {'tenant': 'demo'}})
    assert answer.json == {'flavor_access': [{'flavor_id': '2', 'tenant_id': 'demo'}]}
    assert api.call('GET', '/flavors/2', token=MEMBER).status == 200
    assert len(api.get('/flavors/2/os-flavor-access')['flavor_access']) == 1
    again = api.call('POST', '/flavors/2/action', {'addTenantAccess': {'tenant': 'demo'}})
    assert again.status == 409
    gone = {'removeTenantAccess': {'tenant': 'demo'}}
    assert api.call('POST', '/flavors/2/action', gone).json == {'flavor_access': []}
    assert api.call('POST', '/flavors/2/action', gone).status == 404
    assert api.call('GET', '/flavors/1/os-flavor-access').status == 404


def test_extra_specs(api: Api) -> None:
    base = '/flavors/1/os-extra_specs'
    body = {'extra_specs': {'hw:cpu_policy': 'dedicated', 'own': 5}}
    assert api.call('POST', base, body).json == {
        'extra_specs': {'hw:cpu_policy': 'dedicated', 'own': '5'}
    }
    assert api.get(base, token=MEMBER)['extra_specs']['own'] == '5'
    assert api.get(f'{base}/own', token=MEMBER) == {'own': '5'}
    assert api.call('PUT', f'{base}/own', {'own': '6'}).json == {'own': '6'}
    assert (
        api.call('PUT', f'{base}/own', {'other': '6'}).fault[1] == 'Request body and URI mismatch'
    )
    assert api.call('PUT', f'{base}/own', {}).status == 400
    assert api.call('DELETE', f'{base}/own').status == 200
    assert api.call('DELETE', f'{base}/own').status == 404
    assert api.call('GET', f'{base}/own').status == 404


@pytest.mark.parametrize('specs', [{'hw:cpu_policy': 'odd'}, {'hw:colour': 'red'}])
def test_extra_specs_are_checked_from_2_86(api: Api, specs: dict[str, str]) -> None:
    body = {'extra_specs': specs}
    assert api.call('POST', '/flavors/1/os-extra_specs', body, version='2.85').status == 200
    answer = api.call('POST', '/flavors/1/os-extra_specs', body, version='2.86')
    assert next(iter(specs)) in answer.fault[1]


@pytest.mark.parametrize(
    'method, path, body, member',
    [
        ('GET', '/flavors', None, 200),
        ('GET', '/flavors/detail', None, 200),
        ('GET', '/flavors/1', None, 200),
        ('GET', '/flavors/1/os-extra_specs', None, 200),
        ('POST', '/flavors', {'flavor': {**BODY, 'id': '3'}}, 403),
        ('DELETE', '/flavors/1', None, 403),
        ('PUT', '/flavors/1', {'flavor': {'description': 'x'}}, 403),
        ('GET', '/flavors/2/os-flavor-access', None, 403),
        ('POST', '/flavors/2/action', {'addTenantAccess': {'tenant': 'x'}}, 403),
        ('POST', '/flavors/1/os-extra_specs', {'extra_specs': {'a': 'b'}}, 403),
        ('DELETE', '/flavors/1/os-extra_specs/a', None, 403),
    ],
)
def test_roles(api: Api, method: str, path: str, body: Any, member: int) -> None:
    assert api.call(method, path, body, version='2.80', token=MEMBER).status == member
    assert api.call(method, path, body, version='2.80', token=ADMIN).status != 403
