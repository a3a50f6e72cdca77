"""A cell whose database does not answer: partial answers, no 500, and all is well afterwards."""

from collections.abc import Iterator

import pytest

from kilonova.tests.functional import compare
from kilonova.tests.functional.cloud import Cloud, MoreCell
from kilonova.tests.unit.api.reference import sample

CLOUD = {'hosts': 1, 'cells': 2}


@pytest.fixture(scope='module')
def here(cloud: Cloud, flavor: str, image: str) -> str:
    return _boot(cloud, flavor, image, 'controller')


@pytest.fixture(scope='module')
def there(cloud: Cloud, flavor: str, image: str) -> str:
    return _boot(cloud, flavor, image, 'cell2-1')


@pytest.fixture
def down(cloud: Cloud, here: str, there: str) -> Iterator[MoreCell]:
    [cell] = cloud.more_cells
    with cell.down(cloud):
        yield cell
    assert cloud.get(f'/servers/{there}')['server']['status'] == 'ACTIVE'


def _boot(cloud: Cloud, flavor: str, image: str, host: str) -> str:
    body = {'name': host, 'flavorRef': flavor, 'imageRef': image, 'networks': 'none',
            'availability_zone': f'nova:{host}'}  # fmt: skip
    answer = cloud.call('POST', '/servers', {'server': body}, token='admin:demo')
    uuid: str = answer.json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def test_servers(cloud: Cloud, here: str, there: str, down: MoreCell) -> None:
    plain = cloud.get('/servers', version='2.69')['servers']
    assert [one['id'] for one in plain] == [here, there]
    compare.check({'servers': plain[1:]}, sample('servers/v2.69/servers-list-resp.json'))
    full = cloud.get('/servers/detail', version='2.69')['servers']
    compare.check({'servers': full[1:]}, sample('servers/v2.69/servers-details-resp.json'))
    assert full[1]['status'] == 'UNKNOWN' and full[0]['status'] == 'ACTIVE'
    everyone = cloud.get('/servers/detail?all_tenants=1', token='admin:admin')['servers']
    assert {one['id'] for one in everyone} == {here, there}
    # Nobody can say of them what is asked for here; older clients would not understand them.
    for path, version in (
        ('/servers?limit=10', '2.90'),
        ('/servers?status=ACTIVE', '2.90'),
        ('/servers?sort_key=display_name', '2.90'),
        ('/servers', '2.68'),
    ):
        assert [s['id'] for s in cloud.get(path, version=version)['servers']] == [here]
    assert cloud.get('/servers/detail', token='mallory:evil')['servers'] == []


def test_one_server(cloud: Cloud, there: str, down: MoreCell) -> None:
    shown = cloud.get(f'/servers/{there}', version='2.69')
    compare.check(shown, sample('servers/v2.69/server-get-resp.json'))
    assert shown['server']['flavor']['ram'] == 512
    assert cloud.get(f'/servers/{there}', version='2.71')['server']['server_groups'] == []
    assert cloud.call('GET', f'/servers/{there}', token='mallory:evil').status == 404
    old = cloud.call('GET', f'/servers/{there}', version='2.68')
    assert old.status == 503 and 'is not responding' in old.text
    for method, path, body in (
        ('POST', 'action', {'reboot': {'type': 'SOFT'}}),
        ('PUT', '', {'server': {'name': 'other'}}),
        ('DELETE', '', None),
        ('GET', 'metadata', None),
        ('GET', 'os-instance-actions', None),
    ):
        answer = cloud.call(method, f'/servers/{there}/{path}'.rstrip('/'), body)
        assert answer.status == 503, (path, answer.text)


def test_hosts(cloud: Cloud, down: MoreCell) -> None:
    found = cloud.admin('GET', '/os-services', version='2.69').json['services']
    unknown = [one for one in found if one['status'] == 'UNKNOWN']
    assert unknown == [{'binary': 'nova-compute', 'host': 'cell2-1', 'status': 'UNKNOWN'}]
    old = cloud.admin('GET', '/os-services', version='2.68').json['services']
    assert {one['host'] for one in old} == {'controller'}
    nodes = cloud.admin('GET', '/os-hypervisors').json['hypervisors']
    assert [one['hypervisor_hostname'] for one in nodes] == ['controller']
    for path in ('/os-availability-zone/detail', '/os-aggregates', '/os-migrations',
                 '/os-simple-tenant-usage', '/os-instance_usage_audit_log'):  # fmt: skip
        assert cloud.admin('GET', path).status == 200, path


def test_new_servers_go_elsewhere(cloud: Cloud, flavor: str, image: str, down: MoreCell) -> None:
    """And what is in the cell that is down counts."""
    assert cloud.get('/limits')['limits']['absolute']['totalInstancesUsed'] == 2
    uuid = cloud.boot(flavor, image)
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == 'controller'
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)


def test_no_cell_may_be_missing(cloud: Cloud, here: str, down: MoreCell) -> None:
    cloud.conf.set_override('list_records_by_skipping_down_cells', False, group='api')
    try:
        assert cloud.call('GET', '/servers', version='2.68').status == 503
        assert cloud.call('GET', '/servers?limit=1').status == 503
        assert cloud.call('GET', '/servers', version='2.69').status == 200
    finally:
        cloud.conf.clear_override('list_records_by_skipping_down_cells', group='api')


def test_a_disabled_cell_gets_no_new_servers(
    cloud: Cloud, flavor: str, image: str, here: str, there: str
) -> None:
    [other] = cloud.more_cells
    [own] = [cell for cell in cloud.all.conductor.fleet.cells if cell.name == 'cell1']
    other.manage('cell_v2', 'update_cell', '--cell_uuid', own.uuid, '--disable')
    try:
        uuid = cloud.boot(flavor, image)
        assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == 'cell2-1'
        assert cloud.get(f'/servers/{here}')['server']['status'] == 'ACTIVE'
    finally:
        other.manage('cell_v2', 'update_cell', '--cell_uuid', own.uuid, '--enable')
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)
