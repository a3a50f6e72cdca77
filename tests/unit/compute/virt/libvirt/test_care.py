"""Suspending, rescue, the agent and snapshots, where libvirt or the guest does not play along."""

import os
import pathlib
from typing import Any

import pytest
from lxml import etree
from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec, ImageSink, PowerState
from kilonova.compute.virt.libvirt import agent, rescue_disks
from kilonova.compute.virt.libvirt import driver as libvirt_driver
from kilonova.compute.virt.libvirt.disk import qemu_img, snapshot
from kilonova.tests.fakes.libvirt import FakeConnection, FakeDomain, FakeLibvirt
from kilonova.tests.unit.compute.virt.libvirt.conftest import UUID, Images

Driver = libvirt_driver.LibvirtDriver


@pytest.fixture
def qemu(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Stands for qemu-img, which makes empty files; returns what it was asked for."""
    done: list[tuple[str, ...]] = []

    def make(what: str, at: int) -> Any:
        def run(self: Any, *args: Any) -> None:
            done.append((what, *map(str, args)))
            pathlib.Path(args[at]).write_bytes(b'')

        return run

    monkeypatch.setattr(qemu_img.QemuImg, 'create', make('create', 0))
    monkeypatch.setattr(qemu_img.QemuImg, 'create_overlay', make('overlay', 0))
    monkeypatch.setattr(qemu_img.QemuImg, 'flatten', make('flatten', 2))
    monkeypatch.setattr(qemu_img.QemuImg, 'is_free', lambda self, path, kind: True)
    monkeypatch.setattr(
        qemu_img.QemuImg, 'info', lambda self, path, kind: {'virtual-size': 1 << 30}
    )
    return done


@pytest.fixture
def driver(
    conf: cfg.ConfigOpts,
    library: FakeLibvirt,
    qemu: list[tuple[str, ...]],
    plugged: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Driver:
    from kilonova.compute.virt.libvirt.disk import inspection

    monkeypatch.setattr(
        inspection, 'inspect', lambda conf, image, path: inspection.Inspected('raw', 65536)
    )
    made = Driver(conf)
    made.init_host('compute1')
    return made


@pytest.fixture
def domain(
    driver: Driver, server: Server, images: Images, hypervisor: FakeConnection
) -> FakeDomain:
    server.image.properties = {'hw_qemu_guest_agent': 'yes'}
    driver.spawn(GuestSpec(server=server, vifs=[]), images, lambda start: start())
    hypervisor.calls.clear()
    return hypervisor.domains[UUID]


def test_suspend_and_resume_may_be_asked_twice(
    driver: Driver, server: Server, domain: FakeDomain, hypervisor: FakeConnection
) -> None:
    driver.suspend(server)
    driver.suspend(server)
    assert (domain.saved, driver.get_power_state(UUID)) == (True, PowerState.SHUTDOWN)
    driver.resume(server, [])
    driver.resume(server, [])
    assert driver.get_power_state(UUID) == PowerState.RUNNING
    assert hypervisor.calls.count('managedSave') == hypervisor.calls.count('createWithFlags') == 1
    assert hypervisor.calls.count('setTime') == 1


def test_a_guest_that_is_off_is_not_suspended(
    driver: Driver, server: Server, domain: FakeDomain
) -> None:
    driver.power_off(server, 0)
    with pytest.raises(exception.VirtDriverError, match='nothing to save'):
        driver.suspend(server)


def test_a_clock_that_cannot_be_set_stops_nobody(
    driver: Driver, server: Server, domain: FakeDomain, hypervisor: FakeConnection
) -> None:
    driver.pause(server)
    hypervisor.fail('setTime', FakeLibvirt.VIR_ERR_AGENT_UNRESPONSIVE)
    driver.unpause(server)
    assert driver.get_power_state(UUID) == PowerState.RUNNING


def test_starting_goes_on_where_the_host_saved_the_guest(
    driver: Driver, server: Server, domain: FakeDomain, hypervisor: FakeConnection
) -> None:
    domain.managedSave(0)
    driver.power_on(server, [])
    assert 'defineXML' not in hypervisor.calls
    domain.managedSave(0)
    hypervisor.fail('createWithFlags')
    driver.power_on(server, [])
    assert 'defineXML' in hypervisor.calls  # a saved state of no use: it boots
    assert driver.get_power_state(UUID) == PowerState.RUNNING


@pytest.mark.parametrize(
    ('properties', 'user'),
    [
        ({}, 'root'),
        ({'os_type': 'windows'}, 'Administrator'),
        ({'os_type': 'windows', 'os_admin_user': 'boss'}, 'boss'),
    ],
)
def test_whose_password_is_set(
    driver: Driver, server: Server, domain: FakeDomain, properties: dict[str, str], user: str
) -> None:
    server.image.properties = {'hw_qemu_guest_agent': 'yes', **properties}
    driver.set_admin_password(server, 'secret')
    assert domain.password == (user, 'secret')


def test_no_password_without_an_agent(driver: Driver, server: Server, domain: FakeDomain) -> None:
    server.image.properties = {}
    with pytest.raises(exception.VirtDriverError, match='hw_qemu_guest_agent'):
        driver.set_admin_password(server, 'secret')


class Sink(ImageSink):
    def __init__(self) -> None:
        self.formats: list[str] = []

    def upload(self, path: str, disk_format: str) -> None:
        assert os.path.exists(path)
        self.formats.append(disk_format)


def test_a_running_guest_is_copied_by_qemu(
    driver: Driver,
    conf: cfg.ConfigOpts,
    server: Server,
    domain: FakeDomain,
    hypervisor: FakeConnection,
    qemu: list[tuple[str, ...]],
) -> None:
    sink = Sink()
    driver.snapshot(server, sink)
    assert sink.formats == ['qcow2']
    order = [call for call in hypervisor.calls if call in ('fsFreeze', 'backupBegin', 'fsThaw')]
    assert order == ['fsFreeze', 'backupBegin', 'fsThaw']
    [disk] = etree.fromstring(domain.copies[0]).findall("disks/disk[@backup='yes']")
    assert disk.get('name') == 'vda'
    assert os.listdir(conf.libvirt.snapshots_directory) == []
    assert not any(what == 'flatten' for what, *_ in qemu)


@pytest.mark.parametrize(('kind', 'squeeze'), [('vmdk', False), ('qcow2', True), ('vdi', True)])
def test_what_qemu_does_not_write_at_once_is_made_of_that(
    driver: Driver,
    conf: cfg.ConfigOpts,
    server: Server,
    domain: FakeDomain,
    qemu: list[tuple[str, ...]],
    kind: str,
    squeeze: bool,
) -> None:
    conf.set_override('snapshot_image_format', kind, 'libvirt')
    conf.set_override('snapshot_compression', squeeze, 'libvirt')
    sink = Sink()
    driver.snapshot(server, sink)
    assert sink.formats == [kind]
    assert [args[-2:] for args in qemu if args[0] == 'flatten'] == [(kind, str(squeeze))]


def test_a_copy_that_fails_says_why_and_leaves_nothing(
    driver: Driver, conf: cfg.ConfigOpts, server: Server, domain: FakeDomain
) -> None:
    domain.job = {'success': False, 'errmsg': 'No space left on device'}
    with pytest.raises(exception.VirtDriverError, match='No space left'):
        driver.snapshot(server, Sink())
    assert not domain.frozen
    assert os.listdir(conf.libvirt.snapshots_directory) == []


def test_a_copy_that_cannot_begin_leaves_the_guest_thawed(
    driver: Driver, server: Server, domain: FakeDomain, hypervisor: FakeConnection
) -> None:
    hypervisor.fail('backupBegin')
    with pytest.raises(exception.VirtDriverError, match='on purpose'):
        driver.snapshot(server, Sink())
    assert not domain.frozen


def test_a_copy_that_is_still_open_is_waited_for(
    driver: Driver, server: Server, domain: FakeDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([False, True])
    monkeypatch.setattr(qemu_img.QemuImg, 'is_free', lambda self, path, kind: next(looks))
    monkeypatch.setattr(snapshot, 'POLL', 0.01)
    driver.snapshot(server, Sink())
    assert next(looks, None) is None
    monkeypatch.setattr(qemu_img.QemuImg, 'is_free', lambda self, path, kind: False)
    monkeypatch.setattr(snapshot, 'CLOSING', 0)
    with pytest.raises(exception.VirtDriverError, match='still writes'):
        driver.snapshot(server, Sink())


def test_disk_that_is_full_is_said(
    driver: Driver, server: Server, domain: FakeDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise processutils.ProcessExecutionError(stderr='qemu-img: x: No space left on device\n')

    driver.power_off(server, 0)
    monkeypatch.setattr(qemu_img.QemuImg, 'flatten', full)
    with pytest.raises(exception.VirtDriverError, match='No space left on device'):
        driver.snapshot(server, Sink())


def test_quiescing_is_tried_and_may_be_required(
    driver: Driver, server: Server, domain: FakeDomain, hypervisor: FakeConnection
) -> None:
    guest = driver._guests.find(UUID)
    hypervisor.fail('fsFreeze', FakeLibvirt.VIR_ERR_AGENT_UNRESPONSIVE)
    with agent.quiesced(guest, server):
        assert not domain.frozen
    server.image.properties['os_require_quiesce'] = 'yes'
    hypervisor.fail('fsFreeze', FakeLibvirt.VIR_ERR_AGENT_UNRESPONSIVE)
    with pytest.raises(exception.VirtDriverError), agent.quiesced(guest, server):
        pass
    driver.pause(server)
    with pytest.raises(exception.VirtDriverError, match='requires'), agent.quiesced(guest, server):
        pass


def test_what_a_killed_snapshot_has_left_is_swept(driver: Driver, conf: cfg.ConfigOpts) -> None:
    folder = pathlib.Path(conf.libvirt.snapshots_directory)
    node = driver.get_node().uuid
    (folder / f'{node}-x').mkdir(parents=True)
    (folder / 'another-node').mkdir()
    again = Driver(conf)
    again.init_host('compute1')
    assert [path.name for path in folder.iterdir()] == ['another-node']


def test_rescue_that_cannot_start_is_taken_back(
    driver: Driver,
    server: Server,
    domain: FakeDomain,
    hypervisor: FakeConnection,
    images: Images,
    conf: cfg.ConfigOpts,
) -> None:
    directory = pathlib.Path(conf.instances_path) / UUID
    before = sorted(path.name for path in directory.iterdir())
    hypervisor.fail('createWithFlags')
    with pytest.raises(exception.VirtDriverError, match='on purpose'):
        driver.rescue(server, [], images, None)
    assert driver.get_power_state(UUID) == PowerState.RUNNING
    assert len(domain.root.findall('devices/disk')) == 1
    assert sorted(path.name for path in directory.iterdir()) == before


def test_rescue_that_is_begun_again_keeps_the_first_domain(
    driver: Driver, server: Server, domain: FakeDomain, images: Images, conf: cfg.ConfigOpts
) -> None:
    for _ in range(2):
        driver.rescue(server, [], images, None)
    assert [node.get('dev') for node in domain.root.findall('devices/disk/target')] == [
        'vda',
        'vdb',
    ]
    driver.unrescue(server, [])
    assert [node.get('dev') for node in domain.root.findall('devices/disk/target')] == ['vda']
    driver.unrescue(server, [])


def test_kernel_and_password_of_a_rescue(
    driver: Driver,
    server: Server,
    domain: FakeDomain,
    images: Images,
    conf: cfg.ConfigOpts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kilonova.compute.virt.libvirt.disk import config_drive

    made: list[dict[str, bytes]] = []
    monkeypatch.setattr(config_drive, 'make', lambda conf, tree, path: made.append(tree))
    conf.set_override('rescue_kernel_id', 'a-kernel', 'libvirt')
    conf.set_override('rescue_ramdisk_id', 'a-ramdisk', 'libvirt')
    drive = etree.fromstring(
        f'<disk device="cdrom"><source file="{conf.instances_path}/{UUID}/disk.config"/>'
        '<target dev="hda" bus="ide"/></disk>'
    )
    domain.root.find('devices').append(drive)  # type: ignore[union-attr]
    driver.rescue(server, [], images, None, {'password': b'x'})
    assert made == [{'password': b'x'}]
    sources = [node.get('file') for node in domain.root.findall('devices/disk/source')]
    assert [os.path.basename(str(path)) for path in sources] == [
        'disk.rescue',
        'disk',
        'disk.config.rescue',
    ]
    assert os.path.basename(str(domain.root.findtext('os/kernel'))) == 'kernel.rescue'
    assert {'a-kernel', 'a-ramdisk'} <= set(images.downloads)


def test_every_place_on_a_bus_may_be_taken() -> None:
    xml = '<domain><devices>{}</devices></domain>'
    disks = ''.join(f'<disk><target dev="hd{letter}" bus="ide"/></disk>' for letter in 'abcd')
    with pytest.raises(exception.InvalidInput, match='ide'):
        rescue_disks._free(etree.fromstring(xml.format(disks)), 'ide')
