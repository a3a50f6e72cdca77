"""The driver as the manager sees it, on a fake libvirt and without qemu-img."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import Events, GuestSpec, PowerState
from kilonova.compute.virt.libvirt import driver as libvirt_driver
from kilonova.compute.virt.libvirt.disk import inspection, qemu_img
from kilonova.tests.fakes.libvirt import FakeConnection, FakeDomain, FakeLibvirt
from kilonova.tests.unit.compute.virt.libvirt.conftest import PORT, UUID, Images

Plugged = list[tuple[str, str]]


def at_once(start: Callable[[], None]) -> None:
    start()


@pytest.fixture
def qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for qemu-img: images are what they claim, overlays are empty files."""

    def inspect(conf: Any, image: Any, path: str) -> inspection.Inspected:
        return inspection.Inspected('raw', os.path.getsize(path))

    def create_overlay(self: Any, target: str, base: str, base_format: str, size: int) -> None:
        pathlib.Path(target).write_bytes(b'QFI')

    monkeypatch.setattr(inspection, 'inspect', inspect)
    monkeypatch.setattr(qemu_img.QemuImg, 'create_overlay', create_overlay)


@pytest.fixture
def driver(
    conf: cfg.ConfigOpts, library: FakeLibvirt, qemu: None, plugged: Plugged
) -> libvirt_driver.LibvirtDriver:
    conf.set_override('wait_soft_reboot_seconds', 1, 'libvirt')
    made = libvirt_driver.LibvirtDriver(conf)
    made.init_host('compute1')
    return made


@pytest.fixture
def instances(conf: cfg.ConfigOpts) -> pathlib.Path:
    return pathlib.Path(conf.instances_path)


@pytest.fixture
def spec(server: Server, ovs_vif: VIF) -> GuestSpec:
    return GuestSpec(server=server, vifs=[ovs_vif])


@pytest.fixture
def running(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    images: Images,
    plugged: Plugged,
    hypervisor: FakeConnection,
) -> FakeDomain:
    driver.spawn(spec, images, at_once)
    plugged.clear()
    return hypervisor.domains[UUID]


def test_spawn(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    images: Images,
    plugged: Plugged,
    hypervisor: FakeConnection,
    instances: pathlib.Path,
) -> None:
    seen = []

    def wait(start: Callable[[], None]) -> None:
        start()
        seen.append((list(plugged), driver.get_power_state(UUID)))

    changes = driver.spawn(spec, images, wait)
    assert changes == {
        'root_device_name': '/dev/vda',
        'system_metadata': {'image_hw_machine_type': 'pc'},
    }
    assert seen == [([('plug', PORT)], PowerState.PAUSED)]
    assert driver.get_power_states() == {UUID: PowerState.RUNNING}
    assert sorted(path.name for path in (instances / UUID).iterdir()) == [
        'console.log',
        'disk',
        'node',
    ]
    assert images.downloads == [spec.server.image.id]


@pytest.mark.parametrize('call', ['defineXML', 'createWithFlags', 'resume'])
def test_spawn_that_fails_leaves_nothing(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    images: Images,
    plugged: Plugged,
    hypervisor: FakeConnection,
    instances: pathlib.Path,
    call: str,
) -> None:
    hypervisor.fail(call)
    with pytest.raises(exception.BuildError, match=f'{call} failed on purpose') as caught:
        driver.spawn(spec, images, at_once)
    assert not isinstance(caught.value, exception.BuildAborted)
    _is_clean(driver, hypervisor, instances)
    assert plugged[-1] == ('unplug', PORT)


def test_plug_timeout_comes_through(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    images: Images,
    hypervisor: FakeConnection,
    instances: pathlib.Path,
) -> None:
    def wait(start: Callable[[], None]) -> None:
        start()
        raise exception.VirtualInterfacePlugTimeout(uuid=UUID, ports=PORT)

    with pytest.raises(exception.VirtualInterfacePlugTimeout):
        driver.spawn(spec, images, wait)
    _is_clean(driver, hypervisor, instances)


