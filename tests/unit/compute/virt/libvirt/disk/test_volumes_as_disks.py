"""Disks that are no files: logical volumes and Ceph images, by the commands that are run."""

import json
import pathlib
from typing import Any

import pytest
from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import exception
from kilonova.compute.virt.libvirt import privileged
from kilonova.compute.virt.libvirt.disk.image_cache import Cached
from kilonova.compute.virt.libvirt.disk.lvm import Lvm
from kilonova.compute.virt.libvirt.disk.rbd import Rbd
from kilonova.compute.virt.libvirt.xml.disk import Disk

GIB = 1024**3
DIRECTORY = '/instances/6ffd7a5e-bb0c-4c02-a74a-b7c7e5c0d001'
UUID = DIRECTORY.rpartition('/')[2]


class Commands:
    """Notes what is run and answers as told, by the words that a command contains."""

    def __init__(self) -> None:
        self.run: list[list[str]] = []
        self.answers: dict[str, str] = {}
        self.missing: set[str] = set()

    def execute(self, *command: str, **kwargs: Any) -> tuple[str, str]:
        words = [word for word in command if word != 'env' and not word.startswith(('LC_', 'PATH'))]
        self.run.append(words)
        if self.missing & set(words):
            raise processutils.ProcessExecutionError(exit_code=2, cmd=' '.join(words))
        found = [text for key, text in self.answers.items() if key in words]
        return (found or [''])[0], ''


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands()
    monkeypatch.setattr(processutils, 'execute', made.execute)
    privileged.sys_admin.set_client_mode(False)
    return made


