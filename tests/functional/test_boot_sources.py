"""Servers from volumes, snapshots, images and nothing, and what becomes of their volumes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.routes import NOBODY

CLOUD = {
    'hosts': 2,
    'extra': """
[DEFAULT]
block_device_allocate_retries = 3
block_device_allocate_retries_interval = 0
[fake_driver]
hosts = one,two
fail_spawn = one/*
abort_spawn = */doomed
""",
}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(autouse=True)
def cinder(cloud: Cloud) -> Iterator[None]:
    """Each test begins with an empty Cinder, and leaves no attachment."""
    fake = cloud.cinder
    fake.mend()
    fake.created_status = 'available'
    for kind in (fake.volumes, fake.snapshots, fake.attachments):
        kind.clear()
    yield
    fake.mend()
    for server in cloud.get('/servers?all_tenants=1', token='admin:admin')['servers']:
        cloud.admin('DELETE', f'/servers/{server["id"]}')
        cloud.wait_gone(server['id'])
    assert fake.attachments == {}


@pytest.fixture(scope='module')
def big(cloud: Cloud) -> str:
    return cloud.flavor('big', disk=20, **{'OS-FLV-EXT-DATA:ephemeral': 2}, swap=64)


def create(cloud: Cloud, version: str = '2.90', token: str = 'demo:demo', **server: Any) -> Any:
    server = {'name': 'test', 'networks': 'none'} | server
    if float(version.partition('.')[2]) < 37:
        del server['networks']
    return cloud.call('POST', '/servers', {'server': server}, version=version, token=token)


def boot(cloud: Cloud, version: str = '2.90', **server: Any) -> str:
    answer = create(cloud, version, **server)
    assert answer.status == 202, answer.text
    return str(answer.json['server']['id'])


def refused(cloud: Cloud, code: int = 400, version: str = '2.90', **server: Any) -> str:
    """Return the message; nothing may have happened."""
    volumes = {key: dict(volume) for key, volume in cloud.cinder.volumes.items()}
    answer = create(cloud, version, **server)
    assert answer.status == code, answer.text
    assert cloud.cinder.volumes == volumes and cloud.cinder.attachments == {}
    assert cloud.get('/servers')['servers'] == []
    limits = cloud.get('/limits')['limits']['absolute']
    assert limits['totalInstancesUsed'] == 0
    ((_, fault),) = answer.json.items()
    return str(fault['message'])


def root(source: str, uuid: str | None = None, **more: Any) -> dict[str, Any]:
    device = {'source_type': source, 'destination_type': 'volume', 'boot_index': 0, **more}
    return device | ({'uuid': uuid} if uuid else {})


def attached(cloud: Cloud, uuid: str) -> list[dict[str, Any]]:
    server = cloud.get(f'/servers/{uuid}')['server']
    found: list[dict[str, Any]] = server['os-extended-volumes:volumes_attached']
    return found


def test_from_a_volume(cloud: Cloud, big: str) -> None:
    volume = cloud.cinder.add_bootable(10, hw_disk_bus='scsi', kept='yes')
    uuid = boot(cloud, flavorRef=big, block_device_mapping_v2=[root('volume', volume)])
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['image'] == '' and cloud.cinder.status(volume) == 'in-use'
    assert server['OS-EXT-SRV-ATTR:root_device_name'] == '/dev/sda'
    assert attached(cloud, uuid) == [{'id': volume, 'delete_on_termination': False}]
    (attachment,) = cloud.cinder.attachments_of(uuid)
    assert attachment['connector']['host'] == server['OS-EXT-SRV-ATTR:host'] == 'two'
    assert attachment['connector']['mountpoint'] == '/dev/sda'
    # The root disk is no local one: 2 GiB of ephemeral disk and swap.
    usages = [use['DISK_GB'] for use in cloud.placement.usages().values() if use.get('DISK_GB')]
    assert usages == [3]
    node = cloud.admin('GET', '/os-hypervisors/detail', version='2.80').json['hypervisors']
    assert sum(one['local_gb_used'] for one in node) == 2
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)
    assert cloud.cinder.status(volume) == 'available'


def test_from_a_volume_that_goes_with_the_server(cloud: Cloud, flavor: str) -> None:
    volume = cloud.cinder.add_bootable()
    device = root('volume', volume, delete_on_termination='true')
    uuid = boot(cloud, flavorRef=flavor, imageRef='', block_device_mapping_v2=[device])
    cloud.wait_status(uuid, 'ACTIVE')
    assert attached(cloud, uuid) == [{'id': volume, 'delete_on_termination': True}]
    cloud.call('DELETE', f'/servers/{uuid}')
    cloud.wait_gone(uuid)
    assert volume not in cloud.cinder.volumes


def test_from_an_image_on_a_new_volume(cloud: Cloud, flavor: str, image: str) -> None:
    device = root(
        'image', image, volume_size='7', volume_type='fast', delete_on_termination=True, tag='sys'
    )
    uuid = boot(cloud, flavorRef=flavor, imageRef='', block_device_mapping_v2=[device])
    server = cloud.wait_status(uuid, 'ACTIVE')
    ((volume_id, volume),) = cloud.cinder.volumes.items()
    assert (volume['size'], volume['volume_type'], volume['status']) == (7, 'fast', 'in-use')
    assert volume['os-vol-tenant-attr:tenant_id'] == 'demo'
    assert volume['volume_image_metadata'] == {'image_id': image}
    assert server['image'] == ''
    assert attached(cloud, uuid) == [{'id': volume_id, 'delete_on_termination': True}]
    cloud.call('DELETE', f'/servers/{uuid}')
    cloud.wait_gone(uuid)
    assert cloud.cinder.volumes == {}


def test_from_a_snapshot_with_blank_and_local_disks(cloud: Cloud, big: str) -> None:
    source = cloud.cinder.add_bootable(4, min_ram='1')
    snapshot = cloud.cinder.add_snapshot(source)
    devices = [
        root('snapshot', snapshot),
        {'source_type': 'blank', 'destination_type': 'volume', 'volume_size': 3},
        {'source_type': 'blank', 'destination_type': 'local', 'volume_size': 1},
        {'source_type': 'blank', 'destination_type': 'local', 'guest_format': 'swap'},
    ]
    uuid = boot(cloud, flavorRef=big, block_device_mapping_v2=devices)
    cloud.wait_status(uuid, 'ACTIVE')
    made = [v for v in cloud.cinder.volumes.values() if v['id'] != source]
    assert [(v['size'], v['snapshot_id']) for v in made] == [(4, snapshot), (3, None)]
    assert made[1]['name'] == f'{uuid}-blank-vol'
    places = [a['connector']['mountpoint'] for a in cloud.cinder.attachments_of(uuid)]
    assert places == ['/dev/vda', '/dev/vdd']
    cloud.call('DELETE', f'/servers/{uuid}')
    cloud.wait_gone(uuid)
    # They were not to be deleted.
    assert {v['status'] for v in cloud.cinder.volumes.values()} == {'available'}


def test_the_old_form(cloud: Cloud, flavor: str, image: str) -> None:
    volume, more = cloud.cinder.add_bootable(), cloud.cinder.add_volume()
    old = [
        {'device_name': 'vda', 'volume_id': volume, 'delete_on_termination': True},
        {'device_name': '/dev/vdx', 'volume_id': more},
    ]
    uuid = boot(cloud, '2.1', flavorRef=flavor, block_device_mapping=old)
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['image'] == ''
    ids = {one['id']: one['delete_on_termination'] for one in attached(cloud, uuid)}
    assert ids == {volume: True, more: False}
    other = cloud.cinder.add_volume()
    old = [{'device_name': 'vdb', 'volume_id': other}]
    uuid = boot(cloud, '2.1', flavorRef=flavor, imageRef=image, block_device_mapping=old)
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['image']['id'] == image
    assert [one['id'] for one in attached(cloud, uuid)] == [other]


def test_an_image_of_a_volume_backed_server(cloud: Cloud, flavor: str) -> None:
    snapshot = cloud.cinder.add_snapshot(cloud.cinder.add_bootable(5))
    mapping = {
        'boot_index': 0,
        'source_type': 'snapshot',
        'destination_type': 'volume',
        'snapshot_id': snapshot,
        'volume_size': 5,
        'device_name': '/dev/vda',
        'delete_on_termination': True,
        'no_device': None,
        'volume_id': None,
    }
    image = cloud.glance.add(
        data=b'', block_device_mapping=json.dumps([mapping]), bdm_v2='True', kept='yes'
    )
    clients_way = {
        'source_type': 'image', 'uuid': image, 'destination_type': 'local', 'boot_index': 0
    }  # fmt: skip
    for devices in ([], [clients_way]):
        uuid = boot(cloud, flavorRef=flavor, imageRef=image, block_device_mapping_v2=devices)
        cloud.wait_status(uuid, 'ACTIVE')
        (device,) = attached(cloud, uuid)
        assert cloud.cinder.volumes[device['id']]['snapshot_id'] == snapshot


def test_from_an_image_of_itself(cloud: Cloud, big: str) -> None:
    """A server that boots from a volume becomes an image, and that another server."""
    volume = cloud.cinder.add_bootable(3, hw_disk_bus='virtio', checksum='x', image_name='y')
    blank = {'source_type': 'blank', 'destination_type': 'local', 'volume_size': 1}
    devices = [root('volume', volume), blank]
    uuid = boot(cloud, flavorRef=big, block_device_mapping_v2=devices)
    cloud.wait_status(uuid, 'ACTIVE')
    body = {'name': 'copy', 'metadata': {'a': 'b'}}
    answer = cloud.action(uuid, createImage=body)
    assert answer.status == 202, answer.text
    image = cloud.glance.images[answer.json['image_id']]
    (snapshot,) = cloud.cinder.snapshots.values()
    assert (snapshot['volume_id'], snapshot['name']) == (volume, 'snapshot for copy')
    assert (image['status'], image['size'], image['a'], image['hw_disk_bus']) == (
        'active', 0, 'b', 'virtio'
    )  # fmt: skip
    assert image['root_device_name'] == '/dev/vda' and image['owner'] == 'demo'
    kept = [(d['source_type'], d['snapshot_id']) for d in json.loads(image['block_device_mapping'])]
    assert kept == [('snapshot', snapshot['id']), ('blank', None), ('blank', None)]
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert actions[0]['action'] == 'createImage'
    other = boot(cloud, flavorRef=big, imageRef=image['id'])
    cloud.wait_status(other, 'ACTIVE')
    (device,) = attached(cloud, other)
    assert cloud.cinder.volumes[device['id']]['snapshot_id'] == snapshot['id']


def test_an_image_that_cannot_be_made(cloud: Cloud, flavor: str) -> None:
    volume = cloud.cinder.add_bootable()
    uuid = boot(cloud, flavorRef=flavor, block_device_mapping_v2=[root('volume', volume)])
    cloud.wait_status(uuid, 'ACTIVE')
    before = set(cloud.glance.images)
    cloud.glance.break_with(500, 'PUT .*/file')
    assert cloud.action(uuid, createImage={'name': 'copy'}).status == 503
    cloud.glance.mend()
    cloud.cinder.break_with(413, 'POST .*/snapshots')
    assert cloud.action(uuid, createImage={'name': 'copy'}).status == 403
    cloud.cinder.mend()
    assert cloud.cinder.snapshots == {} and set(cloud.glance.images) == before


def test_a_build_that_fails_lets_go_of_its_volumes(cloud: Cloud, flavor: str, image: str) -> None:
    given = cloud.cinder.add_bootable()
    devices = [
        root('volume', given),
        root('image', image, volume_size=1, boot_index=1, delete_on_termination=True),
    ]
    uuid = boot(cloud, name='doomed', flavorRef=flavor, block_device_mapping_v2=devices)
    server = cloud.wait_status(uuid, 'ERROR')
    assert 'told to fail' in server['fault']['message']
    wait(lambda: not cloud.cinder.attachments, 'all volumes are let go of')
    wait(lambda: list(cloud.cinder.volumes) == [given], 'the new volume is deleted')
    assert cloud.cinder.status(given) == 'available'


@pytest.mark.parametrize('status', ['error', 'creating'])
def test_a_volume_that_is_never_made(cloud: Cloud, flavor: str, image: str, status: str) -> None:
    cloud.cinder.created_status = status
    device = root('image', image, volume_size=1, delete_on_termination=True)
    uuid = boot(cloud, flavorRef=flavor, block_device_mapping_v2=[device])
    server = cloud.wait_status(uuid, 'ERROR')
    assert 'did not finish being created' in server['fault']['message']
    assert status in server['fault']['message']
    assert cloud.cinder.attachments == {}


def test_a_cinder_that_fails_at_the_build(cloud: Cloud, flavor: str) -> None:
    volume = cloud.cinder.add_bootable()
    cloud.cinder.break_with(500, 'PUT .*/attachments/')
    uuid = boot(cloud, flavorRef=flavor, block_device_mapping_v2=[root('volume', volume)])
    server = cloud.wait_status(uuid, 'ERROR')
    assert 'The volumes are not available' in server['fault']['message']
    cloud.cinder.mend()
    wait(lambda: cloud.cinder.status(volume) == 'available', 'the volume is free')


def test_a_server_without_a_host_lets_go_of_its_volumes(cloud: Cloud) -> None:
    huge = cloud.flavor('huge', ram=10**9)
    cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': {'ram': -1}})
    volume = cloud.cinder.add_bootable()
    uuid = boot(cloud, flavorRef=huge, block_device_mapping_v2=[root('volume', volume)])
    cloud.wait_status(uuid, 'ERROR')
    wait(lambda: cloud.cinder.status(volume) == 'available', 'the volume is free')


# -- what is refused


BAD_DEVICES = [
    ([{'source_type': 'volume', 'boot_index': 0}], 'Missing device UUID.'),
    ([{'source_type': 'blank', 'uuid': NOBODY, 'boot_index': 0}], 'Invalid device UUID.'),
    ([{'boot_index': 0}], 'Some required fields are missing'),
    ([root('volume', NOBODY, virtual_name='x')], 'Some fields are invalid.'),
    ([root('volume', NOBODY, volume_type='fast')], 'volume type to existing volume'),
    (
        [{'source_type': 'blank', 'destination_type': 'local', 'volume_type': 'fast'}],
        'with destination_type=local is not supported',
    ),
    ([{**root('image', NOBODY), 'destination_type': 'local'}], 'Mapping image to local'),
    ([root('volume', NOBODY)], f'failed to get volume {NOBODY}.'),
    ([root('volume', '..types')], 'failed to get volume ..types.'),
    ([root('snapshot', NOBODY)], f'failed to get snapshot {NOBODY}.'),
    ([root('image', NOBODY, volume_size=1)], f'failed to get image {NOBODY}.'),
    ([root('image', NOBODY)], 'need to have a non-zero size specified'),
    ([root('blank')], 'Blank volumes'),
    ([root('blank', volume_size=1, disk_bus='x')], 'The provided disk bus x is not valid.'),
    ([root('blank', volume_size=1, boot_index=1)], 'Boot sequence for the instance'),
    ([root('blank', volume_size=1, boot_index=None)], 'Boot sequence for the instance'),
    ([root('blank', volume_size=1)] * 2, 'Boot sequence for the instance'),
    ([root('blank', volume_size=1, boot_index='9' * 5000)], 'Boot index is invalid.'),
    ([root('blank', volume_size=1, volume_type='x')], 'Volume type x could not be found.'),
    (
        [
            root('blank', volume_size=1, tag='t'),
            root('blank', volume_size=1, tag='t', boot_index=1),
        ],
        'Tags for block devices must be unique.',
    ),
]


@pytest.mark.parametrize(('devices', 'message'), BAD_DEVICES)
def test_bad_devices(cloud: Cloud, flavor: str, devices: Any, message: str) -> None:
    assert message in refused(cloud, flavorRef=flavor, block_device_mapping_v2=devices)


LOCAL = {'source_type': 'blank', 'destination_type': 'local'}


@pytest.mark.parametrize(
    ('devices', 'message'),
    [
        ([{**LOCAL, 'volume_size': 3}], 'Ephemeral disks requested are larger'),
        ([{**LOCAL, 'volume_size': 1}] * 3, 'Ephemeral disks requested are larger'),
        (
            [{**LOCAL, 'guest_format': 'swap', 'volume_size': 65}],
            'Swap drive requested is larger',
        ),
        ([{**LOCAL, 'guest_format': 'swap'}] * 2, 'More than one swap drive requested.'),
        ([{**LOCAL, 'volume_size': 1}] * 2, 'more local devices than the limit allows'),
    ],
)
def test_more_than_the_flavor_gives(
    cloud: Cloud, big: str, image: str, devices: Any, message: str
) -> None:
    first = {'source_type': 'image', 'uuid': image, 'destination_type': 'local', 'boot_index': 0}
    found = refused(cloud, flavorRef=big, imageRef=image, block_device_mapping_v2=[first, *devices])
    assert message in found


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'bootable': 'false'}, 'is not bootable.'),
        ({'status': 'in-use'}, 'status must be available'),
        ({'status': 'error'}, 'status must be available'),
        ({'project': 'other'}, 'failed to get volume'),
    ],
)
def test_volumes_that_cannot_be_had(cloud: Cloud, flavor: str, fields: Any, message: str) -> None:
    fields = {'bootable': 'true', 'volume_image_metadata': {}, **fields}
    volume = cloud.cinder.add_volume(**fields)
    free = cloud.cinder.add_volume()
    devices = [root('volume', free, boot_index=-1), root('volume', volume)]
    assert message in refused(cloud, flavorRef=flavor, block_device_mapping_v2=devices)
    assert cloud.cinder.status(free) == 'available'


def test_a_volume_for_several_servers_at_once(cloud: Cloud, flavor: str, image: str) -> None:
    volume = cloud.cinder.add_bootable()
    message = refused(
        cloud, flavorRef=flavor, max_count=2, block_device_mapping_v2=[root('volume', volume)]
    )
    assert message == 'Cannot attach one or more volumes to multiple instances'
    device = root('image', image, volume_size=1, delete_on_termination=True)
    answer = create(cloud, flavorRef=flavor, max_count=2, block_device_mapping_v2=[device])
    assert answer.status == 202
    servers = cloud.get('/servers')['servers']
    for server in servers:
        cloud.wait_status(server['id'], 'ACTIVE')
    assert len(servers) == 2 and len(cloud.cinder.volumes) == 3


def test_multiattach_needs_2_60(cloud: Cloud, flavor: str) -> None:
    volume = cloud.cinder.add_bootable()
    cloud.cinder.volumes[volume]['multiattach'] = True
    devices = [root('volume', volume)]
    message = refused(cloud, version='2.59', flavorRef=flavor, block_device_mapping_v2=devices)
    assert message.startswith('Multiattach volumes are only supported')
    for _ in range(2):
        uuid = boot(cloud, '2.60', flavorRef=flavor, block_device_mapping_v2=devices)
        cloud.wait_status(uuid, 'ACTIVE')
    assert len(cloud.cinder.attachments) == 2


def test_both_forms_at_once(cloud: Cloud, flavor: str) -> None:
    old, new = [{'volume_id': NOBODY, 'device_name': 'vda'}], [root('volume', NOBODY)]
    message = refused(
        cloud, flavorRef=flavor, block_device_mapping=old, block_device_mapping_v2=new
    )
    assert message.startswith('Using different block_device_mapping syntaxes')


def test_an_image_too_large_for_its_volume(cloud: Cloud, flavor: str) -> None:
    image = cloud.glance.add(min_disk=9)
    device = root('image', image, volume_size=8)
    message = refused(cloud, flavorRef=flavor, block_device_mapping_v2=[device])
    assert message.startswith('Volume is smaller than the minimum size')


@pytest.mark.parametrize('value', ['{', '5', '[1]', '[{"source_type": "snapshot"}]'])
def test_an_image_with_a_bad_mapping(cloud: Cloud, flavor: str, value: str) -> None:
    image = cloud.glance.add(block_device_mapping=value, bdm_v2='true')
    assert 'Block Device Mapping is Invalid' in refused(cloud, flavorRef=flavor, imageRef=image)


def test_a_cinder_that_is_away(cloud: Cloud, flavor: str) -> None:
    volume = cloud.cinder.add_bootable()
    for what in ('GET .*/volumes/', 'POST .*/attachments$'):
        cloud.cinder.break_with(500, what)
        devices = [root('volume', volume)]
        refused(cloud, 503, flavorRef=flavor, block_device_mapping_v2=devices)
        cloud.cinder.mend()
