"""Guests with NUMA nodes, processors, pages and devices of their own."""

import pathlib
from collections.abc import Iterator
from concurrent import futures

import pytest

from kilonova.tests.functional.cloud import Cloud

CONF = """
[fake_driver]
vcpus = 16
memory_mb = 16384
local_gb = 1000
numa_cells = 2
huge_pages = 1024
pci_devices = 3
[compute]
cpu_dedicated_set = 0-3,8-11
[pci]
device_spec = {"vendor_id": "8086", "product_id": "1572"}
alias = {"name": "nic", "vendor_id": "8086", "product_id": "1572"}
[filter_scheduler]
enabled_filters = ComputeFilter,NUMATopologyFilter,PciPassthroughFilter
"""


@pytest.fixture(scope='module')
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder: pathlib.Path = tmp_path_factory.mktemp('numa')
    cloud = Cloud(folder, hosts=2, extra=CONF)
    yield cloud
    cloud.close()


@pytest.fixture(scope='module')
def image(cloud: Cloud) -> str:
    return cloud.glance.add()


@pytest.fixture(autouse=True)
def empty(cloud: Cloud) -> Iterator[None]:
    yield
    for server in cloud.get('/servers')['servers']:
        cloud.admin('DELETE', f'/servers/{server["id"]}')
        cloud.wait_gone(server['id'])


def make_flavor(cloud: Cloud, name: str, extra_specs: dict[str, str], **fields: int) -> str:
    flavor = cloud.flavor(name, **fields)
    answer = cloud.admin('POST', f'/flavors/{flavor}/os-extra_specs', {'extra_specs': extra_specs})
    assert answer.status == 200, answer.text
    return flavor


def topology(cloud: Cloud, uuid: str) -> dict:
    return cloud.get(f'/servers/{uuid}/topology', token='admin:admin')


def pins(cloud: Cloud, uuid: str) -> list[int]:
    return [cpu for node in topology(cloud, uuid)['nodes'] for cpu in node['cpu_pinning'].values()]


def test_topology_is_shown(cloud: Cloud, image: str) -> None:
    specs = {
        'hw:numa_nodes': '2',
        'hw:cpu_policy': 'dedicated',
        'hw:mem_page_size': 'large',
    }
    flavor = make_flavor(cloud, 'numa', specs, vcpus=4, ram=1024)
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    found = topology(cloud, uuid)
    assert found['pagesize_kb'] == 2048
    assert sorted(node['host_node'] for node in found['nodes']) == [0, 1]
    assert [node['vcpu_set'] for node in found['nodes']] == [[0, 1], [2, 3]]
    assert [node['memory_mb'] for node in found['nodes']] == [512, 512]
    assert [node['siblings'] for node in found['nodes']] == [[[0, 1]], [[2, 3]]]
    shown = cloud.get(f'/servers/{uuid}/topology')
    assert 'host_node' not in shown['nodes'][0]


def test_pinned_servers_share_no_processor(cloud: Cloud, image: str) -> None:
    flavor = make_flavor(cloud, 'pinned', {'hw:cpu_policy': 'dedicated'}, vcpus=2)
    with futures.ThreadPoolExecutor(8) as pool:
        uuids = list(pool.map(lambda _: cloud.boot(flavor, image), range(8)))
    by_host: dict[str, list[int]] = {}
    for uuid in uuids:
        server = cloud.wait_status(uuid, 'ACTIVE')
        by_host.setdefault(server['OS-EXT-SRV-ATTR:host'], []).extend(pins(cloud, uuid))
    assert sorted(len(cpus) for cpus in by_host.values()) == [8, 8]
    assert all(sorted(cpus) == [0, 1, 2, 3, 8, 9, 10, 11] for cpus in by_host.values())
    late = cloud.boot(flavor, image)
    assert cloud.wait_status(late, 'ERROR')['fault']['code'] == 500


def test_devices_are_given_once(cloud: Cloud, image: str) -> None:
    flavor = make_flavor(cloud, 'nics', {'pci_passthrough:alias': 'nic:2'})
    first, second = (cloud.boot(flavor, image) for _ in range(2))
    hosts = {cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] for uuid in (first, second)}
    assert len(hosts) == 2
    details = cloud.wait_status(cloud.boot(flavor, image), 'ERROR')['fault']['details']
    assert 'with too few free PCI devices (2 nic)' in details


def test_resize_moves_the_pins_and_reverting_gives_them_back(cloud: Cloud, image: str) -> None:
    small = make_flavor(cloud, 'p1', {'hw:cpu_policy': 'dedicated'}, vcpus=1)
    large = make_flavor(cloud, 'p3', {'hw:cpu_policy': 'dedicated'}, vcpus=4)
    uuid = cloud.boot(small, image)
    cloud.wait_status(uuid, 'ACTIVE')
    before = topology(cloud, uuid)
    assert cloud.action(uuid, resize={'flavorRef': large}).status == 202
    cloud.wait_status(uuid, 'VERIFY_RESIZE')
    assert len(pins(cloud, uuid)) == 4
    assert cloud.action(uuid, revertResize=None).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    assert topology(cloud, uuid) == before


def test_shelving_gives_the_processors_back(cloud: Cloud, image: str) -> None:
    flavor = make_flavor(cloud, 'shelf', {'hw:cpu_policy': 'dedicated'}, vcpus=2)
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, shelve=None).status == 202
    cloud.wait_status(uuid, 'SHELVED_OFFLOADED')
    assert topology(cloud, uuid)['nodes'] == []
    assert cloud.action(uuid, unshelve=None).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    assert len(pins(cloud, uuid)) == 2


@pytest.mark.parametrize(
    ('specs', 'message'),
    [
        ({'hw:numa_nodes': '3'}, 'cannot be evenly distributed'),
        ({'pci_passthrough:alias': 'gpu:1'}, 'PCI alias gpu is not defined'),
        ({'hw:cpu_policy': 'mixed'}, 'Dedicated CPU set can be specified'),
    ],
)
def test_what_cannot_be_is_refused(cloud: Cloud, image: str, specs, message) -> None:
    flavor = make_flavor(cloud, f'bad {message}', specs, vcpus=2)
    body = {'name': 'bad', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}
    answer = cloud.call('POST', '/servers', {'server': body})
    assert answer.status == 400
    assert message in answer.json['badRequest']['message']