def test_disk_that_cannot_be_made(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    images: Images,
    hypervisor: FakeConnection,
    instances: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*args: Any) -> None:
        raise processutils.ProcessExecutionError(
            cmd='qemu-img create', exit_code=1, stderr='x\nNo space left on device'
        )

    monkeypatch.setattr(qemu_img.QemuImg, 'create_overlay', full)
    with pytest.raises(exception.BuildError, match='qemu-img: No space left on device'):
        driver.spawn(spec, images, at_once)
    _is_clean(driver, hypervisor, instances)


def test_image_larger_than_the_flavors_disk(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    images: Images,
    hypervisor: FakeConnection,
    instances: pathlib.Path,
) -> None:
    spec.server.image.virtual_size = 2 * 1024**3
    with pytest.raises(exception.FlavorDiskSmallerThanImage):
        driver.spawn(spec, images, at_once)
    assert not images.downloads
    _is_clean(driver, hypervisor, instances)


def _is_clean(
    driver: libvirt_driver.LibvirtDriver, hypervisor: FakeConnection, instances: pathlib.Path
) -> None:
    assert driver.list_guests() == []
    assert not hypervisor.domains
    assert [path.name for path in instances.iterdir() if UUID in path.name] == []


def test_spawn_over_an_earlier_attempt(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    images: Images,
    running: FakeDomain,
    instances: pathlib.Path,
) -> None:
    (instances / UUID / 'junk').write_text('of the first attempt')
    driver.spawn(spec, images, at_once)
    assert not (instances / UUID / 'junk').exists()
    assert driver.get_power_state(UUID) == PowerState.RUNNING
    assert len(images.downloads) == 1


def test_destroy_twice(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    running: FakeDomain,
    plugged: Plugged,
    hypervisor: FakeConnection,
    instances: pathlib.Path,
) -> None:
    for _ in range(2):
        driver.destroy(spec.server, spec.vifs)
        _is_clean(driver, hypervisor, instances)
    assert plugged == [('unplug', PORT)] * 2


def test_disks_outlive_a_guest_that_cannot_be_stopped(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    running: FakeDomain,
    hypervisor: FakeConnection,
    instances: pathlib.Path,
) -> None:
    hypervisor.fail('destroy', FakeLibvirt.VIR_ERR_INTERNAL_ERROR)
    with pytest.raises(exception.VirtDriverError):
        driver.destroy(spec.server, spec.vifs)
    assert (instances / UUID / 'disk').exists()


def test_foreign_domains_are_left_alone(
    driver: libvirt_driver.LibvirtDriver, spec: GuestSpec, hypervisor: FakeConnection
) -> None:
    foreign = hypervisor.defineXML(f'<domain><name>x</name><uuid>{UUID}</uuid></domain>')
    foreign.createWithFlags(0)
    driver.destroy(spec.server, [])
    assert foreign.isActive() and UUID in hypervisor.domains
    with pytest.raises(exception.GuestNotFound):
        driver.power_off(spec.server, 0)


def test_power_cycle(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    running: FakeDomain,
    plugged: Plugged,
    hypervisor: FakeConnection,
) -> None:
    driver.power_off(spec.server, 10)
    assert driver.get_power_state(UUID) == PowerState.SHUTDOWN
    assert 'destroy' not in hypervisor.calls
    driver.power_on(spec.server, spec.vifs)
    assert driver.get_power_state(UUID) == PowerState.RUNNING
    assert plugged == [('unplug', PORT), ('plug', PORT)]
    plugged.clear()
    driver.power_on(spec.server, spec.vifs)
    assert not plugged


