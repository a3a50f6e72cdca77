"""Commands that make disks and file systems."""

import os
import pathlib
from typing import Any

import pytest
from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.disk import (
    choice,
    config_drive,
    description,
    filesystem,
    layout,
    maker,
    qemu_img,
)
from kilonova.compute.virt.libvirt.disk.image_cache import Cached, ImageCache
from kilonova.compute.virt.libvirt.disk.qcow2 import Qcow2
from kilonova.compute.virt.libvirt.disk.raw import Raw
from kilonova.tests.unit.compute.virt.libvirt.conftest import Images

Run = list[tuple[tuple[str, ...], dict[str, Any]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """What was executed."""
    done: Run = []

    def execute(*command: str, **kwargs: Any) -> tuple[str, str]:
        done.append((command, kwargs))
        return '{}', ''

    monkeypatch.setattr(processutils, 'execute', execute)
    return done


def test_qemu_img_is_limited_and_never_guesses(conf: cfg.ConfigOpts, run: Run) -> None:
    tool = qemu_img.QemuImg(conf)
    tool.info('/i', 'qcow2')
    tool.convert('/i', 'qcow2', '/o', 3 * 1024**3)
    for command, kwargs in run:
        assert command[command.index('-f') + 1] == 'qcow2'
        assert kwargs['prlimit'].address_space == 2 * 1024**3
    assert [kwargs['prlimit'].cpu_time for _command, kwargs in run] == [30, 30 + 180]


def test_overlays_name_the_format_of_their_base(conf: cfg.ConfigOpts, run: Run) -> None:
    Qcow2(conf).create('/disk', Cached('/base', 'raw', 100), 50)
    [(command, _kwargs)] = run
    assert command[-6:] == ('-b', '/base', '-F', 'raw', '/disk', '100')


def test_raw_disks_are_copies(conf: cfg.ConfigOpts, tmp_path: pathlib.Path) -> None:
    base, disk = tmp_path / 'base', tmp_path / 'disk'
    base.write_bytes(b'content')
    Raw(conf).create(str(disk), Cached(str(base), 'raw', 7), 1 << 20)
    assert disk.stat().st_size == 1 << 20
    assert disk.read_bytes()[:7] == b'content'


def test_preallocation(conf: cfg.ConfigOpts, tmp_path: pathlib.Path) -> None:
    conf.set_override('preallocate_images', 'space')
    base, disk = tmp_path / 'base', tmp_path / 'disk'
    base.write_bytes(b'content')
    Raw(conf).create(str(disk), Cached(str(base), 'raw', 7), 1 << 20)
    assert disk.stat().st_blocks * 512 >= 1 << 20


@pytest.mark.parametrize(
    ('kind', 'cow', 'expected'),
    [
        ('default', True, Qcow2),
        ('default', False, Raw),
        ('raw', True, Raw),
        ('flat', True, Raw),
        ('qcow2', False, Qcow2),
    ],
)
def test_choice_of_backend(conf: cfg.ConfigOpts, kind: str, cow: bool, expected: type) -> None:
    conf.set_override('images_type', kind, 'libvirt')
    conf.set_override('use_cow_images', cow)
    assert type(choice.backend(conf)) is expected


def test_file_systems(conf: cfg.ConfigOpts) -> None:
    assert filesystem.ephemeral_format(conf, None, None) == 'vfat'
    assert filesystem.ephemeral_format(conf, 'linux', None) == 'ext4'
    assert filesystem.ephemeral_format(conf, 'windows', None) == 'ntfs'
    assert filesystem.ephemeral_format(conf, 'linux', 'xfs') == 'xfs'
    conf.set_override('default_ephemeral_format', 'ext3')
    assert filesystem.ephemeral_format(conf, 'linux', None) == 'ext3'


def test_operators_command(conf: cfg.ConfigOpts, run: Run) -> None:
    conf.set_override('virt_mkfs', ['linux=mkfs.btrfs -L %(fs_label)s %(target)s'])
    command = filesystem.custom_command(conf, 'linux')
    filesystem.make('/disk', 'ext4', 'ephemeral0', command)
    assert run[0][0] == ('mkfs.btrfs', '-L', 'ephemeral0', '/disk')
    assert filesystem.custom_command(conf, 'windows') is None


def test_labels_are_cut(run: Run) -> None:
    filesystem.make('/disk', 'vfat', 'ephemeral_number_0')
    assert run[0][0][-4:] == ('mkfs.vfat', '-n', 'ephemeral_n', '/disk')


@pytest.mark.parametrize('name', ['../escape', '/etc/passwd', 'a/../../b'])
def test_config_drive_keeps_its_files_inside(
    conf: cfg.ConfigOpts, tmp_path: pathlib.Path, run: Run, name: str
) -> None:
    with pytest.raises(ValueError, match='outside'):
        config_drive.make(conf, {name: b'x'}, str(tmp_path / 'drive'))
    assert run == []


def test_all_disks_of_a_server(
    conf: cfg.ConfigOpts, server: Server, tmp_path: pathlib.Path, run: Run
) -> None:
    server.image.id = ''
    server.flavor.swap, server.flavor.ephemeral_gb = 1, 1
    server.flavor.extra_specs = {'quota:disk_total_iops_sec': '7'}
    conf.set_override('disk_cachemodes', ['block=none', 'file=directsync'], 'libvirt')
    conf.set_override('hw_disk_discard', 'unmap', 'libvirt')
    planned = layout.plan(conf, server, 'x86_64', 'pc', True)
    disks = maker.DiskMaker(conf, ImageCache(conf), choice.backend(conf))
    made = disks.make(server, planned, str(tmp_path), Images())
    disks.make_config_drive(planned, str(tmp_path), {'a': b'b'})
    assert [(disk.target, disk.format, disk.cache) for disk in made] == [
        ('vda', 'qcow2', 'directsync'),
        ('vdb', 'qcow2', 'directsync'),
        ('hda', 'raw', 'directsync'),
    ]
    assert [disk.total_iops_sec for disk in made] == ['7', '7', None]
    assert [disk.discard for disk in made] == ['unmap', 'unmap', None]
    assert made[-1].readonly
    programs = [next(w for w in c if w != 'env' and '=' not in w) for c, _kwargs in run]
    assert programs == ['mkfs.vfat', 'qemu-img', 'mkswap', 'qemu-img', 'genisoimage']


def test_direct_io_probe_leaves_nothing(tmp_path: pathlib.Path) -> None:
    assert description.takes_direct_io(str(tmp_path)) in (True, False)
    assert os.listdir(tmp_path) == []
    assert not description.takes_direct_io(str(tmp_path / 'gone'))
