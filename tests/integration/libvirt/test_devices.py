"""Ports and volumes that come to running guests and leave them."""

import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec, PowerState
from kilonova.tests.integration.libvirt import hosts
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.libvirt.hosts import Host, make_port, make_server
from kilonova.tests.integration.libvirt.storage import MIB, Storage, device, info

pytestmark = pytest.mark.integration

KEY_ID = '00000000-0000-0000-0000-000000000000'


@pytest.fixture(scope='module')
def host(libvirt_folder: pathlib.Path) -> Iterator[Host]:
    with hosts.one(libvirt_folder) as found:
        found.conf.set_override('iscsi_initiator', 'qemu', 'libvirt')
        found.conf.set_override('fixed_key', 'ab' * 32, 'key_manager')
        found.again()
        yield found


@pytest.fixture(scope='module')
def storage(host: Host, libvirt_folder: pathlib.Path) -> Iterator[Storage]:
    found = Storage(host, host.instances.parent / 'storage')
    yield found
    found.close()


@pytest.fixture(scope='module')
def server(host: Host, guest_image: pathlib.Path) -> Iterator[Server]:
    """A guest that all tests here share: each leaves it as it was."""
    found = make_server()
    host.driver.spawn(GuestSpec(server=found, vifs=[]), File(guest_image), lambda start: start())
    host.ready(found)
    yield found
    host.driver.destroy(found, [])
    assert host.domains() == []


def test_ports_come_and_go(host: Host, server: Server) -> None:
    ports = [make_port(number) for number in (1, 2)]
    for port in ports:
        host.driver.attach_interface(server, port)
        host.driver.attach_interface(server, port)  # a host that has crashed does it again
        host.says(server, port.address)
    assert host.daemon.virsh('domiflist', server.uuid).count('br-data') == 2
    for port in ports:
        host.driver.detach_interface(server, port)
        host.driver.detach_interface(server, port)
    assert 'br-data' not in host.daemon.virsh('domiflist', server.uuid)
    assert 'br-data' not in host.daemon.virsh('domiflist', '--inactive', server.uuid)


def test_a_port_that_cannot_be_had_leaves_nothing(host: Host, server: Server) -> None:
    port = make_port(3, bridge_name='br-none')
    with pytest.raises(exception.VirtDriverError, match='br-none'):
        host.driver.attach_interface(server, port)
    assert port.address not in host.daemon.virsh('dumpxml', server.uuid)
    assert port.address not in host.daemon.virsh('dumpxml', '--inactive', server.uuid)


def test_volumes_by_file_nbd_and_iscsi(host: Host, server: Server, storage: Storage) -> None:
    volumes = [
        device(1, 'vdb', info('local', device_path=str(storage.file('one')), format='raw')),
        device(2, 'vdc', storage.nbd(storage.file('two', 9))),
        device(3, 'vdd', storage.iscsi(storage.file('three', 10))),
    ]
    for number, volume in enumerate(volumes):
        server.block_devices.append(volume)
        host.driver.attach_volume(server, volume)
        host.driver.attach_volume(server, volume)
        name = (volume.device_name or '').removeprefix('/dev/')
        text = host.says(server, f'block={name} bytes={(8 + number) * MIB}')
        assert f'serial={(volume.volume_id or "")[:20]}' in text
    assert 'secret' in host.daemon.virsh('dumpxml', server.uuid)
    assert 'a-long-password' not in host.daemon.virsh('dumpxml', '--security-info', server.uuid)

    (storage.folder / 'one').open('r+b').truncate(12 * MIB)
    host.driver.extend_volume(server, volumes[0], 12 * MIB)
    host.says(server, f'{12 * MIB}')

    # All is reached again by a hard reboot, also after the secrets are gone.
    host.daemon.restart()
    host.again()
    host.driver.reboot(server, [], 'HARD')
    text = host.ready(server)
    for name in ('vdb', 'vdc', 'vdd'):
        assert f'block={name} bytes=' in text

    for volume in volumes:
        host.driver.detach_volume(server, volume)
        host.driver.detach_volume(server, volume)
        server.block_devices.remove(volume)
    assert 'vdb' not in host.daemon.virsh('domblklist', server.uuid)
    assert host.daemon.virsh('secret-list').strip() == ''


def test_an_encrypted_volume(host: Host, server: Server, storage: Storage) -> None:
    path = storage.file('secret', 12)
    volume = device(
        4,
        'vdb',
        info(
            'local',
            device_path=str(path),
            encryption={'provider': 'luks', 'encryption_key_id': KEY_ID},
        ),
    )
    host.driver.attach_volume(server, volume)
    assert path.read_bytes()[:6] == b'LUKS\xba\xbe'
    assert path.stat().st_size == 12 * MIB
    host.says(server, f'block=vdb bytes={12 * MIB - 2068480}')
    host.driver.detach_volume(server, volume)
    assert host.daemon.virsh('secret-list').strip() == ''


