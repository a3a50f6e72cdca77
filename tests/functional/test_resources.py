"""Flavors, key pairs, hosts, aggregates, quotas and events: the API with its conductor behind."""

import uuid
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a@b'
CLOUD: dict[str, Any] = {'hosts': 2}


def _hosts(cloud: Cloud) -> list[str]:
    services = cloud.admin('GET', '/os-services?binary=nova-compute').json['services']
    return sorted(service['host'] for service in services)


def test_flavor_life(cloud: Cloud) -> None:
    flavor = cloud.flavor('small', **{'os-flavor-access:is_public': False, 'description': 'one'})
    path = f'/flavors/{flavor}'
    assert cloud.call('GET', path).status == 404
    assert cloud.admin('POST', '/flavors', {'flavor': {
        'name': 'small', 'ram': 1, 'vcpus': 1, 'disk': 1}}).status == 409  # fmt: skip
    grant = {'addTenantAccess': {'tenant': 'demo'}}
    assert cloud.admin('POST', f'{path}/action', grant).status == 200
    assert cloud.admin('POST', f'{path}/action', grant).status == 409
    assert cloud.get(path)['flavor']['description'] == 'one'
    assert flavor in [one['id'] for one in cloud.get('/flavors')['flavors']]
    assert flavor not in [one['id'] for one in cloud.get('/flavors', token='x:y')['flavors']]
    specs = {'extra_specs': {'hw:cpu_policy': 'shared', 'mine': '1'}}
    assert cloud.admin('POST', f'{path}/os-extra_specs', specs).status == 200
    assert cloud.get(path)['flavor']['extra_specs'] == specs['extra_specs']
    assert cloud.admin('DELETE', f'{path}/os-extra_specs/mine').status == 200
    assert cloud.admin('DELETE', f'{path}/os-extra_specs/mine').status == 404
    changed = cloud.admin('PUT', path, {'flavor': {'description': None}})
    assert changed.json['flavor']['description'] is None
    revoke = {'removeTenantAccess': {'tenant': 'demo'}}
    assert cloud.admin('POST', f'{path}/action', revoke).json == {'flavor_access': []}
    assert cloud.admin('DELETE', path).status == 202
    assert cloud.admin('DELETE', path).status == 404


def test_flavor_pages(cloud: Cloud) -> None:
    made = {cloud.flavor(f'page{number}', ram=number) for number in (1, 2, 3)}
    seen: list[str] = []
    path = '/flavors?limit=2&sort_key=memory_mb&sort_dir=desc'
    while path:
        page = cloud.get(path)
        seen += [one['id'] for one in page['flavors']]
        path = page.get('flavors_links', [{'href': ''}])[0]['href'].partition('/v2.1')[2]
    assert made <= set(seen) and len(seen) == len(set(seen))
    assert cloud.call('GET', '/flavors?marker=nope').status == 400
    named = cloud.get('/flavors?name=page2', version='2.102')['flavors']
    assert [one['name'] for one in named] == ['page2']
    for flavor in made:
        cloud.admin('DELETE', f'/flavors/{flavor}')


def test_keypair_life(cloud: Cloud) -> None:
    body = {'keypair': {'name': 'mine', 'public_key': KEY}}
    assert cloud.call('POST', '/os-keypairs', body).status == 201
    assert cloud.call('POST', '/os-keypairs', body).status == 409
    assert cloud.get('/os-keypairs/mine')['keypair']['public_key'] == KEY
    assert len(cloud.get('/os-keypairs')['keypairs']) == 1
    assert cloud.get('/os-keypairs', token='x:demo')['keypairs'] == []
    assert cloud.call('GET', '/os-keypairs?marker=nope').status == 400
    assert cloud.call('DELETE', '/os-keypairs/mine').status == 204
    assert cloud.call('GET', '/os-keypairs/mine').status == 404


