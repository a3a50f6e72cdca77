"""Availability zones, aggregates, services, hypervisors."""

import uuid
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.tests.unit.api.api import MEMBER, Api

UP, DISABLED = str(uuid.UUID(int=2)), str(uuid.UUID(int=3))
NODE = str(uuid.UUID(int=101))
NOBODY = str(uuid.UUID(int=999))


# -- availability zones


def test_zones(api: Api) -> None:
    assert api.get('/os-availability-zone', token=MEMBER)['availabilityZoneInfo'] == [
        {'zoneName': 'nova', 'zoneState': {'available': True}, 'hosts': None},
        {'zoneName': 'north', 'zoneState': {'available': False}, 'hosts': None},
    ]


def test_zone_details(api: Api) -> None:
    zones = api.get('/os-availability-zone/detail')['availabilityZoneInfo']
    assert [zone['zoneName'] for zone in zones] == ['internal', 'nova', 'north']
    assert zones[1]['hosts'] == {
        'host1': {
            'nova-compute': {
                'active': True,
                'available': True,
                'updated_at': '2026-01-02T03:04:05.000678',
            }
        }
    }
    assert zones[2]['hosts'] is None


# -- aggregates


def test_aggregate_ids_are_numbers(api: Api) -> None:
    assert api.call('GET', '/os-aggregates/one').status == 400
    assert api.call('GET', '/os-aggregates/-1').status == 404


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('ram_weight_multiplier', 'much'),
        ('cpu_weight_multiplier', 'nan'),
        ('max_instances_per_host', '2,9'),
        ('max_io_ops_per_host', ''),
    ],
)
def test_aggregate_metadata_that_is_to_be_a_number(api: Api, key: str, value: str) -> None:
    api.call('POST', '/os-aggregates', {'aggregate': {'name': 'fast'}})
    change: dict[str, Any] = {'set_metadata': {'metadata': {key: value}}}
    answer = api.call('POST', '/os-aggregates/1/action', change)
    assert answer.status == 400
    assert f"Aggregate metadata {key}: '{value}' is not a number." in answer.fault[1]
    change['set_metadata']['metadata'] = {key: '-1.5', 'other': value}
    answer = api.call('POST', '/os-aggregates/1/action', change)
    assert answer.json['aggregate']['metadata'] == {key: '-1.5', 'other': value}


def test_aggregate_life(api: Api) -> None:
    body = {'aggregate': {'name': 'fast', 'availability_zone': 'east'}}
    made = api.call('POST', '/os-aggregates', body, version='2.41').json['aggregate']
    assert made.keys() == {
        'id', 'uuid', 'name', 'availability_zone', 'created_at', 'updated_at', 'deleted',
        'deleted_at',
    }  # fmt: skip
    answer = api.call('POST', '/os-aggregates/1/action', {'add_host': {'host': 'host1'}})
    assert answer.json['aggregate']['hosts'] == ['host1']
    assert 'uuid' not in answer.json['aggregate']
    change = {'set_metadata': {'metadata': {'ssd': 'true', 'availability_zone': None}}}
    answer = api.call('POST', '/os-aggregates/1/action', change)
    assert answer.json['aggregate']['metadata'] == {'ssd': 'true'}
    assert answer.json['aggregate']['availability_zone'] is None
    renamed = api.call('PUT', '/os-aggregates/1', {'aggregate': {'name': ' quick '}})
    assert renamed.json['aggregate']['name'] == 'quick'
    assert api.call('DELETE', '/os-aggregates/1').fault[0] == 'badRequest'
    api.call('POST', '/os-aggregates/1/action', {'remove_host': {'host': 'host1'}})
    assert api.call('DELETE', '/os-aggregates/1').status == 200
    assert api.get('/os-aggregates') == {'aggregates': []}


@pytest.mark.parametrize(
    'method, path, body, status',
    [
        ('POST', '', {'aggregate': {'name': 'fast'}}, 409),
        ('POST', '', {'aggregate': {'name': 'x', 'availability_zone': 'a:b'}}, 400),
        ('POST', '', {'aggregate': {'name': ''}}, 400),
        ('GET', '/x', None, 400),
        ('GET', '/%C2%B2', None, 400),
        ('GET', '/99999999999999999999', None, 404),
        ('GET', '/7', None, 404),
        ('PUT', '/1', {'aggregate': {}}, 400),
        ('POST', '/1/action', {'add_host': {'host': 'nowhere'}}, 404),
        ('POST', '/1/action', {'add_host': {'host': 'host1'}}, 409),
        ('POST', '/1/action', {'add_host': {'host': 'bad host'}}, 400),
        ('POST', '/1/action', {'remove_host': {'host': 'host2'}}, 404),
        ('POST', '/1/action', {'set_metadata': {'metadata': {'a': 1}}}, 400),
        ('POST', '/1/action', {'fly': {}}, 400),
        ('PUT', '/1', {'aggregate': {'availability_zone': 'west'}}, 400),
    ],
)
def test_aggregate_errors(api: Api, method: str, path: str, body: Any, status: int) -> None:
    api.call('POST', '/os-aggregates', {'aggregate': {'name': 'fast'}})
    api.call('POST', '/os-aggregates/1/action', {'add_host': {'host': 'host1'}})
    assert api.call(method, '/os-aggregates' + path, body).status == status


