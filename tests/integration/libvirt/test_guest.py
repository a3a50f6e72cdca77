"""Real guests, run by emulation, without a network."""

import contextlib
import json
import os
import pathlib
import socket
from collections.abc import Callable

import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import Events, GuestSpec, PowerState
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.libvirt.daemon import Libvirtd
from kilonova.tests.integration.processes import wait_for

pytestmark = pytest.mark.integration

Removed = Callable[[Server], None]
READY = 180


def drive(hostname: str) -> dict[str, bytes]:
    content = json.dumps({'uuid': 'from-the-drive', 'hostname': hostname})
    return {
        'openstack/latest/meta_data.json': content.encode(),
        'openstack/content/0000': b'personality',
    }


def ready(driver: LibvirtDriver, server: Server, times: int = 1) -> str:
    """Wait until the guest has come up that often; return its console."""

    def look() -> str | None:
        text = driver.get_console_output(server).decode(errors='replace')
        return text if text.count('lab-guest: ready') >= times else None

    return str(wait_for('the guest', look, READY, 0.5))


def test_life(
    driver: LibvirtDriver,
    conf: cfg.ConfigOpts,
    server: Server,
    guest_image: pathlib.Path,
    removed: Removed,
    instances: pathlib.Path,
) -> None:
    told: list[Events] = []
    driver.on_event(lambda uuid, event: told.append(event))
    changes = driver.spawn(
        GuestSpec(server=server, vifs=[], config_drive=lambda places: drive('fromdrive')),
        File(guest_image),
        lambda start: start(),
    )
    assert changes['root_device_name'] == '/dev/vda'
    text = ready(driver, server)
    assert 'hostname=fromdrive uuid=from-the-drive' in text
    assert 'config_drive=/dev/sr0 fs=iso9660' in text
    assert 'block=vda bytes=1073741824' in text
    assert f'dmi_product_uuid={server.uuid}' in text
    assert 'dmi_product_name=OpenStack Nova' in text

    driver.power_off(server, 90)
    assert driver.get_power_state(server.uuid) == PowerState.SHUTDOWN
    driver.power_on(server, [])
    assert 'boot=2' in ready(driver, server, 2)
    driver.reboot(server, [], 'SOFT')
    assert 'boot=3' in ready(driver, server, 3)
    driver.reboot(server, [], 'HARD')
    assert text in ready(driver, server, 4)  # the console is kept across all of them
    assert told == []  # all of it was our own doing

    # A new process finds everything again.
    again = LibvirtDriver(conf)
    again.init_host('compute1')
    assert again.get_power_states() == {server.uuid: PowerState.RUNNING}
    assert again.get_node().uuid == driver.get_node().uuid
    removed(server)
    again.close()
    assert sorted(path.name for path in instances.iterdir()) == ['_base', 'locks']


@pytest.fixture
def raw_and_vfat(conf: cfg.ConfigOpts) -> None:
    conf.set_override('config_drive_format', 'vfat')
    conf.set_override('images_type', 'raw', 'libvirt')


def test_all_kinds_of_disks(
    raw_and_vfat: None,
    driver: LibvirtDriver,
    server: Server,
    guest_image: pathlib.Path,
    removed: Removed,
    libvirtd: Libvirtd,
) -> None:
    server.flavor.ephemeral_gb, server.flavor.swap = 1, 16
    server.image.properties = {'os_type': 'linux', 'hw_qemu_guest_agent': 'yes'}
    told: list[Events] = []
    driver.on_event(lambda uuid, event: told.append(event))
    spec = GuestSpec(server=server, vifs=[], config_drive=lambda places: drive('fromvfat'))
    driver.spawn(spec, File(guest_image), lambda start: start())
    text = ready(driver, server)
    assert 'fs=vfat' in text and 'hostname=fromvfat' in text
    for disk in ('vda bytes=1073741824', 'vdb bytes=1073741824', 'vdc bytes=16777216'):
        assert f'block={disk}' in text

    libvirtd.virsh('destroy', server.uuid)
    wait_for('the event', lambda: Events.STOPPED in told, 20)
    assert driver.get_power_state(server.uuid) == PowerState.SHUTDOWN
    removed(server)


