"""Servers that are put away, and brought back, on another host too."""

from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {
    'hosts': 2,
    'extra': '[DEFAULT]\nshelved_offload_time = 3600\n'
    '[fake_driver]\nfail_spawn = */broken\nfail_power = */stubborn\n',
}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture
def server(cloud: Cloud, flavor: str, image: str) -> Any:
    network = cloud.neutron.add_network()
    uuid = cloud.boot(flavor, image, [{'uuid': network}])
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def shelved_image(cloud: Cloud, uuid: str) -> Any:
    images = cloud.glance.images.values()
    return [image for image in images if image.get('instance_uuid') == uuid]


def offload(cloud: Cloud, uuid: str) -> None:
    path = f'/servers/{uuid}/action'
    assert cloud.admin('POST', path, {'shelveOffload': None}).status == 202
    cloud.wait_status(uuid, 'SHELVED_OFFLOADED')


def shelve(cloud: Cloud, uuid: str) -> Any:
    assert cloud.action(uuid, shelve=None).status == 202
    return cloud.wait_status(uuid, 'SHELVED')


def test_shelve_and_unshelve_where_it_is(cloud: Cloud, server: str) -> None:
    found = shelve(cloud, server)
    assert found['OS-EXT-STS:power_state'] == 4
    assert found['OS-EXT-SRV-ATTR:host']
    (image,) = shelved_image(cloud, server)
    assert (image['name'], image['status']) == ('test-shelved', 'active')
    assert cloud.action(server, shelve=None).status == 409
    assert cloud.action(server, unshelve=None).status == 202
    cloud.wait_status(server, 'ACTIVE')
    assert shelved_image(cloud, server) == []
    actions = cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']
    assert [a['action'] for a in actions] == ['unshelve', 'shelve', 'create']


def test_off_its_host_and_back(cloud: Cloud, server: str) -> None:
    shelve(cloud, server)
    (image,) = shelved_image(cloud, server)
    offload(cloud, server)
    found = cloud.wait_status(server, 'SHELVED_OFFLOADED')
    assert found['OS-EXT-SRV-ATTR:host'] is None
    assert cloud.placement.usages() == {}
    (port,) = cloud.neutron.ports.values()
    assert (port['device_id'], port['binding:host_id']) == (server, '')
    assert found['addresses'] != {}
    assert cloud.action(server, unshelve=None).status == 202
    found = cloud.wait_status(server, 'ACTIVE')
    host = found['OS-EXT-SRV-ATTR:host']
    assert cloud.placement.usages() == {server: {'VCPU': 1, 'MEMORY_MB': 512, 'DISK_GB': 1}}
    (port,) = cloud.neutron.ports.values()
    assert port['binding:host_id'] == host
    assert found['image']['id'] != image['id']
    output = cloud.action(server, **{'os-getConsoleOutput': {}}).json['output']
    assert f'image {image["id"]}' in output
    assert shelved_image(cloud, server) == []