# -- services


def test_service_list(api: Api) -> None:
    services = api.get('/os-services')['services']
    assert [one['id'] for one in services] == [1, 2, 3]  # the API itself is not shown
    assert services[2] == {
        'id': 3,
        'binary': 'nova-compute',
        'host': 'host2',
        'zone': 'north',
        'status': 'disabled',
        'state': 'up',
        'updated_at': '2026-01-02T03:04:05.000678',
        'disabled_reason': 'broken',
    }
    newer = api.get('/os-services?host=host2', version='2.53')['services']
    assert [(one['id'], one['forced_down']) for one in newer] == [(DISABLED, False)]


def test_service_by_host(api: Api) -> None:
    base = {'host': 'host1', 'binary': 'nova-compute'}
    reason = {**base, 'disabled_reason': 'tests'}
    assert api.call('PUT', '/os-services/disable', base).json == {
        'service': {**base, 'status': 'disabled'}
    }
    assert api.call('PUT', '/os-services/disable-log-reason', reason).json == {
        'service': {**reason, 'status': 'disabled'}
    }
    assert api.call('PUT', '/os-services/enable', base).json['service']['status'] == 'enabled'
    forced = {**base, 'forced_down': 'yes'}
    assert api.call('PUT', '/os-services/force-down', forced, version='2.11').json == {
        'service': {**base, 'forced_down': True}
    }


@pytest.mark.parametrize(
    'path, body, version, status',
    [
        ('disable', {'host': 'x', 'binary': 'nova-compute'}, '2.1', 404),
        ('disable-log-reason', {'host': 'host1', 'binary': 'nova-compute'}, '2.1', 400),
        ('force-down', {'host': 'host1', 'binary': 'nova-compute'}, '2.1', 404),
        ('force-down', {'host': 'host1', 'binary': 'nova-compute'}, '2.11', 400),
        ('fly', {'host': 'host1', 'binary': 'nova-compute'}, '2.1', 404),
        ('disable', {'host': 'host1', 'binary': 'nova-compute'}, '2.53', 400),
        ('2', {'status': 'disabled'}, '2.53', 400),
        (UP, {}, '2.53', 400),
        (UP, {'disabled_reason': 'x'}, '2.53', 400),
        (UP, {'status': 'enabled', 'disabled_reason': 'x'}, '2.53', 400),
        (UP, {'status': 'odd'}, '2.53', 400),
        (str(uuid.UUID(int=1)), {'status': 'disabled'}, '2.53', 400),
        (str(uuid.UUID(int=9)), {'status': 'disabled'}, '2.53', 404),
    ],
)
def test_service_errors(api: Api, path: str, body: Any, version: str, status: int) -> None:
    assert api.call('PUT', f'/os-services/{path}', body, version=version).status == status


def test_service_by_uuid(api: Api) -> None:
    body = {'status': 'disabled', 'disabled_reason': 'tests', 'forced_down': True}
    service = api.call('PUT', f'/os-services/{UP}', body, version='2.53').json['service']
    assert (service['status'], service['disabled_reason']) == ('disabled', 'tests')
    assert (service['id'], service['forced_down']) == (UP, True)


@pytest.mark.parametrize(
    'which, version, status',
    [('3', '2.1', 204), (DISABLED, '2.53', 204), ('3', '2.53', 400), (DISABLED, '2.52', 400)],
)
def test_service_delete(api: Api, which: str, version: str, status: int) -> None:
    assert api.call('DELETE', f'/os-services/{which}', version=version).status == status


# -- hypervisors


@pytest.mark.parametrize('version, identifier', [('2.1', 1), ('2.53', NODE)])
def test_hypervisor_list(api: Api, version: str, identifier: Any) -> None:
    assert api.get('/os-hypervisors', version=version)['hypervisors'][0] == {
        'id': identifier,
        'hypervisor_hostname': 'host1',
        'state': 'up',
        'status': 'enabled',
    }


