"""A booted guest finds its tagged devices where its metadata says they are."""

import json
import pathlib
from collections.abc import Iterator

import pytest

from kilonova.common.metadata import devices
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute import config_drive
from kilonova.compute.virt.driver import GuestSpec
from kilonova.tests.integration.libvirt import hosts
from kilonova.tests.integration.libvirt.booted import Booted
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.libvirt.hosts import Host, make_port, make_server
from kilonova.tests.integration.libvirt.storage import Storage, device, info
from kilonova.tests.integration.processes import wait_for

pytestmark = pytest.mark.integration

NAMES = 'cd /sys/class && for p in net/eth* block/vd* block/sd*; do readlink -f $p; done; true'


@pytest.fixture(scope='module')
def host(libvirt_folder: pathlib.Path) -> Iterator[Host]:
    with hosts.one(libvirt_folder) as found:
        yield found


@pytest.fixture(scope='module')
def storage(host: Host) -> Iterator[Storage]:
    found = Storage(host, host.instances.parent / 'storage')
    yield found
    found.close()


@pytest.fixture(scope='module')
def guest(host: Host, guest_image: pathlib.Path, storage: Storage) -> Iterator[Booted]:
    """A guest with a tagged port and tagged disks on two buses, and a config drive."""
    server = make_server()
    server.image.properties = {'hw_qemu_guest_agent': 'yes'}
    server.network_info = [make_port(1), make_port(2)]
    server.network_info[1].tag = 'dmz'
    server.block_devices = [
        volume(storage, 1, 'vdb', tag='database'),
        volume(storage, 2, 'sda', tag='archive', disk_bus='scsi'),
    ]
    made = config_drive.build(host.conf, server, server.network_info, [], None)
    images = File(guest_image)
    spec = GuestSpec(server=server, vifs=server.network_info, config_drive=made)
    changes = host.driver.spawn(spec, images, lambda start: start())
    found = Booted(host.conf, host.driver, server, images, host.daemon, changes)
    found.wait_ready()
    yield found
    host.driver.destroy(server, server.network_info)


def volume(storage: Storage, number: int, name: str, **more: str) -> BlockDevice:
    path = storage.file(f'disk{number}')
    return device(number, name, info('local', device_path=str(path), format='raw'), **more)


def told(server: Server) -> dict[str, tuple[str, str]]:
    return {one['tags'][0]: (one['bus'], one['address']) for one in devices.told(server, 'latest')}


def seen(guest: Booted) -> str:
    """Return the paths of devices in the guest's /sys."""
    return guest.run(NAMES)


def both(paths: str) -> str | None:
    """Return the paths when the two devices that were attached are among them."""
    return paths if 'eth2' in paths and 'vdc' in paths else None


def is_there(paths: str, place: tuple[str, str], name: str) -> bool:
    """Whether a device of that name is below that place."""
    return any(f'/{place[1]}/' in path and name in path for path in paths.splitlines())


def test_the_guest_finds_them(guest: Booted) -> None:
    """What is on the drive was written before the guest first ran."""
    drive = guest.run('cat /run/md/drive/meta_data.json')  # where the guest keeps a copy
    found = {one['tags'][0]: one for one in json.loads(drive)['devices']}
    assert sorted(found) == ['archive', 'database', 'dmz']
    assert {t: (one['bus'], one['address']) for t, one in found.items()} == told(guest.server)
    paths = seen(guest)
    assert is_there(paths, told(guest.server)['dmz'], 'eth1'), paths
    assert is_there(paths, told(guest.server)['database'], 'vdb'), paths
    bus, address = told(guest.server)['archive']
    assert bus == 'scsi' and address == '0:0:0:0'
    assert any(path.endswith('/block/sda') and 'target' in path for path in paths.splitlines())


def test_what_is_attached_and_started_anew(guest: Booted, storage: Storage) -> None:
    server, driver = guest.server, guest.driver
    port, disk = make_port(3), volume(storage, 3, 'vdc', tag='scratch')
    port.tag = 'backup'
    driver.attach_interface(server, port)
    driver.attach_volume(server, disk)
    server.network_info.append(port)
    server.block_devices.append(disk)
    devices.put(driver.get_places(server), server.network_info, server.block_devices)
    paths = wait_for('hot plug', lambda: both(seen(guest)), 30)
    assert is_there(paths, told(server)['backup'], 'eth2'), paths
    assert is_there(paths, told(server)['scratch'], 'vdc'), paths

    boots = guest.boots()
    driver.reboot(server, server.network_info, 'HARD')
    guest.wait_ready(boots)
    devices.put(driver.get_places(server), server.network_info, server.block_devices)
    paths = seen(guest)
    addresses = guest.run('cd /sys/class/net && for n in eth*; do echo $n $(cat $n/address); done')
    names: dict[str, str] = {mac: name for name, mac in map(str.split, addresses.splitlines())}
    by_tag: dict[str, VIF] = {vif.tag: vif for vif in server.network_info if vif.tag}
    for tag in ('dmz', 'backup'):
        assert is_there(paths, told(server)[tag], names[by_tag[tag].address]), (tag, paths)
    assert told(server)['scratch'][0] == 'pci'