def test_deaf_guest_is_powered_off_all_the_same(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    running: FakeDomain,
    hypervisor: FakeConnection,
) -> None:
    hypervisor.ignore_shutdown = True
    driver.power_off(spec.server, 1)
    assert driver.get_power_state(UUID) == PowerState.SHUTDOWN
    assert 'shutdown' in hypervisor.calls and 'destroy' in hypervisor.calls


def test_soft_reboot_keeps_the_domain(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    running: FakeDomain,
    plugged: Plugged,
    hypervisor: FakeConnection,
) -> None:
    hypervisor.calls.clear()
    driver.reboot(spec.server, spec.vifs, 'SOFT')
    assert 'defineXML' not in hypervisor.calls
    assert plugged == [('unplug', PORT), ('plug', PORT)]
    assert driver.get_power_state(UUID) == PowerState.RUNNING


@pytest.mark.parametrize('trouble', ['deaf', 'off', 'start fails', 'hard'])
def test_hard_reboot_makes_everything_anew(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    running: FakeDomain,
    plugged: Plugged,
    hypervisor: FakeConnection,
    trouble: str,
) -> None:
    hypervisor.ignore_shutdown = trouble == 'deaf'
    if trouble == 'off':
        running.stop()
    if trouble == 'start fails':
        hypervisor.fail('createWithFlags')
    hypervisor.calls.clear()
    driver.reboot(spec.server, spec.vifs, 'HARD' if trouble == 'hard' else 'SOFT')
    assert 'defineXML' in hypervisor.calls
    assert plugged[-2:] == [('unplug', PORT), ('plug', PORT)]
    assert driver.get_power_state(UUID) == PowerState.RUNNING


def test_new_domain_keeps_disks_and_machine_type(
    driver: libvirt_driver.LibvirtDriver,
    conf: cfg.ConfigOpts,
    spec: GuestSpec,
    running: FakeDomain,
    instances: pathlib.Path,
) -> None:
    running.root.find('os/type').set('machine', 'pc-i440fx-7.2')  # type: ignore[union-attr]
    conf.set_override('hw_machine_type', ['x86_64=q35'], 'libvirt')
    conf.set_override('images_type', 'raw', 'libvirt')
    driver.reboot(spec.server, spec.vifs, 'HARD')
    assert running.root.find('os/type').get('machine') == 'pc-i440fx-7.2'  # type: ignore[union-attr]
    [disk] = running.root.findall('devices/disk')
    assert disk.find('driver').get('type') == 'qcow2'  # type: ignore[union-attr]
    assert disk.find('source').get('file') == str(instances / UUID / 'disk')  # type: ignore[union-attr]


def test_power_of_unknown_guests(driver: libvirt_driver.LibvirtDriver, server: Server) -> None:
    for change in (
        lambda: driver.power_on(server, []),
        lambda: driver.power_off(server, 0),
        lambda: driver.reboot(server, [], 'SOFT'),
        lambda: driver.get_power_state(server.uuid),
        lambda: driver.get_console_output(server),
    ):
        with pytest.raises(exception.GuestNotFound):
            change()


def test_events_tell_what_we_did_not_do(
    driver: libvirt_driver.LibvirtDriver, spec: GuestSpec, running: FakeDomain
) -> None:
    told: list[tuple[str, Events]] = []
    driver.on_event(lambda uuid, event: told.append((uuid, event)))
    driver._on_event(UUID, Events.RESUMED)  # late, from the build
    assert told == []
    running.stop()
    driver._on_event(UUID, Events.STOPPED)
    driver._on_event(UUID, Events.STOPPED)
    assert told == [(UUID, Events.STOPPED)]
    driver.destroy(spec.server, spec.vifs)
    driver._on_event(UUID, Events.REMOVED)
    assert told == [(UUID, Events.STOPPED)]


