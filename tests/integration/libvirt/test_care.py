"""One guest paused, suspended, asked by its agent, copied and rescued."""

import pathlib
import subprocess
import types
from typing import Any

import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.recovery import Recovery
from kilonova.compute.virt.driver import Events, ImageSink, PowerState
from kilonova.tests.integration.libvirt.booted import Booted
from kilonova.tests.integration.processes import wait_for

pytestmark = pytest.mark.integration


def shape(conf: cfg.ConfigOpts, server: Server) -> None:
    server.image.properties = {'hw_qemu_guest_agent': 'yes', 'os_type': 'linux'}


class Kept(ImageSink):
    """Keeps what is uploaded."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path, self.format = folder / 'uploaded', ''

    def upload(self, path: str, disk_format: str) -> None:
        self.format = disk_format
        self.path.write_bytes(pathlib.Path(path).read_bytes())


def qemu_img(*arguments: str) -> str:
    done = subprocess.run(['qemu-img', *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def uptime(guest: Booted) -> float:
    return float(guest.run('cat /proc/uptime').split()[0])


def test_pause(guest: Booted) -> None:
    for _ in range(2):
        guest.driver.pause(guest.server)
        assert guest.state == PowerState.PAUSED
    for _ in range(2):
        guest.driver.unpause(guest.server)
        assert guest.state == PowerState.RUNNING
    assert uptime(guest) > 0


def test_suspended_to_disk_and_resumed(guest: Booted) -> None:
    boots, before = guest.boots(), uptime(guest)
    for _ in range(2):
        guest.driver.suspend(guest.server)
        assert guest.state == PowerState.SHUTDOWN
    for _ in range(2):
        guest.driver.resume(guest.server, [])
        assert guest.state == PowerState.RUNNING
    assert uptime(guest) > before  # it has gone on, not booted
    assert guest.boots() == boots


def test_password(guest: Booted) -> None:
    before = guest.run('grep ^root: /etc/shadow')
    guest.driver.set_admin_password(guest.server, 'new one')
    assert guest.run('grep ^root: /etc/shadow') != before


def test_crash_dump(guest: Booted) -> None:
    guest.driver.trigger_crash_dump(guest.server)
    wait_for('the kernel', lambda: 'NMI' in guest.run('dmesg | grep -i NMI || true'), 30, 0.5)


def test_file_systems_stand_still(guest: Booted) -> None:
    for _ in range(2):
        assert guest.driver.quiesce(guest.server)
        assert guest.agent('guest-fsfreeze-status') == 'frozen'
        for _ in range(2):
            guest.driver.unquiesce(guest.server)
        assert guest.agent('guest-fsfreeze-status') == 'thawed'


def test_image_of_a_running_guest(guest: Booted, tmp_path: pathlib.Path) -> None:
    guest.run('echo before > /root/mark; sync')
    sink = Kept(tmp_path)
    guest.driver.snapshot(guest.server, sink)
    assert guest.agent('guest-fsfreeze-status') == 'thawed'
    assert guest.state == PowerState.RUNNING
    assert sink.format == 'qcow2'
    told = qemu_img('info', str(sink.path))
    assert 'backing' not in told and 'virtual size: 1 GiB' in told
    qemu_img('check', str(sink.path))
    assert _holds(sink.path, b'before')
    assert list(pathlib.Path(guest.conf.libvirt.snapshots_directory).iterdir()) == []


def _holds(path: pathlib.Path, content: bytes) -> bool:
    raw = path.with_suffix('.raw')
    qemu_img('convert', '-O', 'raw', str(path), str(raw))
    return content in raw.read_bytes()


def test_image_in_another_format(guest: Booted, tmp_path: pathlib.Path) -> None:
    guest.conf.set_override('snapshot_image_format', 'vmdk', 'libvirt')
    try:
        sink = Kept(tmp_path)
        guest.driver.snapshot(guest.server, sink)
    finally:
        guest.conf.clear_override('snapshot_image_format', 'libvirt')
    assert (sink.format, 'file format: vmdk' in qemu_img('info', str(sink.path))) == ('vmdk', True)


def test_a_snapshot_that_was_cut_short_does_not_block_the_next(
    guest: Booted, tmp_path: pathlib.Path
) -> None:
    class Broken(Exception):
        pass

    class Cut(ImageSink):
        def upload(self, path: str, disk_format: str) -> None:
            raise Broken

    with pytest.raises(Broken):
        guest.driver.snapshot(guest.server, Cut())
    # As a nova-compute that is killed leaves it: frozen, and with the job still on.
    guest.agent('guest-fsfreeze-freeze')
    target = guest.directory.parent / 'left.qcow2'
    xml = tmp_path / 'backup.xml'
    xml.write_text(
        '<domainbackup><disks><disk name="vda" type="file">'
        f'<target file="{target}"/><driver type="qcow2"/></disk></disks></domainbackup>'
    )
    guest.virsh('blkdeviotune', guest.server.uuid, 'vda', '--total-bytes-sec', '1000000')
    guest.virsh('backup-begin', guest.server.uuid, str(xml))
    guest.virsh('blkdeviotune', guest.server.uuid, 'vda', '--total-bytes-sec', '0')
    guest.driver.snapshot(guest.server, Kept(tmp_path))
    assert guest.agent('guest-fsfreeze-status') == 'thawed'
    target.unlink()


def test_rescue_and_back(guest: Booted) -> None:
    before = sorted(path.name for path in guest.directory.iterdir())
    boots = guest.boots()
    guest.driver.rescue(guest.server, [], guest.images, None)
    text = guest.wait_ready(boots)
    assert 'boot=1' in text
    assert [node.get('dev') for node in guest.xml().findall('devices/disk/target')][:2] == [
        'vda',
        'vdb',
    ]
    # A hard reboot does not end the rescue.
    assert 'block=vdb bytes=1073741824' in text
    guest.driver.reboot(guest.server, [], 'HARD')
    assert len(guest.xml().findall('devices/disk')) == 2
    for _ in range(2):
        guest.driver.unrescue(guest.server, [])
    text = guest.wait_ready(boots + 1)
    assert 'block=vdb' not in text
    assert guest.run('cat /root/mark') == 'before\n'
    assert sorted(path.name for path in guest.directory.iterdir()) == before


def test_rescue_that_leaves_disks_where_they_are(guest: Booted) -> None:
    guest.images.properties = {'hw_rescue_bus': 'scsi', 'hw_rescue_device': 'disk'}  # type: ignore[attr-defined]
    guest.driver.rescue(guest.server, [], guest.images, None)
    targets = {n.get('dev'): n.get('bus') for n in guest.xml().findall('devices/disk/target')}
    assert targets == {'vda': 'virtio', 'sda': 'scsi'}
    [boot] = guest.xml().findall('devices/disk/boot')
    assert boot.get('order') == '1'
    guest.driver.unrescue(guest.server, [])
    assert len(guest.xml().findall('devices/disk')) == 1


def test_rescue_that_fails_leaves_the_guest_as_it_was(guest: Booted) -> None:
    before = sorted(path.name for path in guest.directory.iterdir())
    broken = pathlib.Path(guest.conf.state_path) / 'broken'
    broken.write_bytes(b'no image')
    source = type(guest.images)(broken)  # type: ignore[call-arg]
    with pytest.raises(exception.ImageUnacceptable):
        guest.driver.rescue(guest.server, [], source, 'e7ab3ab0-0000-4000-8000-00000000000f')
    assert guest.state == PowerState.RUNNING
    assert sorted(path.name for path in guest.directory.iterdir()) == before


def test_libvirt_that_is_away_is_noticed(guest: Booted) -> None:
    assert _is_well(guest)
    with guest.libvirtd.away():
        wait_for('the end of the connection', lambda: not _is_well(guest), 60, 0.2)
    wait_for('the connection', lambda: _is_well(guest), 60, 0.2)
    assert guest.state == PowerState.RUNNING


def _is_well(guest: Booted) -> bool:
    try:
        guest.driver.check_health()
    except exception.VirtDriverError:
        return False
    return True


class Found:
    """What a starting host finds in the records: its servers."""

    def __init__(self, *servers: Server) -> None:
        self.servers = list(servers)

    def reap(self) -> list[Server]:
        return self.servers

    def sync_at_start(self, servers: list[Server]) -> None:
        assert servers == self.servers


def test_guests_run_again_when_their_host_comes_up(guest: Booted) -> None:
    guest.conf.set_override('resume_guests_state_on_host_boot', True)
    guest.server.vm_state, guest.server.power_state = 'active', PowerState.RUNNING
    guest.virsh('destroy', guest.server.uuid)
    found: Any = Found(guest.server)
    host: Any = types.SimpleNamespace(conf=guest.conf, driver=guest.driver)
    Recovery(host, found, found).run()
    assert guest.state == PowerState.RUNNING


def test_the_end_from_inside_is_told(guest: Booted) -> None:
    told: list[Events] = []
    guest.driver.on_event(lambda uuid, event: told.append(event))
    guest.run('(sleep 0.5; poweroff) > /dev/null 2>&1 &')
    wait_for('the event', lambda: Events.STOPPED in told, 60, 0.2)
    assert guest.state == PowerState.SHUTDOWN


def test_image_of_a_stopped_guest(guest: Booted, tmp_path: pathlib.Path) -> None:
    assert guest.state == PowerState.SHUTDOWN
    sink = Kept(tmp_path)
    guest.driver.snapshot(guest.server, sink)
    assert sink.format == 'qcow2'
    assert 'backing' not in qemu_img('info', str(sink.path))
    assert _holds(sink.path, b'before')
