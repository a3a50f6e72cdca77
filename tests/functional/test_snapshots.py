"""Images of servers."""

from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {'hosts': 1, 'extra': '[fake_driver]\nfail_power = */stubborn\n'}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture
def server(cloud: Cloud, flavor: str) -> Any:
    image = cloud.glance.add('base', hw_disk_bus='virtio', cache_in_nova='x', min_ram=7)
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def idle(cloud: Cloud, uuid: str) -> None:
    cloud.wait_status(uuid, 'ACTIVE', 'PAUSED')


def test_an_image_of_a_server(cloud: Cloud, server: str) -> None:
    answer = cloud.action(server, createImage={'name': 'mine', 'metadata': {'a': 'b'}})
    assert answer.status == 202
    image_id = answer.json['image_id']
    idle(cloud, server)
    image = cloud.glance.images[image_id]
    assert {name: image[name] for name in ('name', 'status', 'owner', 'visibility', 'a')} == {
        'name': 'mine', 'status': 'active', 'owner': 'demo', 'visibility': 'private', 'a': 'b'
    }  # fmt: skip
    assert (image['instance_uuid'], image['image_type']) == (server, 'snapshot')
    assert (image['disk_format'], image['min_disk'], image['min_ram']) == ('raw', 1, 7)
    assert image['hw_disk_bus'] == 'virtio' and 'cache_in_nova' not in image
    assert server.encode() in cloud.glance.data[image_id]
    (action, _) = cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']
    assert (action['action'], action['message']) == ('createImage', None)
    # The image is as good as any.
    again = cloud.boot(cloud.flavor('m2'), image_id)
    cloud.wait_status(again, 'ACTIVE')


def test_a_link_instead_of_a_body_up_to_2_44(cloud: Cloud, server: str) -> None:
    path = f'/servers/{server}/action'
    answer = cloud.call('POST', path, {'createImage': {'name': 'x'}}, version='2.44')
    assert (answer.status, answer.text) == (202, '')
    image_id = answer.headers['Location'].rpartition('/')[2]
    idle(cloud, server)
    assert cloud.glance.images[image_id]['status'] == 'active'


def test_a_refusal_leaves_no_image(cloud: Cloud, server: str) -> None:
    cloud.admin('POST', f'/servers/{server}/action', {'rescue': None})
    cloud.wait_status(server, 'RESCUE')
    before = set(cloud.glance.images)
    answer = cloud.action(server, createImage={'name': 'x'})
    assert answer.status == 409
    assert 'while it is in vm_state rescued' in answer.json['conflictingRequest']['message']
    assert set(cloud.glance.images) == before


def test_a_failure_leaves_no_image(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = cloud.boot(flavor, image, name='stubborn')
    idle(cloud, uuid)
    before = set(cloud.glance.images)
    assert cloud.action(uuid, createImage={'name': 'x'}).status == 202
    idle(cloud, uuid)
    assert set(cloud.glance.images) == before
    (action, _) = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert action['message'] == 'Error'


def test_too_much_metadata(cloud: Cloud, server: str) -> None:
    """Up to 2.38 it is we who look; above, the limits are Glance's."""
    metadata = {f'k{n}': 'v' for n in range(129)}
    body = {'createImage': {'name': 'x', 'metadata': metadata}}
    path = f'/servers/{server}/action'
    assert cloud.call('POST', path, body, version='2.38').status == 403
    assert cloud.call('POST', path, body, version='2.39').status == 202
    idle(cloud, server)


def backup(cloud: Cloud, uuid: str, name: str, rotation: int, kind: str = 'daily') -> Any:
    body = {'name': name, 'backup_type': kind, 'rotation': rotation}
    answer = cloud.action(uuid, createBackup=body)
    assert answer.status == 202, answer.text
    idle(cloud, uuid)
    return answer.json


def names(cloud: Cloud, uuid: str) -> set[str]:
    images = cloud.glance.images.values()
    return {image['name'] for image in images if image.get('instance_uuid') == uuid}


def test_the_newest_backups_are_kept(cloud: Cloud, server: str) -> None:
    backup(cloud, server, 'weekly', 1, kind='weekly')
    for number in range(3):
        assert backup(cloud, server, f'day-{number}', 2)['image_id'] in cloud.glance.images
    wait(lambda: names(cloud, server) == {'weekly', 'day-1', 'day-2'}, 'the rotation')
    assert backup(cloud, server, 'none', 0) == {}
    assert names(cloud, server) == {'weekly'}


def test_another_project_cannot(cloud: Cloud, server: str) -> None:
    path = f'/servers/{server}/action'
    before = set(cloud.glance.images)
    for body in ({'createImage': {'name': 'x'}},
                 {'createBackup': {'name': 'x', 'backup_type': 'd', 'rotation': 1}}):  # fmt: skip
        assert cloud.call('POST', path, body, token='mallory:evil').status == 404
    assert set(cloud.glance.images) == before
