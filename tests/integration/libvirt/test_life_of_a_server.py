"""One real guest, asked for through the API: rebuilt, copied, shelved, deleted for a while."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.libvirt.guest_cloud import GuestCloud, Hypervisor
from kilonova.tests.integration.processes import Processes, wait_for

pytestmark = pytest.mark.integration

EXTRA = """
[DEFAULT]
reclaim_instance_interval = 20
shelved_offload_time = 0
"""


@pytest.fixture(scope='module')
def cloud(
    libvirt_folder: pathlib.Path, libvirtd: Libvirtd, mariadb: MariaDB, rabbitmq: RabbitMQ
) -> Iterator[GuestCloud]:
    folder = libvirt_folder / 'life'
    folder.mkdir()
    folder.chmod(0o755)
    processes = Processes(folder)
    made = GuestCloud(
        folder,
        mariadb,
        rabbitmq,
        processes,
        [Hypervisor('compute1', folder / 'compute1', libvirtd)],
        EXTRA,
    )
    try:
        made.start()
        yield made
    finally:
        processes.close()
        made.close()


@pytest.fixture(scope='module')
def image(cloud: GuestCloud, guest_image: pathlib.Path) -> str:
    return cloud.image(guest_image, name='lab')


@pytest.fixture(scope='module')
def server(cloud: GuestCloud, image: str) -> str:
    """One server for all tests, in their order; the last one deletes it."""
    uuid = cloud.boot(cloud.flavor(ram=128), image)
    cloud.settled(uuid, 'ACTIVE')
    assert 'boot=1' in cloud.ready(uuid)
    return uuid


def images(cloud: GuestCloud, **wanted: str) -> list[dict[str, Any]]:
    """Return the images that were made of servers, and have been uploaded."""
    return [
        one
        for one in cloud.glance.images.values()
        if one['name'] != 'lab'
        and one['status'] == 'active'
        and all(one.get(name) == value for name, value in wanted.items())
    ]


def test_an_image_of_it(cloud: GuestCloud, server: str) -> None:
    answer = cloud.act(server, createImage={'name': 'copy', 'metadata': {'colour': 'red'}})
    cloud.settled(server, 'ACTIVE')
    (made,) = images(cloud)
    assert made['id'] == answer.json()['image_id']
    assert (made['name'], made['colour'], made['disk_format']) == ('copy', 'red', 'qcow2')
    assert made['image_type'] == 'snapshot' and made['instance_uuid'] == server
    assert cloud.glance.data[made['id']][:4] == b'QFI\xfb'
    del cloud.glance.images[made['id']]


def test_backups_in_rotation(cloud: GuestCloud, server: str) -> None:
    body = {'name': 'nightly', 'backup_type': 'daily', 'rotation': 1}
    seen = set()
    for _ in range(2):
        cloud.act(server, createBackup=body)
        cloud.settled(server, 'ACTIVE')
        (kept,) = images(cloud, backup_type='daily')
        seen.add(kept['id'])
    assert len(seen) == 2
    del cloud.glance.images[kept['id']]


def test_shelved_and_unshelved(cloud: GuestCloud, server: str) -> None:
    """It goes away, and comes back from the image of what it was: its second boot."""
    (host,) = cloud.hypervisors.values()
    cloud.act(server, shelve=None)
    wait_for(
        'the guest is off its host',
        lambda: cloud.get(f'/servers/{server}')['server']['status'] == 'SHELVED_OFFLOADED',
        200,
        0.5,
    )
    cloud.settled(server, 'SHELVED_OFFLOADED')
    assert host.left() == [] and cloud.allocations(server) == {}
    (kept,) = images(cloud)
    assert kept['name'] == 'test-shelved'
    cloud.act(server, unshelve=None)
    cloud.settled(server, 'ACTIVE')
    assert host.domains() == [server] and len(cloud.allocations(server)) == 1
    assert 'boot=2' in cloud.ready(server)
    assert images(cloud) == []


def test_rebuilt(cloud: GuestCloud, server: str, image: str) -> None:
    """Its disk is made anew: it boots for the first time, under its old name."""
    before = cloud.get(f'/servers/{server}')['server']['id']
    cloud.act(server, rebuild={'imageRef': image, 'metadata': {'is': 'new'}})
    found = cloud.settled(server, 'ACTIVE')
    assert (found['id'], found['metadata']) == (before, {'is': 'new'})
    wait_for('a first boot', lambda: 'boot=1' in cloud.console(server), 240, 0.5)
    assert cloud.hypervisors['compute1'].domains() == [server]


def test_deleted_for_a_while_restored_and_reclaimed(cloud: GuestCloud, server: str) -> None:
    (host,) = cloud.hypervisors.values()
    assert cloud.call('DELETE', f'/servers/{server}').status_code == 204
    cloud.settled(server, 'SOFT_DELETED')
    assert 'shut off' in host.daemon.virsh('domstate', server)
    cloud.act(server, 'admin:admin', restore=None)
    cloud.settled(server, 'ACTIVE')
    assert 'running' in host.daemon.virsh('domstate', server)
    assert cloud.call('DELETE', f'/servers/{server}').status_code == 204
    cloud.wait_gone(server, 120)
    cloud.assert_clean()


def test_two_guests_on_one_host(cloud: GuestCloud, image: str) -> None:
    """libvirt knows them by their names, which have to differ."""
    (host,) = cloud.hypervisors.values()
    flavor = cloud.flavor('m1.two', ram=128)
    both = [cloud.boot(flavor, image) for _ in range(2)]
    for uuid in both:
        cloud.settled(uuid, 'ACTIVE')
    assert sorted(host.domains()) == sorted(both)
    for uuid in both:
        assert cloud.call('POST', f'/servers/{uuid}/action', {'forceDelete': None}).ok
    for uuid in both:
        cloud.wait_gone(uuid)
    cloud.assert_clean()