def test_a_volume_is_exchanged_while_the_guest_writes(
    host: Host, server: Server, storage: Storage
) -> None:
    old = device(5, 'vdb', info('local', device_path=str(storage.file('old'))))
    new = device(6, '', info('local', device_path=str(storage.file('new'))))
    (storage.folder / 'old').open('r+b').write(b'content')
    server.block_devices.append(old)
    host.driver.attach_volume(server, old)
    host.driver.swap_volume(server, old, new)
    assert (storage.folder / 'new').read_bytes()[:7] == b'content'
    server.block_devices[-1] = new
    assert '/new' in host.daemon.virsh('domblklist', server.uuid)
    assert '/new' in host.daemon.virsh('domblklist', '--inactive', server.uuid)
    host.driver.detach_volume(server, new)
    server.block_devices.remove(new)
    assert 'vdb' not in host.daemon.virsh('domblklist', server.uuid)


def test_snapshots_that_cinder_asks_for(host: Host, server: Server, storage: Storage) -> None:
    path = storage.folder / 'chain'
    _qemu_img('create', '-f', 'qcow2', str(path), '8M')
    volume = device(7, 'vdb', info('local', device_path=str(path), format='qcow2'))
    server.block_devices.append(volume)
    host.driver.attach_volume(server, volume)
    for name, base in (('chain.1', 'chain'), ('chain.2', 'chain.1')):
        _qemu_img(
            'create', '-f', 'qcow2', '-b', base, '-F', 'qcow2', str(storage.folder / name), '8M'
        )
        request = {'new_file': name, 'snapshot_id': name, 'type': 'qcow2'}
        for _ in range(2):
            host.driver.create_volume_snapshot(server, volume.volume_id or '', request)
    assert '/chain.2' in host.daemon.virsh('domblklist', server.uuid)
    # The older one goes: what it holds is written down to the base.
    request = {'file_to_merge': 'chain.1', 'merge_target_file': 'chain', 'type': 'qcow2'}
    host.driver.delete_volume_snapshot(server, volume.volume_id or '', request)
    assert 'chain.1' not in host.daemon.virsh('dumpxml', server.uuid)
    # The newer one goes: its base is pulled into it.
    newer = {'file_to_merge': None, 'type': 'qcow2'}
    host.driver.delete_volume_snapshot(server, volume.volume_id or '', newer)
    assert '/chain.2' in host.daemon.virsh('domblklist', server.uuid)
    assert (
        "<backingStore type='file'"
        not in host.daemon.virsh('dumpxml', server.uuid).split('chain.2')[1].split('</disk>')[0]
    )
    host.driver.detach_volume(server, volume)
    server.block_devices.remove(volume)


def test_a_volume_that_refuses(host: Host, server: Server, storage: Storage) -> None:
    """Nothing is left in the guest, and the error says what could not be reached."""
    volume = device(8, 'vdb', info('nbd', host=host.address, port=9, export='none'))
    with pytest.raises(exception.VirtDriverError, match='refused'):
        host.driver.attach_volume(server, volume)
    missing = device(9, 'vdb', info('local', device_path=str(storage.folder / 'missing')))
    with pytest.raises(exception.VirtDriverError, match='missing'):
        host.driver.attach_volume(server, missing)
    unknown = device(10, 'vdb', info('carrier-pigeon'))
    with pytest.raises(exception.VirtDriverError, match='carrier-pigeon'):
        host.driver.attach_volume(server, unknown)
    assert 'vdb' not in host.daemon.virsh('domblklist', server.uuid)
    assert 'vdb' not in host.daemon.virsh('domblklist', '--inactive', server.uuid)


def test_a_guest_boots_from_a_volume(
    host: Host, storage: Storage, guest_image: pathlib.Path
) -> None:
    path = storage.folder / 'root'
    _qemu_img('convert', '-O', 'raw', str(guest_image), str(path))
    root = device(11, 'vda', info('local', device_path=str(path)), boot_index=0)
    found = make_server()
    found.image.id = ''
    found.block_devices = [root]
    changes = host.driver.spawn(
        GuestSpec(
            server=found,
            vifs=[],
            config_drive=lambda places: {'openstack/latest/meta_data.json': b'{}'},
        ),
        File(guest_image),
        lambda start: start(),
    )
    assert changes['root_device_name'] == '/dev/vda'
    assert f'serial={(root.volume_id or "")[:20]}' in host.ready(found)
    host.driver.power_off(found, 0)
    host.driver.power_on(found, [])
    assert host.driver.get_power_state(found.uuid) == PowerState.RUNNING
    host.driver.destroy(found, [])
    assert path.exists()


def _qemu_img(*words: str) -> None:
    subprocess.run(['qemu-img', *words], check=True, timeout=60, stdout=subprocess.DEVNULL)