def test_keypair_quota(cloud: Cloud) -> None:
    limit = {'quota_set': {'key_pairs': 1}}
    assert cloud.admin('PUT', '/os-quota-class-sets/default',
                       {'quota_class_set': limit['quota_set']}).status == 200  # fmt: skip
    try:
        for name, status in (('a', 201), ('b', 403)):
            body = {'keypair': {'name': name, 'public_key': KEY}}
            assert cloud.call('POST', '/os-keypairs', body, token='k:k').status == status
    finally:
        cloud.admin('PUT', '/os-quota-class-sets/default', {'quota_class_set': {'key_pairs': 100}})
        cloud.call('DELETE', '/os-keypairs/a', token='k:k')


def test_aggregate_makes_a_zone(cloud: Cloud) -> None:
    host = _hosts(cloud)[0]
    body = {'aggregate': {'name': 'fast', 'availability_zone': 'east'}}
    made = cloud.admin('POST', '/os-aggregates', body).json['aggregate']
    path = f'/os-aggregates/{made["id"]}'
    assert cloud.admin('POST', '/os-aggregates', body).status == 409
    add, remove = {'add_host': {'host': host}}, {'remove_host': {'host': host}}
    assert cloud.admin('POST', f'{path}/action', add).json['aggregate']['hosts'] == [host]
    assert cloud.admin('POST', f'{path}/action', add).status == 409
    zones = cloud.get('/os-availability-zone')['availabilityZoneInfo']
    assert {zone['zoneName'] for zone in zones} == {'east', 'nova'}
    unknown = {'add_host': {'host': 'nowhere'}}
    assert cloud.admin('POST', f'{path}/action', unknown).status == 404
    assert cloud.admin('DELETE', path).status == 400
    change = {'set_metadata': {'metadata': {'ssd': 'true'}}}
    changed = cloud.admin('POST', f'{path}/action', change).json['aggregate']
    assert changed['metadata'] == {'availability_zone': 'east', 'ssd': 'true'}
    assert cloud.admin('POST', f'{path}/action', remove).status == 200
    assert cloud.admin('POST', f'{path}/action', remove).status == 404
    assert cloud.admin('DELETE', path).status == 200
    assert cloud.admin('GET', path).status == 404


def test_services(cloud: Cloud) -> None:
    services = cloud.admin('GET', '/os-services').json['services']
    assert {'nova-compute', 'nova-conductor', 'nova-scheduler'} <= {s['binary'] for s in services}
    assert all(service['state'] == 'up' for service in services)
    compute = next(service for service in services if service['binary'] == 'nova-compute')
    path = f'/os-services/{compute["id"]}'
    off = {'status': 'disabled', 'disabled_reason': 'tests'}
    assert cloud.admin('PUT', path, off).json['service']['disabled_reason'] == 'tests'
    on = cloud.admin('PUT', path, {'status': 'enabled', 'forced_down': True}).json['service']
    assert (on['status'], on['disabled_reason'], on['state']) == ('enabled', None, 'down')
    assert cloud.admin('PUT', path, {'forced_down': False}).json['service']['state'] == 'up'
    assert cloud.admin('PUT', f'/os-services/{uuid.uuid4()}', off).status == 404
    old = {'host': compute['host'], 'binary': 'nova-compute'}
    assert cloud.admin('PUT', '/os-services/disable', old, version='2.1').status == 200
    assert cloud.admin('PUT', '/os-services/enable', old, version='2.1').status == 200
    other = {'host': 'controller', 'binary': 'nova-scheduler'}
    assert cloud.admin('PUT', '/os-services/disable', other, version='2.1').status == 400