def test_to_a_zone_or_a_host(cloud: Cloud, server: str) -> None:
    path = f'/servers/{server}/action'
    refused = cloud.call('POST', path, {'unshelve': {'host': 'controller-2'}}, version='2.91')
    assert refused.status in (403, 409)
    shelve(cloud, server)
    where = {'unshelve': {'availability_zone': 'nova'}}
    assert cloud.call('POST', path, where, version='2.77').status == 409
    offload(cloud, server)
    nowhere = {'unshelve': {'availability_zone': 'nowhere'}}
    assert cloud.call('POST', path, nowhere, version='2.77').status == 400
    to = {'unshelve': {'host': 'controller-2'}}
    assert cloud.call('POST', path, to, version='2.91').status == 403
    unknown = {'unshelve': {'host': 'x'}}
    assert cloud.admin('POST', path, unknown, version='2.91').status == 400
    assert cloud.admin('POST', path, to, version='2.91').status == 202
    assert cloud.wait_status(server, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == 'controller-2'


def test_an_unshelving_that_fails_leaves_it_away(cloud: Cloud, server: str) -> None:
    shelve(cloud, server)
    offload(cloud, server)
    assert cloud.call('PUT', f'/servers/{server}', {'server': {'name': 'broken'}}).status == 200
    assert cloud.action(server, unshelve=None).status == 202
    found = cloud.wait_status(server, 'SHELVED_OFFLOADED')
    assert found['OS-EXT-SRV-ATTR:host'] is None
    assert cloud.placement.usages() == {}
    assert len(shelved_image(cloud, server)) == 1
    assert cloud.call('PUT', f'/servers/{server}', {'server': {'name': 'whole'}}).status == 200
    assert cloud.action(server, unshelve=None).status == 202
    cloud.wait_status(server, 'ACTIVE')


def test_a_shelving_that_fails_leaves_no_image(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = cloud.boot(flavor, image, name='stubborn')
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, shelve=None).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    assert shelved_image(cloud, uuid) == []


def test_a_deletion_takes_the_image_with_it(cloud: Cloud, server: str) -> None:
    shelve(cloud, server)
    offload(cloud, server)
    assert cloud.call('DELETE', f'/servers/{server}').status == 204
    cloud.wait_gone(server)
    assert shelved_image(cloud, server) == []
    assert cloud.neutron.ports == {}


def test_it_leaves_its_host_in_time(cloud: Cloud, server: str) -> None:
    shelve(cloud, server)
    chores = cloud.all.conductor.engine.chores
    assert not any(chore() for chore in chores)
    cloud.conf.set_override('shelved_offload_time', 1)
    wait(lambda: any(chore() for chore in chores), 'the offloading')
    cloud.conf.clear_override('shelved_offload_time')
    cloud.wait_status(server, 'SHELVED_OFFLOADED')


def test_at_once(cloud: Cloud, server: str) -> None:
    cloud.conf.set_override('shelved_offload_time', 0)
    assert cloud.action(server, shelve=None).status == 202
    cloud.conf.clear_override('shelved_offload_time')
    cloud.wait_status(server, 'SHELVED_OFFLOADED')
    (action, _) = cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']
    path = f'/servers/{server}/os-instance-actions/{action["request_id"]}'
    events = cloud.get(path)['instanceAction']['events']
    assert [event['event'] for event in events] == [
        'compute_shelve_instance', 'compute_shelve_offload_instance'
    ]  # fmt: skip


HOST_ACTIONS: dict[str, Any] = {
    'changePassword': {'adminPass': 'secret'},
    'createBackup': {'name': 'b', 'backup_type': 'daily', 'rotation': 1},
    'createImage': {'name': 'i'},
    'migrate': None,
    'os-migrateLive': {'host': None, 'block_migration': 'auto'},
    'os-start': None,
    'os-stop': None,
    'pause': None,
    'reboot': {'type': 'HARD'},
    'rescue': {},
    'resize': {'flavorRef': '2'},
    'resume': None,
    'shelve': None,
    'suspend': None,
    'trigger_crash_dump': None,
    'unpause': None,
    'unrescue': None,
}


def test_called_active_without_a_host(cloud: Cloud, server: str, image: str) -> None:
    shelve(cloud, server)
    offload(cloud, server)
    path = f'/servers/{server}/action'
    reset = {'os-resetState': {'state': 'active'}}
    assert cloud.admin('POST', path, reset).status == 202
    before = cloud.get(f'/servers/{server}')['server']
    assert before['status'] == 'ACTIVE'
    for action, body in (HOST_ACTIONS | {'rebuild': {'imageRef': image}}).items():
        answer = cloud.admin('POST', path, {action: body})
        assert (action, answer.status) == (action, 409)
    answer = cloud.admin('POST', path, {'pause': None})
    message = answer.json['conflictingRequest']['message']
    assert message == f'Instance {server} is not ready'
    assert cloud.get(f'/servers/{server}')['server'] == before
    assert cloud.call('DELETE', f'/servers/{server}').status == 204
    cloud.wait_gone(server)
