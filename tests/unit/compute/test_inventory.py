"""The node record and the providers in placement, against the real placement service."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.clients.placement import Placement
from kilonova.compute.inventory import HostInventory
from kilonova.compute.virt.driver import Inventory
from kilonova.compute.virt.fake import FakeDriver
from kilonova.tests.fakes.conductor import FakeConductor
from kilonova.tests.fakes.placement_fixture import PlacementFixture
from kilonova.tests.unit.compute.here import make_conf


class Rig:
    """A host's inventory and what it talks to."""

    def __init__(self, folder: pathlib.Path, service: PlacementFixture, **groups: Any) -> None:
        self.conf = make_conf(folder, **groups)
        self.service, self.client = service, Placement(service.adapter())
        self.driver, self.conductor = FakeDriver(self.conf), FakeConductor()
        self.driver.init_host('here')
        self.uuid = self.driver.get_node().uuid
        self.restart()

    def restart(self) -> None:
        self.inventory = HostInventory(
            self.conf, 'here', self.driver, self.conductor, Placement(self.service.adapter())
        )

    def requests_of(self, work: Any) -> list[str]:
        before = len(self.service.requests)
        work()
        return [f'{method} {path}' for method, path in self.service.requests[before:]]


@pytest.fixture(scope='module')
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlacementFixture]:
    with PlacementFixture(tmp_path_factory.mktemp('placement')) as fixture:
        yield fixture


@pytest.fixture
def rig(tmp_path: pathlib.Path, service: PlacementFixture) -> Iterator[Rig]:
    yield Rig(tmp_path, service)
    client = Placement(service.adapter())
    for provider in reversed(client._list({})):
        client.set_inventories(provider.uuid, {})
        client.delete_provider(provider.uuid)


def test_a_new_host_is_registered(rig: Rig) -> None:
    rig.inventory.update()
    node = rig.conductor.nodes['here']
    assert (node.vcpus, node.memory_mb, node.local_gb) == (1000, 800000, 600000)
    assert (node.cpu_allocation_ratio, node.reserved_host_memory_mb) == (4.0, 512)
    assert rig.client.get_provider(rig.uuid).name == 'here'
    found = rig.client.get_inventories(rig.uuid)
    assert found['VCPU'] == {
        'total': 1000,
        'reserved': 0,
        'min_unit': 1,
        'max_unit': 1000,
        'step_size': 1,
        'allocation_ratio': 4.0,
    }
    assert (found['MEMORY_MB']['reserved'], found['DISK_GB']['allocation_ratio']) == (512, 1.0)
    traits = rig.client.get_traits(rig.uuid)
    assert {'OWNER_NOVA', 'COMPUTE_NODE', 'COMPUTE_IMAGE_TYPE_RAW'} <= traits
    assert 'COMPUTE_STATUS_DISABLED' not in traits


def test_what_has_not_changed_is_not_sent(rig: Rig) -> None:
    rig.inventory.update()
    calls = len(rig.conductor.calls)
    assert rig.requests_of(rig.inventory.update) == []
    assert len(rig.conductor.calls) == calls == 2  # before placement was told, and with that


def test_a_restart_reads_and_writes_nothing(rig: Rig) -> None:
    rig.inventory.update()
    rig.restart()
    requests = rig.requests_of(rig.inventory.update)
    assert len(requests) == 4
    assert {request.split()[0] for request in requests} == {'GET'}


def test_claims_in_between_do_not_hinder_a_change(rig: Rig) -> None:
    rig.inventory.update()
    resources = {rig.uuid: {'resources': {'VCPU': 1}}}
    rig.client.claim('5b8f30c5-21ba-4f04-bd17-9d3c6b9c4b73', resources, 'p', 'u')
    rig.conf.set_override('vcpus', 2000, group='fake_driver')
    rig.inventory.update()
    assert rig.client.get_inventories(rig.uuid)['VCPU']['total'] == 2000
    rig.client.delete_allocations('5b8f30c5-21ba-4f04-bd17-9d3c6b9c4b73')


def test_a_ratio_changed_in_placement_is_kept_unless_configured(rig: Rig) -> None:
    rig.inventory.update()
    found = rig.client.get_inventories(rig.uuid)
    found['VCPU']['allocation_ratio'] = 16.0
    rig.client.set_inventories(rig.uuid, found)
    rig.restart()
    rig.inventory.update()
    assert rig.client.get_inventories(rig.uuid)['VCPU']['allocation_ratio'] == 16.0
    assert rig.conductor.nodes['here'].cpu_allocation_ratio == 16.0
    rig.conf.set_override('cpu_allocation_ratio', 2.0)
    rig.inventory.update()
    assert rig.client.get_inventories(rig.uuid)['VCPU']['allocation_ratio'] == 2.0
    assert rig.conductor.nodes['here'].cpu_allocation_ratio == 2.0


