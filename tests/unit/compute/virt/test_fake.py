"""The hypervisor in memory, and how drivers are found."""

import importlib.metadata
import pathlib
import threading
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Server
from kilonova.compute.virt import driver, fake, loader
from kilonova.compute.virt.driver import Events, PowerState
from kilonova.tests.unit.compute.here import make_conf, make_server, wait


class NoImages(driver.ImageSource):
    def describe(self, image_id: str) -> Image:
        return Image(id=image_id)

    def download(self, image_id: str, path: str) -> None:
        raise AssertionError('not asked for')


def make(folder: pathlib.Path, **options: Any) -> fake.FakeDriver:
    made = fake.FakeDriver(make_conf(folder, fake_driver=options))
    made.init_host('here')
    return made


def spawn(made: driver.Driver, server: Server | None = None, **more: Any) -> Server:
    server = server or make_server()
    spec = driver.GuestSpec(server=server, vifs=[], **more)
    made.spawn(spec, NoImages(), lambda start: start())
    return server


def test_the_guest_is_paused_until_its_ports_are_plugged(tmp_path: pathlib.Path) -> None:
    made, server = make(tmp_path), make_server()
    seen: list[object] = []

    def wait_plugged(start: Any) -> None:
        seen.append(made.list_guests())
        start()
        seen.append(made.get_power_state(server.uuid))

    made.spawn(driver.GuestSpec(server=server, vifs=[]), NoImages(), wait_plugged)
    assert seen == [[], PowerState.PAUSED]
    assert made.get_power_state(server.uuid) == PowerState.RUNNING


def test_a_plug_that_fails_leaves_no_guest(tmp_path: pathlib.Path) -> None:
    made = make(tmp_path)

    def wait_plugged(start: Any) -> None:
        start()
        raise exception.VirtualInterfacePlugTimeout(uuid='x', ports='p')

    with pytest.raises(exception.VirtualInterfacePlugTimeout):
        made.spawn(driver.GuestSpec(server=make_server(), vifs=[]), NoImages(), wait_plugged)
    assert made.list_guests() == []


def test_spawning_again_begins_anew(tmp_path: pathlib.Path) -> None:
    made = make(tmp_path)
    server = spawn(made)
    spawn(made, server)
    assert made._get(server.uuid).boots == 1


def test_destroying_what_is_gone_is_fine(tmp_path: pathlib.Path) -> None:
    make(tmp_path).destroy(make_server(), [])


def test_guests_are_kept_in_a_file(tmp_path: pathlib.Path) -> None:
    first = make(tmp_path, state_dir=str(tmp_path / 'state'))
    server = spawn(first, config_drive=lambda places: {'a': b''})
    first.power_off(server, 0)
    again = make(tmp_path, state_dir=str(tmp_path / 'state'))
    assert again.get_power_states() == {server.uuid: PowerState.SHUTDOWN}
    assert again._get(server.uuid).config_drive == ['a']
    again.destroy(server, [])
    assert make(tmp_path, state_dir=str(tmp_path / 'state')).list_guests() == []


def test_a_broken_state_file_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'here.json').write_text('{')
    with pytest.raises(exception.VirtDriverError, match='here.json'):
        make(tmp_path, state_dir=str(tmp_path))


def test_mishaps_happen_and_are_told(tmp_path: pathlib.Path) -> None:
    made = make(tmp_path, halt_guests=['*/halts'], lose_guests=['*/goes'], lose_delay=0.02)
    told: list[tuple[str, Events]] = []
    made.on_event(lambda uuid, event: told.append((uuid, event)))
    halts, goes = spawn(made, make_server(name='halts')), spawn(made, make_server(name='goes'))
    wait(lambda: (halts.uuid, Events.STOPPED) in told, 'it halts')
    wait(lambda: (goes.uuid, Events.REMOVED) in told, 'it goes')
    assert made.get_power_states() == {halts.uuid: PowerState.SHUTDOWN}


def test_a_share_of_builds_fails(tmp_path: pathlib.Path) -> None:
    with pytest.raises(exception.BuildError):
        spawn(make(tmp_path, fail_spawn_rate=1.0))


def test_a_guest_may_ignore_the_request_to_shut_down(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path, ignore_shutdown=['*'])
    server = spawn(made)
    pauses: list[float] = []
    monkeypatch.setattr(made, '_pause', pauses.append)
    made.power_off(server, 7)
    assert pauses == [0.0, 7]
    assert made.get_power_state(server.uuid) == PowerState.SHUTDOWN


def test_guests_of_many_threads(tmp_path: pathlib.Path) -> None:
    made = make(tmp_path, state_dir=str(tmp_path))
    threads = [threading.Thread(target=spawn, args=(made,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(make(tmp_path, state_dir=str(tmp_path)).list_guests()) == 20


@pytest.mark.parametrize(
    'name, vcpus, memory_mb, local_gb',
    [
        ('fake.FakeDriver', 1000, 800000, 600000),
        ('fake.SmallFakeDriver', 2, 8192, 1028),
        ('fake.MediumFakeDriver', 10, 8192, 1028),
    ],
)
def test_sizes(
    tmp_path: pathlib.Path, name: str, vcpus: int, memory_mb: int, local_gb: int
) -> None:
    made = loader.load(make_conf(tmp_path, DEFAULT={'compute_driver': name}))
    made.init_host('there')
    node = made.get_node()
    assert (node.vcpus, node.memory_mb, node.local_gb) == (vcpus, memory_mb, local_gb)
    assert node.hypervisor_hostname == 'there'
    inventory = made.get_inventory()[0]
    assert inventory.uuid == node.uuid
    assert {n: i['total'] for n, i in inventory.inventories.items()} == {
        'VCPU': vcpus,
        'MEMORY_MB': memory_mb,
        'DISK_GB': local_gb,
    }


@pytest.mark.parametrize('name', [None, 'fake.Unknown', 'nothing'])
def test_a_driver_that_does_not_exist(tmp_path: pathlib.Path, name: str | None) -> None:
    with pytest.raises(exception.VirtDriverError, match='compute_driver|no virt driver'):
        loader.load(make_conf(tmp_path, DEFAULT={'compute_driver': name}))


def test_a_driver_of_another_package(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    class Entry:
        def load(self) -> type:
            return fake.SmallFakeDriver

    def entry_points(group: str, name: str) -> list[Entry]:
        return [Entry()] if (group, name) == ('kilonova.virt', 'other') else []

    monkeypatch.setattr(importlib.metadata, 'entry_points', entry_points)
    conf = make_conf(tmp_path, DEFAULT={'compute_driver': 'other'})
    assert isinstance(loader.load(conf), fake.SmallFakeDriver)
    assert not loader.is_fake(conf)
