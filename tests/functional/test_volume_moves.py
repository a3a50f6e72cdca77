"""Volumes go where their server goes: one attachment each, connected to the host of the guest."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional import moves
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.moves import host_of

CLOUD = {
    'hosts': 2,
    'extra': '[fake_driver]\nfail_move = finish/*/clumsy,migrate/*/clumsy\n',
}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(autouse=True)
def cinder(cloud: Cloud) -> Iterator[None]:
    fake = cloud.cinder
    for kind in (fake.volumes, fake.snapshots, fake.attachments):
        kind.clear()
    yield
    fake.mend()


@pytest.fixture(scope='module')
def larger(cloud: Cloud) -> str:
    return cloud.flavor('larger', vcpus=2)


def boot(cloud: Cloud, flavor: str, name: str = 'moves') -> tuple[str, set[str]]:
    """Return a server and its volumes: the root, and one that is attached later."""
    root, data = cloud.cinder.add_bootable(), cloud.cinder.add_volume()
    device = {
        'source_type': 'volume', 'destination_type': 'volume', 'boot_index': 0, 'uuid': root
    }  # fmt: skip
    server = {
        'name': name, 'flavorRef': flavor, 'networks': 'none', 'block_device_mapping_v2': [device]
    }  # fmt: skip
    answer = cloud.call('POST', '/servers', {'server': server})
    assert answer.status == 202, answer.text
    uuid = str(answer.json['server']['id'])
    cloud.wait_status(uuid, 'ACTIVE')
    attach(cloud, uuid, data)
    wait(lambda: cloud.cinder.status(data) == 'in-use', 'it is attached')
    return uuid, {root, data}


def attach(cloud: Cloud, uuid: str, volume: str) -> None:
    body = {'volumeAttachment': {'volumeId': volume}}
    answer = cloud.call('POST', f'/servers/{uuid}/os-volume_attachments', body)
    assert answer.status == 200, answer.text


def check(cloud: Cloud, uuid: str, volumes: set[str], host: str | None) -> None:
    """Each volume has one attachment, to ``host`` (None: it is reserved), which is recorded."""
    found = cloud.cinder.attachments_of(uuid)
    assert {one['volume_id'] for one in found} == volumes and len(found) == len(volumes)
    status = 'attached' if host else 'reserved'
    assert [one['status'] for one in found] == [status] * len(volumes)
    assert {one['connector'] and one['connector']['host'] for one in found} == {host}
    listed = cloud.get(f'/servers/{uuid}/os-volume_attachments')['volumeAttachments']
    assert {one['attachment_id'] for one in listed} == {one['id'] for one in found}
    if host:
        assert set(moves.drivers(cloud)[host]._guests[uuid].volumes) == volumes


@pytest.mark.parametrize('way', ['confirmResize', 'revertResize'])
def test_resize(cloud: Cloud, flavor: str, larger: str, way: str) -> None:
    uuid, volumes = boot(cloud, flavor)
    source = host_of(cloud, uuid)
    check(cloud, uuid, volumes, source)
    assert cloud.action(uuid, resize={'flavorRef': larger}).status == 202
    cloud.wait_status(uuid, 'VERIFY_RESIZE')
    target = host_of(cloud, uuid)
    assert target != source
    check(cloud, uuid, volumes, target)
    assert cloud.action(uuid, **{way: None}).status in (202, 204)
    cloud.wait_status(uuid, 'ACTIVE')
    check(cloud, uuid, volumes, target if way == 'confirmResize' else source)


def test_a_resize_that_fails(cloud: Cloud, flavor: str, larger: str) -> None:
    uuid, volumes = boot(cloud, flavor, 'clumsy')
    source = host_of(cloud, uuid)
    assert cloud.action(uuid, resize={'flavorRef': larger}).status == 202
    cloud.wait_status(uuid, 'ACTIVE', 'ERROR')
    check(cloud, uuid, volumes, source)


@pytest.mark.parametrize('name', ['moves', 'clumsy'])
def test_live_migration(cloud: Cloud, flavor: str, name: str) -> None:
    uuid, volumes = boot(cloud, flavor, name)
    source = host_of(cloud, uuid)
    body: Any = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
    answer = cloud.admin('POST', f'/servers/{uuid}/action', body)
    assert answer.status == 202, answer.text
    cloud.wait_status(uuid, 'ACTIVE', 'ERROR')
    assert (host_of(cloud, uuid) == source) == (name == 'clumsy')
    check(cloud, uuid, volumes, host_of(cloud, uuid))


def test_live_migration_without_copying_disks(cloud: Cloud, flavor: str) -> None:
    """It is for guests whose disks are all volumes."""
    body: Any = {'os-migrateLive': {'host': None, 'block_migration': False}}
    uuid, volumes = boot(cloud, flavor)
    source = host_of(cloud, uuid)
    assert cloud.admin('POST', f'/servers/{uuid}/action', body).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    target = host_of(cloud, uuid)
    assert target != source
    check(cloud, uuid, volumes, target)
    swapping, more = boot(cloud, cloud.flavor('swapping', swap=64))
    source = host_of(cloud, swapping)
    answer = cloud.admin('POST', f'/servers/{swapping}/action', body, version='2.33')
    assert answer.status == 400 and 'is not on shared storage' in answer.text
    cloud.wait_status(swapping, 'ACTIVE')
    check(cloud, swapping, more, source)


def test_shelving(cloud: Cloud, flavor: str) -> None:
    """A server that is put away keeps its volumes reserved; they come and go meanwhile."""
    uuid, volumes = boot(cloud, flavor)
    assert cloud.action(uuid, shelve=None).status == 202
    cloud.wait_status(uuid, 'SHELVED_OFFLOADED')
    check(cloud, uuid, volumes, None)
    more = cloud.cinder.add_volume()
    attach(cloud, uuid, more)
    wait(lambda: cloud.cinder.status(more) == 'in-use', 'it counts as attached')
    held = {one['volume_id']: one for one in cloud.cinder.attachments_of(uuid)}
    assert held.keys() == {*volumes, more}
    assert [one['connector'] for one in held.values()] == [None] * 3
    tagged = {'volumeAttachment': {'volumeId': cloud.cinder.add_volume(), 'tag': 'x'}}
    answer = cloud.call('POST', f'/servers/{uuid}/os-volume_attachments', tagged)
    assert answer.status == 400 and 'shelved-offloaded' in answer.text
    listed = cloud.get(f'/servers/{uuid}/os-volume_attachments')['volumeAttachments']
    data = listed[1]['volumeId']
    path = f'/servers/{uuid}/os-volume_attachments/{data}'
    assert cloud.call('DELETE', path).status == 202
    wait(lambda: cloud.cinder.status(data) == 'available', 'it is let go of')
    wait(lambda: cloud.call('GET', path).status == 404, 'it is forgotten')
    assert cloud.action(uuid, unshelve=None).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    check(cloud, uuid, {*volumes, more} - {data}, host_of(cloud, uuid))


def test_rebuild(cloud: Cloud, flavor: str, image: str) -> None:
    data = cloud.cinder.add_volume()
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    attach(cloud, uuid, data)
    wait(lambda: cloud.cinder.status(data) == 'in-use', 'it is attached')
    assert cloud.action(uuid, rebuild={'imageRef': image}).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    check(cloud, uuid, {data}, host_of(cloud, uuid))


def reimaged(cloud: Cloud, uuid: str, volume: str, status: str = 'completed') -> None:
    """Let Cinder end what it was asked for."""
    wait(lambda: cloud.cinder.status(volume) == 'downloading', 'the image is written')
    cloud.cinder.volumes[volume]['status'] = 'reserved'
    event = {'name': 'volume-reimaged', 'server_uuid': uuid, 'tag': volume, 'status': status}
    answer = cloud.admin('POST', '/os-server-external-events', {'events': [event]}, version='2.93')
    assert answer.status == 200, answer.text


@pytest.mark.parametrize('status', ['completed', 'failed'])
def test_rebuild_of_the_root_volume(cloud: Cloud, flavor: str, image: str, status: str) -> None:
    uuid, volumes = boot(cloud, flavor)
    root = next(v['id'] for v in cloud.cinder.volumes.values() if v['bootable'] == 'true')
    body = {'rebuild': {'imageRef': image}}
    refused = cloud.call('POST', f'/servers/{uuid}/action', body, version='2.92')
    assert refused.status == 400 and 'Unable to rebuild with a different image' in refused.text
    answer = cloud.call('POST', f'/servers/{uuid}/action', body, version='2.93')
    assert answer.status == 202, answer.text
    reimaged(cloud, uuid, root, status)
    server = cloud.wait_status(uuid, 'ACTIVE' if status == 'completed' else 'ERROR')
    assert server['image'] == ''
    assert cloud.cinder.volumes[root]['volume_image_metadata'] == {'image_id': image}
    if status == 'completed':
        check(cloud, uuid, volumes, host_of(cloud, uuid))
        # With the image that it has, an older client may rebuild it, too.
        again = cloud.call('POST', f'/servers/{uuid}/action', body, version='2.92')
        assert again.status == 202, again.text
        cloud.wait_status(uuid, 'ACTIVE')
        check(cloud, uuid, volumes, host_of(cloud, uuid))
    else:
        assert root in server['fault']['message']


def test_evacuation(cloud: Cloud, flavor: str) -> None:
    uuid, volumes = boot(cloud, flavor)
    source = host_of(cloud, uuid)
    path = f'/os-services?binary=nova-compute&host={source}'
    service = cloud.admin('GET', path).json['services'][0]['id']
    cloud.admin('PUT', f'/os-services/{service}', {'forced_down': True})
    try:
        answer = cloud.admin('POST', f'/servers/{uuid}/action', {'evacuate': {}}, version='2.94')
        assert answer.status == 200, answer.text
        cloud.wait_status(uuid, 'ACTIVE')
    finally:
        cloud.admin('PUT', f'/os-services/{service}', {'forced_down': False})
    target = host_of(cloud, uuid)
    assert target != source
    check(cloud, uuid, volumes, target)
    (compute,) = [c for c in cloud.all.computes.computes if c.host.name == source]
    compute._recovery.run()
    check(cloud, uuid, volumes, target)