def test_restart_finds_guests_and_sweeps(
    driver: libvirt_driver.LibvirtDriver,
    conf: cfg.ConfigOpts,
    spec: GuestSpec,
    running: FakeDomain,
    instances: pathlib.Path,
) -> None:
    node = driver.get_node().uuid
    half = 'aaaaaaaa-bb0c-4c02-a74a-b7c7e5c0d001'
    other = 'bbbbbbbb-bb0c-4c02-a74a-b7c7e5c0d001'
    for uuid, owner in ((half, node), (other, 'another node'), (other + '_del', node)):
        (instances / uuid).mkdir()
        (instances / uuid / 'node').write_text(owner)
    again = libvirt_driver.LibvirtDriver(conf)
    again.init_host('compute1')
    assert again.get_node().uuid == node
    assert again.list_guests() == sorted([UUID, half])
    assert not (instances / (other + '_del')).exists()
    spec.server.uuid = other
    again.destroy(spec.server, [])
    assert (instances / other).exists()


def test_unreachable_libvirt(conf: cfg.ConfigOpts, library: FakeLibvirt, plugged: Plugged) -> None:
    library.unreachable = True
    with pytest.raises(exception.VirtDriverError, match='no socket'):
        libvirt_driver.LibvirtDriver(conf).init_host('compute1')


def test_uptime(driver: libvirt_driver.LibvirtDriver) -> None:
    assert 'load average' in driver.get_uptime()


def test_diagnostics(
    driver: libvirt_driver.LibvirtDriver,
    running: FakeDomain,
    server: Server,
    hypervisor: FakeConnection,
) -> None:
    running.cpu_time = 99
    found = driver.get_diagnostics(server)
    assert (found.state, found.hypervisor, found.driver) == ('running', 'qemu', 'libvirt')
    assert [(cpu.id, cpu.time) for cpu in found.cpus] == [(0, 99), (1, 99)]
    assert (found.memory_maximum, found.memory_stats['rss']) == (512 * 1024, 4096)
    (disk,) = found.disks
    assert (disk.device, disk.read_requests, disk.read_bytes) == ('vda', 1, 2)
    assert (disk.write_requests, disk.write_bytes, disk.errors_count) == (3, 4, -1)
    (nic,) = found.nics
    assert (nic.device, nic.mac_address) == ('tap0a1b2c3d-00', 'fa:16:3e:00:00:01')
    received = (nic.rx_octets, nic.rx_packets, nic.rx_errors, nic.rx_drop)
    sent = (nic.tx_octets, nic.tx_packets, nic.tx_errors, nic.tx_drop)
    assert (received, sent) == ((10, 11, 12, 13), (20, 21, 22, 23))
    hypervisor.fail('blockStats')
    hypervisor.fail('interfaceStats')
    partly = driver.get_diagnostics(server)
    assert (partly.disks[0].read_bytes, partly.nics[0].rx_octets) == (None, None)


def test_images_are_kept_ready(
    driver: libvirt_driver.LibvirtDriver, server: Server, images: Images
) -> None:
    assert driver.cache_image(server.image, images)
    assert not driver.cache_image(server.image, images)
    assert images.downloads == [server.image.id]


def test_disks_that_were_taken_over_go_back(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    images: Images,
    instances: pathlib.Path,
    running: FakeDomain,
    hypervisor: FakeConnection,
) -> None:
    disk, owner = instances / UUID / 'disk', instances / UUID / 'node'
    ours = owner.read_text()
    driver._remover.remove_guest(UUID)
    owner.write_text('a dead host')
    spec.adopt = True
    driver.spawn(spec, images, at_once)
    assert owner.read_text() == ours and UUID in hypervisor.domains
    for _ in range(2):
        driver.hand_back(spec.server, spec.vifs)
        assert disk.exists() and owner.read_text() == 'a dead host'
    assert UUID not in hypervisor.domains


def test_disks_that_are_ours_alone_are_not_handed_back(
    driver: libvirt_driver.LibvirtDriver,
    spec: GuestSpec,
    instances: pathlib.Path,
    running: FakeDomain,
) -> None:
    driver.hand_back(spec.server, spec.vifs)
    assert not (instances / UUID).exists()