def test_hypervisors(cloud: Cloud) -> None:
    found = cloud.admin('GET', '/os-hypervisors').json['hypervisors']
    assert len(found) == 2
    one = cloud.admin('GET', f'/os-hypervisors/{found[0]["id"]}', version='2.87').json['hypervisor']
    assert one['vcpus'] > 0 and one['hypervisor_type'] == 'fake'
    newest = cloud.admin('GET', f'/os-hypervisors/{found[0]["id"]}', version='2.88').json
    assert 'up' in newest['hypervisor']['uptime']
    page = cloud.admin('GET', '/os-hypervisors?limit=1').json
    rest = page['hypervisors_links'][0]['href'].partition('/v2.1')[2]
    following = cloud.admin('GET', rest).json['hypervisors']
    assert [page['hypervisors'][0]['id'], following[0]['id']] == [one['id'] for one in found]
    assert cloud.admin('GET', f'/os-hypervisors/{uuid.uuid4()}').status == 404
    assert cloud.admin('GET', f'/os-hypervisors?marker={uuid.uuid4()}').status == 400
    old = cloud.admin('GET', '/os-hypervisors', version='2.1').json['hypervisors']
    assert cloud.admin('GET', f'/os-hypervisors/{old[0]["id"]}', version='2.1').status == 200
    numbers = cloud.admin('GET', '/os-hypervisors/statistics', version='2.1').json
    assert numbers['hypervisor_statistics']['count'] == 2


def test_hypervisors_name_their_servers(cloud: Cloud, flavor: str, image: str, clean: None) -> None:
    server = cloud.boot(flavor, image)
    cloud.wait_status(server, 'ACTIVE')
    found = cloud.admin('GET', '/os-hypervisors?with_servers=true').json['hypervisors']
    assert [{'uuid': server, 'name': 'test'}] in [one['servers'] for one in found]
    used = cloud.get('/limits')['limits']['absolute']
    assert (used['totalInstancesUsed'], used['totalCoresUsed'], used['totalRAMUsed']) == (1, 1, 512)
    detail = cloud.get('/os-quota-sets/demo/detail')['quota_set']
    assert detail['instances']['in_use'] == 1
    refused = cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': {'instances': 0}})
    assert refused.status == 400
    service = next(
        one
        for one in cloud.admin('GET', '/os-services?binary=nova-compute').json['services']
        if one['host'] == cloud.get(f'/servers/{server}', token='admin:admin')['server'][
            'OS-EXT-SRV-ATTR:host']
    )  # fmt: skip
    assert cloud.admin('DELETE', f'/os-services/{service["id"]}').status == 409
    event = {'name': 'network-changed', 'server_uuid': server}
    other = {'name': 'network-changed', 'server_uuid': str(uuid.uuid4())}
    answer = cloud.admin('POST', '/os-server-external-events', {'events': [event, other]})
    assert answer.status == 207
    assert [one['code'] for one in answer.json['events']] == [200, 404]


def test_quota_life(cloud: Cloud) -> None:
    body = {'quota_set': {'cores': 5, 'ram': '1024'}}
    assert cloud.admin('PUT', '/os-quota-sets/p1', body).json['quota_set']['cores'] == 5
    assert cloud.get('/os-quota-sets/p1', token='admin:admin')['quota_set']['ram'] == 1024
    assert cloud.get('/os-quota-sets/p1/defaults')['quota_set']['cores'] == 20
    user = {'quota_set': {'cores': 3}}
    assert cloud.admin('PUT', '/os-quota-sets/p1?user_id=u', user).status == 200
    shown = cloud.admin('GET', '/os-quota-sets/p1?user_id=u').json['quota_set']
    assert (shown['cores'], shown['ram']) == (3, 1024)
    assert cloud.admin('DELETE', '/os-quota-sets/p1').status == 202
    assert cloud.admin('GET', '/os-quota-sets/p1').json['quota_set']['cores'] == 20


@pytest.mark.parametrize('path', ['/flavors', '/os-keypairs', '/os-availability-zone', '/limits'])
def test_one_read_is_one_call(cloud: Cloud, path: str) -> None:
    with cloud.counted() as counts:
        cloud.get(path)
    assert len(counts.rpc) == 1, counts.rpc