def test_reserved_amounts(rig: Rig) -> None:
    rig.conf.set_override('reserved_host_cpus', 3)
    rig.conf.set_override('reserved_host_disk_mb', 1025)
    rig.conf.set_override('reserved_host_memory_mb', 10**9)
    rig.inventory.update()
    found = rig.client.get_inventories(rig.uuid)
    reserved = [found[name]['reserved'] for name in ('VCPU', 'DISK_GB', 'MEMORY_MB')]
    assert reserved == [3, 2, 800000]


def test_disabling_is_a_trait(rig: Rig) -> None:
    rig.inventory.disabled = True
    rig.inventory.update()
    assert 'COMPUTE_STATUS_DISABLED' in rig.client.get_traits(rig.uuid)
    rig.inventory.set_enabled(True)
    assert 'COMPUTE_STATUS_DISABLED' not in rig.client.get_traits(rig.uuid)
    assert rig.requests_of(lambda: rig.inventory.set_enabled(True)) == []


def test_traits_of_others_are_kept_and_stale_ones_of_ours_go(rig: Rig) -> None:
    rig.inventory.update()
    rig.client.change_traits(rig.uuid, add=['CUSTOM_GOLD', 'HW_CPU_X86_AVX', 'STORAGE_DISK_SSD'])
    rig.restart()
    rig.inventory.update()
    traits = rig.client.get_traits(rig.uuid)
    assert {'CUSTOM_GOLD', 'STORAGE_DISK_SSD'} <= traits
    assert 'HW_CPU_X86_AVX' not in traits


def test_a_tree(rig: Rig, monkeypatch: Any) -> None:
    plain = rig.driver.get_inventory()
    child = Inventory(
        name='here_gpu',
        parent='here',
        inventories={'CUSTOM_GPU': {'total': 2}},
        traits=['CUSTOM_BIG'],
    )
    monkeypatch.setattr(rig.driver, 'get_inventory', lambda: [*plain, child])
    rig.inventory.update()
    found = rig.client.find_provider('here_gpu')
    assert found is not None and found.parent_provider_uuid == rig.uuid
    assert rig.client.get_inventories(found.uuid)['CUSTOM_GPU']['total'] == 2
    assert {'OWNER_NOVA', 'CUSTOM_BIG'} == rig.client.get_traits(found.uuid)
    foreign = 'f3b3d8a0-0d5f-4c06-9a2a-3f9a3c2d4a11'
    rig.client.ensure_provider(foreign, 'here:agent', rig.uuid)
    rig.restart()
    assert rig.requests_of(rig.inventory.update)[-1].startswith('GET')
    monkeypatch.setattr(rig.driver, 'get_inventory', lambda: plain)
    rig.restart()
    rig.inventory.update()
    assert rig.client.find_provider('here_gpu') is None
    assert rig.client.find_provider('here:agent') is not None


def test_a_provider_of_an_earlier_installation_is_replaced(rig: Rig) -> None:
    rig.client.ensure_provider('0e8bd0a1-0a59-4a54-a0f3-30d0a9a0d1a5', 'here')
    rig.inventory.update()
    assert rig.client.get_provider(rig.uuid).name == 'here'


def test_but_not_one_that_is_in_use(rig: Rig) -> None:
    other = '0e8bd0a1-0a59-4a54-a0f3-30d0a9a0d1a5'
    rig.client.ensure_provider(other, 'here')
    rig.client.set_inventories(other, {'VCPU': {'total': 1}})
    consumer = '5b8f30c5-21ba-4f04-bd17-9d3c6b9c4b73'
    rig.client.claim(consumer, {other: {'resources': {'VCPU': 1}}}, 'p', 'u')
    with pytest.raises(exception.ServiceUnavailable, match=other):
        rig.inventory.update()
    rig.client.delete_allocations(consumer)
    rig.inventory.update()


def test_a_provider_that_was_deleted_comes_back_with_the_next_change(rig: Rig) -> None:
    rig.inventory.update()
    rig.client.set_inventories(rig.uuid, {})
    rig.client.delete_provider(rig.uuid)
    rig.conf.set_override('vcpus', 7, group='fake_driver')
    with pytest.raises(exception.NotFound):
        rig.inventory.update()
    rig.inventory.update()
    assert rig.client.get_inventories(rig.uuid)['VCPU']['total'] == 7


def test_placement_that_is_away_is_told_later(rig: Rig) -> None:
    rig.service.intercept = lambda method, path: (503, '', 'away')
    with pytest.raises(exception.FellowServiceError):
        rig.inventory.update()
    assert rig.conductor.nodes['here'].vcpus == 1000
    rig.service.intercept = None
    rig.inventory.update()
    assert 'VCPU' in rig.client.get_inventories(rig.uuid)
