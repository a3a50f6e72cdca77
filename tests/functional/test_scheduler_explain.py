"""What the scheduler says about its choices."""

import pathlib
from collections.abc import Iterator

import pytest

from kilonova.common import rpc
from kilonova.scheduler import command
from kilonova.tests.functional.cloud import Cloud

PATH = '/kilonova/scheduler-explain'


@pytest.fixture(scope='module')
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder: pathlib.Path = tmp_path_factory.mktemp('explain')
    cloud = Cloud(folder, hosts=3)
    yield cloud
    cloud.close()


@pytest.fixture(scope='module')
def body(cloud: Cloud) -> dict:
    server = {
        'name': 'why',
        'flavorRef': cloud.flavor('why'),
        'imageRef': cloud.glance.add(),
        'networks': 'none',
        'min_count': 2,
    }
    return {'server': server}


def test_hosts_weights_and_reasons(cloud: Cloud, body: dict) -> None:
    services = cloud.get('/os-services?binary=nova-compute', token='admin:admin')['services']
    down = services[0]
    cloud.admin('PUT', f'/os-services/{down["id"]}', {'status': 'disabled'})
    before = cloud.placement.request_count
    answer = cloud.admin('POST', PATH, body)
    assert answer.status == 200, answer.text
    found = answer.json['explanation']
    others = {service['host'] for service in services[1:]}
    assert len(found['picked']) == 2
    assert set(found['picked']) <= others
    assert {one['host'] for one in found['candidates']} == others
    assert 'RAMWeigher' in found['candidates'][0]['weights']
    [out] = found['left_out']
    assert out['host'] == down['host']
    assert found['stages'][0]['before'] == 3
    methods = {method for method, _ in cloud.placement.requests[before:]}
    assert methods == {'GET'}
    assert cloud.get('/servers?all_tenants=1', token='admin:admin')['servers'] == []
    cloud.admin('PUT', f'/os-services/{down["id"]}', {'status': 'enabled'})


def test_no_host(cloud: Cloud, body: dict) -> None:
    flavor = cloud.flavor('huge', vcpus=1_000_000)
    answer = cloud.admin('POST', PATH, {'server': {**body['server'], 'flavorRef': flavor}})
    found = answer.json['explanation']
    assert found['picked'] == found['candidates'] == []
    assert 'VCPU 1000000 (no host)' in found['message']
    assert len(found['left_out']) == 3
    assert 'VCPU 1000000' in found['left_out'][0]['reason']


def test_it_is_for_administrators(cloud: Cloud, body: dict) -> None:
    assert cloud.call('POST', PATH, body).status == 403


@pytest.mark.parametrize('change', [{'flavorRef': 'none'}, {'imageRef': 'x'}, {'name': ''}])
def test_bad_bodies_are_refused(cloud: Cloud, body: dict, change: dict) -> None:
    answer = cloud.admin('POST', PATH, {'server': {**body['server'], **change}})
    assert answer.status == 400


@pytest.mark.parametrize(
    'specs',
    [
        {'resources:VCPU': 'many'},
        {'trait:CUSTOM_GOLD': 'perhaps'},
        {'group_policy': 'apart'},
        {'hw:numa_nodes': 'two'},
        {'hw:mem_page_size': 'huge'},
        {'pci_passthrough:alias': 'nobody:1'},
    ],
)
def test_malformed_extra_specs_are_told_before_a_server_is_made(
    cloud: Cloud, body: dict, specs: dict[str, str]
) -> None:
    """Flavors take them below microversion 2.86, as Nova's do."""
    [(key, value)] = specs.items()
    flavor = cloud.flavor(f'odd {key}')
    path, body_of_specs = f'/flavors/{flavor}/os-extra_specs', {'extra_specs': specs}
    assert cloud.admin('POST', path, body_of_specs, version='2.85').status == 200
    before = len(cloud.get('/servers?all_tenants=1', token='admin:admin')['servers'])
    server = {**body['server'], 'flavorRef': flavor}
    for answer in (
        cloud.call('POST', '/servers', {'server': server}),
        cloud.admin('POST', PATH, {'server': server}),
    ):
        assert answer.status == 400, answer.text
        assert value.split(':')[0] in answer.text
    assert len(cloud.get('/servers?all_tenants=1', token='admin:admin')['servers']) == before


def test_the_user_sees_no_details_of_hosts(cloud: Cloud, body: dict) -> None:
    flavor = cloud.flavor('larger')
    specs = {'extra_specs': {'resources:VCPU': '1000000'}}
    assert cloud.admin('POST', f'/flavors/{flavor}/os-extra_specs', specs).status == 200
    uuid = cloud.boot(flavor, body['server']['imageRef'])
    cloud.wait_status(uuid, 'ERROR')
    fault = cloud.get(f'/servers/{uuid}')['server']['fault']
    assert 'VCPU' not in str(fault)
    fault = cloud.get(f'/servers/{uuid}', token='admin:admin')['server']['fault']
    assert 'VCPU 1000000 (no host)' in fault['details']
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions', token='admin:admin')
    request = actions['instanceActions'][0]['request_id']
    action = cloud.get(f'/servers/{uuid}/os-instance-actions/{request}', token='admin:admin')
    assert 'VCPU 1000000 (no host)' in str(action['instanceAction']['events'])
    seen = cloud.get(f'/servers/{uuid}/os-instance-actions/{request}')
    assert len(seen['instanceAction']['events']) == 1
    assert 'VCPU' not in str(seen)


def test_the_action_says_how_the_host_was_chosen(cloud: Cloud, body: dict) -> None:
    uuid = cloud.boot(body['server']['flavorRef'], body['server']['imageRef'])
    cloud.wait_status(uuid, 'ACTIVE')
    path = f'/servers/{uuid}/os-instance-actions'
    path += '/' + cloud.get(path)['instanceActions'][0]['request_id']
    [event] = cloud.get(path, token='admin:admin')['instanceAction']['events']
    assert event['details'].startswith('3 of 3 hosts would do (candidates by host table)')
    [event] = cloud.get(path)['instanceAction']['events']
    assert 'details' not in event


def test_table(cloud: Cloud, body: dict, capsys: pytest.CaptureFixture, monkeypatch) -> None:
    monkeypatch.setattr(rpc, 'get_transport', lambda conf: cloud.transport)
    words = ['explain', '--flavor', body['server']['flavorRef'], '--count', '2']
    assert command.main('nova-manage scheduler', words, cloud.conf) == 0
    text = capsys.readouterr().out
    assert text.startswith('Picked: ')
    assert '| Host ' in text and 'RAMWeigher' in text
    words = ['explain', '--flavor', body['server']['flavorRef'], '--hint', 'x']
    with pytest.raises(ValueError, match='NAME=VALUE'):
        command.main('nova-manage scheduler', words, cloud.conf)
