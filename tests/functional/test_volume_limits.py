"""Zones that volumes are kept to, and how many disks a server may have."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Answer, Cloud, wait

CLOUD = {
    'hosts': 2,
    'extra': '[cinder]\ncross_az_attach = false\n[compute]\nmax_disk_devices_to_attach = 2\n'
    '[fake_driver]\nhosts = here,there\n',
}
pytestmark = pytest.mark.usefixtures('clean', 'dublin')


@pytest.fixture(scope='module')
def dublin(cloud: Cloud) -> None:
    """Put the host ``there`` into a zone of its own."""
    body = {'aggregate': {'name': 'dublin', 'availability_zone': 'dublin'}}
    aggregate = cloud.admin('POST', '/os-aggregates', body).json['aggregate']['id']
    add = {'add_host': {'host': 'there'}}
    answer = cloud.admin('POST', f'/os-aggregates/{aggregate}/action', add)
    assert answer.status == 200, answer.text


@pytest.fixture(autouse=True)
def cinder(cloud: Cloud) -> Iterator[None]:
    fake = cloud.cinder
    for kind in (fake.volumes, fake.snapshots, fake.attachments):
        kind.clear()
    yield


def create(cloud: Cloud, flavor: str, volumes: list[str], **more: Any) -> Answer:
    devices = [
        {
            'source_type': 'volume',
            'destination_type': 'volume',
            'boot_index': number,
            'uuid': volume,
        }
        for number, volume in enumerate(volumes)
    ]
    server = {'name': 'zoned', 'flavorRef': flavor, 'networks': 'none', **more}
    return cloud.call('POST', '/servers', {'server': server | {'block_device_mapping_v2': devices}})


def attach(cloud: Cloud, uuid: str, volume: str) -> Answer:
    body = {'volumeAttachment': {'volumeId': volume}}
    return cloud.call('POST', f'/servers/{uuid}/os-volume_attachments', body)


def test_a_server_goes_where_its_volumes_are(cloud: Cloud, flavor: str, image: str) -> None:
    volume = cloud.cinder.add_bootable(os='x')
    cloud.cinder.volumes[volume]['availability_zone'] = 'dublin'
    uuid = create(cloud, flavor, [volume]).json['server']['id']
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['OS-EXT-AZ:availability_zone'] == 'dublin'
    assert server['OS-EXT-SRV-ATTR:host'] == 'there'


def test_a_volume_is_made_where_its_server_is(cloud: Cloud, flavor: str, image: str) -> None:
    device = {
        'source_type': 'image',
        'destination_type': 'volume',
        'boot_index': 0,
        'uuid': image,
        'volume_size': 1,
    }
    server = {
        'name': 'zoned',
        'flavorRef': flavor,
        'networks': 'none',
        'availability_zone': 'dublin',
        'block_device_mapping_v2': [device],
    }
    uuid = cloud.call('POST', '/servers', {'server': server}).json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    (volume,) = cloud.cinder.volumes.values()
    assert volume['availability_zone'] == 'dublin'


@pytest.mark.parametrize(
    ('zones', 'asked', 'message'),
    [
        (('nova', 'dublin'), None, 'Volumes are in different availability zones: nova,dublin'),
        (('nova',), 'dublin', 'Server is in: dublin. Volumes are in: nova'),
    ],
)
def test_zones_that_do_not_agree(
    cloud: Cloud, flavor: str, zones: tuple[str, ...], asked: str | None, message: str
) -> None:
    volumes = [cloud.cinder.add_bootable() for _ in zones]
    for volume, zone in zip(volumes, zones, strict=True):
        cloud.cinder.volumes[volume]['availability_zone'] = zone
    more = {'availability_zone': asked} if asked else {}
    answer = create(cloud, flavor, volumes, **more)
    assert answer.status == 400 and message in answer.text
    assert cloud.cinder.attachments == {} and cloud.get('/servers')['servers'] == []


def test_a_volume_of_another_zone_is_not_attached(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = cloud.boot(flavor, image, availability_zone='dublin')
    cloud.wait_status(uuid, 'ACTIVE')
    answer = attach(cloud, uuid, cloud.cinder.add_volume())
    assert answer.status == 400
    assert 'Instance is in dublin. Volume is in nova' in answer.text
    near = cloud.cinder.add_volume(availability_zone='dublin')
    assert attach(cloud, uuid, near).status == 200
    wait(lambda: cloud.cinder.status(near) == 'in-use', 'it is attached')
    third = cloud.cinder.add_volume(availability_zone='dublin')
    answer = attach(cloud, uuid, third)
    assert answer.status == 403
    assert 'The maximum allowed number of disk devices (2) to attach' in answer.text
    assert cloud.cinder.status(third) == 'available'