def test_guest_is_paused_until_its_ports_are_plugged(
    driver: LibvirtDriver, server: Server, guest_image: pathlib.Path, removed: Removed
) -> None:
    seen = []

    def never(start: Callable[[], None]) -> None:
        start()
        seen.append(driver.get_power_state(server.uuid))
        raise exception.VirtualInterfacePlugTimeout(uuid=server.uuid, ports='p')

    with pytest.raises(exception.VirtualInterfacePlugTimeout):
        driver.spawn(GuestSpec(server=server, vifs=[]), File(guest_image), never)
    assert seen == [PowerState.PAUSED]
    removed(server)


def test_second_attempt_replaces_the_first(
    driver: LibvirtDriver, server: Server, guest_image: pathlib.Path, removed: Removed
) -> None:
    spec = GuestSpec(server=server, vifs=[])
    for _ in range(2):
        driver.spawn(spec, File(guest_image), lambda start: start())
    assert driver.get_power_states() == {server.uuid: PowerState.RUNNING}
    removed(server)


@pytest.fixture
def with_serial_ports(conf: cfg.ConfigOpts) -> None:
    conf.set_override('enabled', True, 'serial_console')


def test_consoles_are_where_the_driver_says(
    with_serial_ports: None,
    driver: LibvirtDriver,
    server: Server,
    guest_image: pathlib.Path,
    removed: Removed,
) -> None:
    driver.spawn(GuestSpec(server=server, vifs=[]), File(guest_image), lambda start: start())
    place = driver.get_vnc_console(server)
    with socket.create_connection((place.host, place.port), 10) as display:
        assert display.recv(4) == b'RFB '
    place = driver.get_serial_console(server)
    with socket.create_connection((place.host, place.port), 10) as port:
        port.settimeout(READY)
        assert port.recv(1)
    with pytest.raises(exception.ConsoleTypeUnavailable):
        driver.get_spice_console(server)
    driver.power_off(server, 0)
    with pytest.raises(exception.GuestNotFound):
        driver.get_vnc_console(server)
    removed(server)


def test_the_image_under_a_guest_stays_in_the_cache(
    driver: LibvirtDriver,
    server: Server,
    guest_image: pathlib.Path,
    removed: Removed,
    instances: pathlib.Path,
) -> None:
    driver.spawn(GuestSpec(server=server, vifs=[]), File(guest_image), lambda start: start())
    (base,) = (path for path in (instances / '_base').iterdir() if not path.suffix)
    for _ in range(2):
        os.utime(base, (0, 0))
        driver.age_images([])
        assert base.exists()
    removed(server)
    os.utime(base, (0, 0))
    driver.age_images([])
    assert list((instances / '_base').iterdir()) == []


def test_other_peoples_domains_are_not_ours(
    driver: LibvirtDriver, server: Server, libvirtd: Libvirtd, tmp_path: pathlib.Path
) -> None:
    xml = tmp_path / 'other.xml'
    xml.write_text(
        f"<domain type='qemu'><name>other</name><uuid>{server.uuid}</uuid>"
        "<memory unit='MiB'>16</memory><os><type>hvm</type></os></domain>"
    )
    libvirtd.virsh('define', str(xml))
    try:
        assert driver.list_guests() == []
        driver.destroy(server, [])
        assert server.uuid in libvirtd.virsh('list', '--all', '--uuid')
    finally:
        libvirtd.virsh('undefine', 'other')


def test_restart_of_libvirt_is_survived(
    driver: LibvirtDriver,
    server: Server,
    guest_image: pathlib.Path,
    removed: Removed,
    libvirtd: Libvirtd,
) -> None:
    told: list[Events] = []
    driver.on_event(lambda uuid, event: told.append(event))
    driver.spawn(GuestSpec(server=server, vifs=[]), File(guest_image), lambda start: start())
    libvirtd.restart()
    with contextlib.suppress(exception.VirtDriverError):
        driver.get_power_states()  # may be the call that finds the connection lost
    assert driver.get_power_states() == {server.uuid: PowerState.RUNNING}
    libvirtd.virsh('suspend', server.uuid)
    wait_for('an event over the new connection', lambda: Events.PAUSED in told, 20)
    removed(server)
