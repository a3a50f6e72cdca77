"""Quota sets, quota classes, limits; external events and extensions."""

from typing import Any

import pytest

from kilonova.api import quota_fields
from kilonova.api.versions import parse
from kilonova.tests.unit.api.api import MEMBER, Api
from kilonova.tests.unit.api.fake_conductor import DOWN_SERVER, SERVER

NOBODY = '33333333-3333-3333-3333-333333333333'


@pytest.mark.parametrize('version', ['2.1', '2.35', '2.36', '2.56', '2.57'])
def test_quota_set_fields(api: Api, version: str) -> None:
    fields = set(quota_fields.of_sets(parse(version)))
    shown = api.get('/os-quota-sets/demo', version=version, token=MEMBER)['quota_set']
    assert shown.keys() == fields | {'id'}
    assert shown['cores'] == 20
    detail = api.get('/os-quota-sets/demo/detail', version=version, token=MEMBER)['quota_set']
    assert detail['instances'] == {'limit': 10, 'in_use': 3, 'reserved': 0}
    assert detail.keys() == fields | {'id'}
    if version == '2.1':
        assert shown['floating_ips'] == -1


def test_quota_update(api: Api) -> None:
    body = {'quota_set': {'cores': '45', 'floating_ips': 3}}
    changed = api.call('PUT', '/os-quota-sets/demo', body).json['quota_set']
    assert (changed['cores'], changed['floating_ips'], changed['fixed_ips']) == (45, 3, -1)
    assert 'id' not in changed
    assert api.get('/os-quota-sets/demo')['quota_set']['cores'] == 45
    assert api.get('/os-quota-sets/demo/defaults')['quota_set']['cores'] == 20
    api.call('PUT', '/os-quota-sets/demo?user_id=u', {'quota_set': {'cores': 5}})
    assert api.get('/os-quota-sets/demo?user_id=u')['quota_set']['cores'] == 5
    assert api.call('DELETE', '/os-quota-sets/demo').status == 202
    assert api.get('/os-quota-sets/demo')['quota_set']['cores'] == 20


def test_quota_below_usage_needs_force(api: Api) -> None:
    assert api.call('PUT', '/os-quota-sets/demo', {'quota_set': {'instances': 1}}).status == 400
    body = {'quota_set': {'instances': 1, 'force': 'True'}}
    assert api.call('PUT', '/os-quota-sets/demo', body).status == 200
    assert api.conductor.forced == [False, True]


@pytest.mark.parametrize(
    'fields, version, status',
    [
        ({'floating_ips': 1}, '2.36', 400),
        ({'injected_files': 1}, '2.56', 200),
        ({'injected_files': 1}, '2.57', 400),
        ({'cores': -2}, '2.57', 400),
        ({'cores': 2147483648}, '2.57', 400),
        ({'cores': 'x'}, '2.57', 400),
        ({'cores': 1.5}, '2.57', 400),
        ({}, '2.57', 200),
    ],
)
def test_quota_update_checks(api: Api, fields: Any, version: str, status: int) -> None:
    body = {'quota_set': fields}
    assert api.call('PUT', '/os-quota-sets/demo', body, version=version).status == status


@pytest.mark.parametrize(
    'method, path, member, other',
    [
        ('GET', '/os-quota-sets/demo', 200, 403),
        ('GET', '/os-quota-sets/demo/detail', 200, 403),
        ('GET', '/os-quota-sets/demo/defaults', 200, 200),
        ('DELETE', '/os-quota-sets/demo', 403, 403),
        ('GET', '/os-quota-class-sets/default', 403, 403),
        ('GET', '/limits?tenant_id=demo', 200, 403),
        ('GET', '/limits', 200, 200),
    ],
)
def test_quota_roles(api: Api, method: str, path: str, member: int, other: int) -> None:
    assert api.call(method, path, token=MEMBER).status == member
    assert api.call(method, path, token='x:other').status == other
    assert api.call(method, path).status < 300


@pytest.mark.parametrize('version', ['2.1', '2.49', '2.50', '2.57'])
def test_quota_class(api: Api, version: str) -> None:
    fields = set(quota_fields.of_classes(parse(version)))
    shown = api.get('/os-quota-class-sets/default', version=version)['quota_class_set']
    assert shown.keys() == fields | {'id'}
    body = {'quota_class_set': {'cores': 50}}
    changed = api.call('PUT', '/os-quota-class-sets/default', body, version=version)
    assert changed.json['quota_class_set'].keys() == fields
    assert api.conductor.default['cores'] == 50


def test_limits(api: Api) -> None:
    oldest = api.get('/limits', token=MEMBER)['limits']
    assert oldest['rate'] == []
    assert oldest['absolute']['maxTotalInstances'] == 10
    assert oldest['absolute']['totalInstancesUsed'] == 3
    assert oldest['absolute']['maxTotalFloatingIps'] == -1
    for version, gone in (
        ('2.36', 'maxTotalFloatingIps'),
        ('2.39', 'maxImageMeta'),
        ('2.57', 'maxPersonality'),
    ):
        assert gone in oldest['absolute']
        assert gone not in api.get('/limits', version=version, token=MEMBER)['limits']['absolute']


def _event(server: str, name: str = 'network-changed', **more: str) -> dict[str, str]:
    return {'name': name, 'server_uuid': server, **more}


def test_events(api: Api) -> None:
    events = [_event(SERVER, tag='port'), _event(NOBODY), _event(DOWN_SERVER, status='failed')]
    answer = api.call('POST', '/os-server-external-events', {'events': events})
    assert answer.status == 207
    assert answer.json['events'] == [
        {**events[0], 'status': 'completed', 'code': 200},
        {**events[1], 'status': 'completed', 'code': 404},
        {**events[2], 'code': 422},
    ]
    assert [(one.server_uuid, one.tag) for one in api.conductor.events][0] == (SERVER, 'port')
    answer = api.call('POST', '/os-server-external-events', {'events': events[:1]})
    assert answer.status == 200


def test_event_without_its_volume(api: Api) -> None:
    events = [_event(SERVER, 'volume-extended')]
    answer = api.call('POST', '/os-server-external-events', {'events': events}, version='2.51')
    assert (answer.status, answer.json['events'][0]['code']) == (207, 400)
    assert api.conductor.events == []


@pytest.mark.parametrize(
    'name, since',
    [
        ('volume-extended', '2.51'),
        ('power-update', '2.76'),
        ('accelerator-request-bound', '2.82'),
        ('volume-reimaged', '2.93'),
    ],
)
def test_event_names_by_version(api: Api, name: str, since: str) -> None:
    body = {'events': [_event(SERVER, name, tag='x')]}
    before = f'2.{int(since[2:]) - 1}'
    path = '/os-server-external-events'
    assert api.call('POST', path, body, version=before).status == 400
    assert api.call('POST', path, body, version=since).status == 200
    assert api.call('POST', path, body, version=since, token=MEMBER).status == 403


@pytest.mark.parametrize(
    'body', [{'events': []}, {'events': [{}]}, {'events': [_event('x')]}, {'events': {}}]
)
def test_bad_events(api: Api, body: Any) -> None:
    assert api.call('POST', '/os-server-external-events', body).status == 400


def test_extensions(api: Api) -> None:
    found = api.get('/extensions', token=MEMBER)['extensions']
    assert {'os-keypairs', 'os-quota-sets'} <= {one['alias'] for one in found}
    assert api.get('/extensions/os-keypairs')['extension']['name'] == 'Keypairs'
    assert api.call('GET', '/extensions/nope').status == 404