def test_hypervisor_details(api: Api) -> None:
    old = api.get('/os-hypervisors/1')['hypervisor']
    assert old['cpu_info'] == '{"arch":"x86_64"}'
    assert (old['free_ram_mb'], old['service']['id']) == (7680, 2)
    middle = api.get(f'/os-hypervisors/{NODE}', version='2.87')['hypervisor']
    assert middle['cpu_info'] == {'arch': 'x86_64'}
    newest = api.get(f'/os-hypervisors/{NODE}', version='2.88')['hypervisor']
    assert newest['uptime'] == ' 08:32:11 up 93 days'
    assert not newest.keys() & {'vcpus', 'cpu_info', 'free_ram_mb', 'running_vms'}
    api.conductor.uptime = exception.ComputeServiceUnavailable(host='host1')
    details = api.get('/os-hypervisors/detail', version='2.88')['hypervisors']
    assert [one['uptime'] for one in details] == [None, None]


def test_hypervisor_uptime(api: Api) -> None:
    assert api.get('/os-hypervisors/1/uptime')['hypervisor']['uptime'].endswith('93 days')
    for error, status in (
        (exception.ComputeServiceUnavailable(host='host1'), 400),
        (exception.NotSupported(feature='uptime'), 501),
    ):
        api.conductor.uptime = error
        assert api.call('GET', '/os-hypervisors/1/uptime').status == status
    assert api.call('GET', f'/os-hypervisors/{NODE}/uptime', version='2.88').status == 404


def test_hypervisor_servers(api: Api) -> None:
    one = {'uuid': '11111111-1111-1111-1111-111111111111', 'name': 'one'}
    found = api.get('/os-hypervisors/host/servers')['hypervisors']
    assert [hypervisor.get('servers') for hypervisor in found] == [[one], None]
    for version, empty in (('2.53', None), ('2.75', [])):
        found = api.get('/os-hypervisors?with_servers=true', version=version)['hypervisors']
        assert [hypervisor.get('servers') for hypervisor in found] == [[one], empty]
    assert len(api.get('/os-hypervisors/2/search')['hypervisors']) == 1
    assert api.call('GET', '/os-hypervisors/nowhere/search').status == 404
    assert api.call('GET', '/os-hypervisors/host/search', version='2.53').status == 404


def test_hypervisor_pages(api: Api) -> None:
    page = api.get('/os-hypervisors/detail?limit=1', version='2.53')
    (link,) = page['hypervisors_links']
    assert link['href'].endswith(f'/os-hypervisors/detail?limit=1&marker={NODE}')
    rest = api.get(f'/os-hypervisors?limit=1&marker={NODE}', version='2.53')
    assert [one['hypervisor_hostname'] for one in rest['hypervisors']] == ['host2']


@pytest.mark.parametrize(
    'path, status',
    [
        ('?marker=x', 400),
        (f'?marker={NOBODY}', 400),
        ('?hypervisor_hostname_pattern=host&limit=1', 400),
        ('?hypervisor_hostname_pattern=nowhere', 404),
        ('?with_servers=perhaps', 400),
        ('?with_servers=1&with_servers=0', 400),
        ('?odd=1', 400),
        ('/1', 400),
        (f'/{NOBODY}', 404),
    ],
)
def test_hypervisor_errors(api: Api, path: str, status: int) -> None:
    assert api.call('GET', '/os-hypervisors' + path, version='2.53').status == status


def test_statistics_count_what_is_enabled(api: Api) -> None:
    statistics = api.get('/os-hypervisors/statistics')['hypervisor_statistics']
    assert (statistics['count'], statistics['vcpus'], statistics['free_ram_mb']) == (1, 8, 7680)


@pytest.mark.parametrize(
    'method, path, body',
    [
        ('GET', '/os-availability-zone/detail', None),
        ('GET', '/os-aggregates', None),
        ('POST', '/os-aggregates', {'aggregate': {'name': 'x'}}),
        ('GET', '/os-services', None),
        ('PUT', f'/os-services/{UP}', {'status': 'disabled'}),
        ('DELETE', f'/os-services/{UP}', None),
        ('GET', '/os-hypervisors', None),
        ('GET', '/os-hypervisors/detail', None),
        ('GET', f'/os-hypervisors/{NODE}', None),
    ],
)
def test_members_may_not(api: Api, method: str, path: str, body: Any) -> None:
    answer = api.call(method, path, body, version='2.53', token=MEMBER)
    assert answer.fault[0] == 'forbidden'