@pytest.fixture
def lvm(conf: cfg.ConfigOpts, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Lvm:
    conf.set_override('images_volume_group', 'vg', 'libvirt')
    monkeypatch.setattr(privileged, 'block_size_of', lambda path: GIB)
    return Lvm(conf)


def test_a_logical_volume_is_made_and_written(lvm: Lvm, commands: Commands) -> None:
    disk = lvm.locate(DIRECTORY, 'disk')
    assert disk == f'/dev/vg/{UUID}_disk'
    lvm.create(disk, Cached('/base', 'qcow2', 2 * GIB), GIB)
    made, written = commands.run
    assert made[0] == 'lvcreate'
    assert made[made.index('-L') + 1] == f'{2 * GIB}b'  # as large as the image at least
    assert made[-3:] == ['-n', f'{UUID}_disk', 'vg']
    assert written[:3] == ['qemu-img', 'convert', '-n']
    assert written[-6:] == ['-f', 'qcow2', '-O', 'raw', '/base', disk]


def test_a_sparse_one_starts_small(lvm: Lvm, conf: cfg.ConfigOpts, commands: Commands) -> None:
    conf.set_override('sparse_logical_volumes', True, 'libvirt')
    lvm.create(lvm.locate(DIRECTORY, 'disk'), Cached('/base', 'raw', GIB), 0)
    assert commands.run[0][4:8] == ['-L', '64M', '--virtualsize', f'{GIB}b']


def test_logical_volumes_grow_only(lvm: Lvm, commands: Commands) -> None:
    lvm.resize('/dev/vg/a', GIB)
    assert commands.run == []
    lvm.resize('/dev/vg/a', GIB + 1)
    assert commands.run == [['lvextend', '-L', f'{GIB + 1}b', '/dev/vg/a']]


@pytest.mark.parametrize(
    ('how', 'size', 'expected'),
    [
        ('zero', 0, ['dd', f'count={GIB}']),
        ('zero', 1, ['dd', f'count={1024**2}']),
        ('shred', 1, ['shred', f'-s{1024**2}']),
    ],
)
def test_what_is_removed_is_overwritten_first(
    lvm: Lvm,
    conf: cfg.ConfigOpts,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    size: int,
    expected: list[str],
) -> None:
    monkeypatch.setattr(lvm, 'exists', lambda disk: True)
    conf.set_override('volume_clear', how, 'libvirt')
    conf.set_override('volume_clear_size', size, 'libvirt')
    commands.answers['lvs'] = f'  {UUID}_disk\n  other_disk\n'
    lvm.remove_all(DIRECTORY)
    listed, wiped, removed = commands.run
    assert set(expected) <= set(wiped)
    assert removed == ['lvremove', '-f', f'/dev/vg/{UUID}_disk']


def test_logical_volumes_are_not_wiped_when_nobody_cares(
    lvm: Lvm, conf: cfg.ConfigOpts, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lvm, 'exists', lambda disk: True)
    conf.set_override('volume_clear', 'none', 'libvirt')
    lvm.remove('/dev/vg/a')
    assert commands.run == [['lvremove', '-f', '/dev/vg/a']]


def test_logical_volumes_in_the_domain(lvm: Lvm, commands: Commands) -> None:
    xml = Disk(format='raw', target='vda', bus='virtio')
    lvm.describe('/dev/vg/a', xml)
    assert '<source dev="/dev/vg/a"/>' in xml.to_xml() and 'type="block"' in xml.to_xml()
    commands.answers['vgs'] = '  1000|400\n'
    assert lvm.space() == (1000, 400)


def test_a_snapshot_of_a_logical_volume_is_read_as_root(
    lvm: Lvm, commands: Commands, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / 'image'
    target.touch()
    lvm.copy('/dev/vg/a', str(target), 'qcow2', True)
    assert commands.run[0][-7:] == ['-c', '-f', 'raw', '-O', 'qcow2', '/dev/vg/a', str(target)]


def test_lvm_without_a_group_is_refused(conf: cfg.ConfigOpts) -> None:
    with pytest.raises(exception.VirtDriverError, match='images_volume_group'):
        Lvm(conf)


@pytest.fixture
def rbd(conf: cfg.ConfigOpts, commands: Commands) -> Rbd:
    conf.set_override('images_rbd_pool', 'vms', 'libvirt')
    conf.set_override('rbd_user', 'nova', 'libvirt')
    conf.set_override('rbd_secret_uuid', 'a-secret', 'libvirt')
    commands.answers['info'] = json.dumps({'size': GIB})
    return Rbd(conf)


def test_a_ceph_image_is_imported_and_grown(rbd: Rbd, commands: Commands) -> None:
    disk = rbd.locate(DIRECTORY, 'disk')
    assert disk == f'vms/{UUID}_disk'
    rbd.create(disk, Cached('/base', 'raw', GIB), 3 * GIB)
    access = ['--id=nova', '--connect-timeout=5']
    assert commands.run == [
        ['rbd', *access, 'rm', '--no-progress', disk],
        ['rbd', *access, 'import', '--image-format', '2', '/base', disk],
        ['rbd', *access, 'info', '--format', 'json', disk],
        ['rbd', *access, 'resize', '--size', '3072M', disk],
    ]


def test_ceph_images_that_are_not_there(rbd: Rbd, commands: Commands) -> None:
    assert rbd.exists('vms/a')
    commands.missing = {'info', 'rm'}
    assert not rbd.exists('vms/a')
    rbd.remove('vms/a')
    with pytest.raises(FileNotFoundError):
        rbd.size('vms/a')
    commands.missing = {'resize'}
    with pytest.raises(processutils.ProcessExecutionError):
        rbd.resize('vms/a', 2 * GIB)


def test_all_ceph_images_of_a_server_go(rbd: Rbd, commands: Commands) -> None:
    commands.answers['ls'] = json.dumps([f'{UUID}_disk', f'{UUID}_disk.swap', 'x_disk'])
    rbd.remove_all(DIRECTORY)
    removed = [words[-1] for words in commands.run if 'rm' in words]
    assert removed == [f'vms/{UUID}_disk', f'vms/{UUID}_disk.swap']


def test_ceph_images_in_the_domain(rbd: Rbd, commands: Commands) -> None:
    commands.answers['mon'] = json.dumps(
        {'mons': [{'addr': '10.0.0.1:6789/0'}, {'addr': '[fd00::1]:6789/0'}]}
    )
    xml = Disk(format='raw', target='vda', bus='virtio')
    rbd.describe('vms/a', xml)
    text = xml.to_xml()
    assert '<source protocol="rbd" name="vms/a">' in text
    assert '<host name="fd00::1" port="6789"/>' in text
    assert '<auth username="nova">' in text
    assert '<secret type="ceph" uuid="a-secret"/>' in text


def test_ceph_images_are_copied_by_qemu(rbd: Rbd, conf: cfg.ConfigOpts, commands: Commands) -> None:
    conf.set_override('images_rbd_ceph_conf', '/etc/ceph/b.conf', 'libvirt')
    rbd.copy('vms/a', '/image', 'qcow2')
    assert commands.run[0][-6:] == [
        '-f', 'raw', '-O', 'qcow2', 'rbd:vms/a:id=nova:conf=/etc/ceph/b.conf', '/image'
    ]  # fmt: skip


def test_the_room_in_a_ceph_pool(rbd: Rbd, commands: Commands) -> None:
    pools = [{'name': 'vms', 'stats': {'stored': 3, 'max_avail': 7}}]
    commands.answers['df'] = json.dumps({'pools': pools})
    assert rbd.space() == (10, 7)
    commands.answers['df'] = json.dumps({'pools': []})
    with pytest.raises(OSError, match='vms'):
        rbd.space()


def test_a_compressed_image_is_expanded_before_it_is_imported(
    rbd: Rbd, commands: Commands, tmp_path: pathlib.Path
) -> None:
    base = tmp_path / 'base'
    base.touch()
    rbd.create('vms/a', Cached(str(base), 'qcow2', GIB), 0)
    assert [words[0] for words in commands.run] == ['rbd', 'qemu-img', 'rbd', 'rbd']
    assert commands.run[1][-1] == commands.run[2][-2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['base', 'instances']
