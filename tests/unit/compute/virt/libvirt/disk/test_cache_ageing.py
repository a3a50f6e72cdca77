import hashlib
import os
import pathlib
import struct
import time
from typing import Any

import msgspec
import pytest
from oslo_config import cfg

from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.disk import qcow2
from kilonova.compute.virt.libvirt.disk.cache_ageing import CacheAgeing
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache

DAY = 24 * 3600
OTHER = 'c0ffee00-0000-4000-8000-000000000001'


class Files:
    """An instances_path with a cache, and a look through it."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf, self.cache = conf, ImageCache(conf)
        self.folder = pathlib.Path(conf.instances_path)
        self.base = self.folder / '_base'
        self.base.mkdir()

    def cached(self, name: str, age: float = 2 * DAY, note: bool = True) -> pathlib.Path:
        path = self.base / name
        path.write_bytes(b'content')
        if note:
            (self.base / f'{name}.json').write_text('{"format": "raw", "virtual_size": 7}')
        then = time.time() - age
        os.utime(path, (then, then))
        return path

    def image(self, image_id: str, age: float = 2 * DAY) -> pathlib.Path:
        return self.cached(hashlib.sha1(image_id.encode()).hexdigest(), age)

    def overlay(self, base: Any, directory: str = OTHER, name: str = 'disk') -> pathlib.Path:
        path = self.folder / directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(header(str(base).encode()))
        return path

    def look(self, *servers: Server) -> list[str]:
        return sorted(CacheAgeing(self.conf, self.cache).run(list(servers)))

    def names(self) -> list[str]:
        return sorted(os.listdir(self.base))


def header(base: bytes, version: int = 3) -> bytes:
    return struct.pack('>4sIQI', b'QFI\xfb', version, 104, len(base)).ljust(104, b'\0') + base


@pytest.fixture
def files(conf: cfg.ConfigOpts) -> Files:
    return Files(conf)


def test_unused_for_long_goes_with_its_note(files: Files) -> None:
    old, young = files.image('old'), files.image('young', DAY - 60)
    assert files.look() == [old.name]
    assert files.names() == [young.name, f'{young.name}.json']


def test_what_a_disk_lies_on_stays_and_is_fresh_again(files: Files) -> None:
    base = files.image('used')
    disk = files.overlay(base)
    assert files.look() == []
    assert time.time() - base.stat().st_mtime < 60
    # From now on it is unused: its day begins at the last look.
    disk.unlink()
    assert files.look() == []
    os.utime(base, (0, 0))
    assert files.look() == [base.name]


@pytest.mark.parametrize('directory', [OTHER, OTHER + '_del', OTHER + '_resize'])
@pytest.mark.parametrize('name', ['disk', 'disk.rescue', 'disk.eph0'])
def test_any_disk_in_any_directory_counts(files: Files, directory: str, name: str) -> None:
    base = files.image('used')
    files.overlay(f'../_base/{base.name}', directory, name)
    assert files.look() == []


def test_an_overlay_of_something_else_keeps_nothing(files: Files) -> None:
    base = files.image('unused')
    files.overlay(f'/elsewhere/{base.name}')
    assert files.look() == [base.name]


def test_images_of_servers_stay(files: Files, server: Server) -> None:
    names = ['the image', 'the kernel', 'the ramdisk']
    for name in names:
        files.image(name)
    other = files.image('another')
    server = msgspec.structs.replace(
        server, image=Image(id=names[0]), kernel_id=names[1], ramdisk_id=names[2]
    )
    assert files.look(server) == [other.name]


def test_a_server_without_an_image(files: Files, server: Server) -> None:
    base = files.image('')
    assert files.look(msgspec.structs.replace(server, image=Image(id=''))) == [base.name]


def test_what_is_easily_made_anew_goes_sooner(files: Files) -> None:
    for name in ('swap_1073741824', 'ephemeral_1073741824_0123abc', 'a' * 40 + '_20'):
        files.cached(name, 3601)
        files.cached(name.replace('1073741824', '42'), 3500)
    gone = files.look()
    assert 'swap_1073741824' in gone and 'ephemeral_1073741824_0123abc' in gone
    assert 'swap_42' in files.names() and 'ephemeral_42_0123abc' in files.names()


def test_what_a_crash_has_left_goes(files: Files) -> None:
    for ending in ('.part', '.converted'):
        files.cached('a' * 40 + ending, note=False)
    files.cached('b' * 40 + '.part', 60, note=False)
    assert len(files.look()) == 2
    assert files.names() == ['b' * 40 + '.part']


def test_files_of_others_stay(files: Files) -> None:
    files.cached('readme')
    files.cached('a' * 39)
    assert files.look() == []


def test_switched_off(files: Files) -> None:
    files.conf.set_override('remove_unused_base_images', False, 'image_cache')
    files.image('old')
    assert files.look() == []


def test_an_age_of_nothing_leaves_time_to_make_the_disk(files: Files) -> None:
    files.conf.set_override('remove_unused_original_minimum_age_seconds', 0, 'image_cache')
    files.image('just asked for', 30)
    old = files.image('old', 90)
    assert files.look() == [old.name]


def test_nothing_is_removed_when_a_disk_cannot_be_read(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = files.image('perhaps used')
    files.overlay(base)

    def refuse(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(qcow2, 'backing_file', refuse)
    with pytest.raises(PermissionError):
        files.look()
    assert base.exists()


def test_no_cache_yet(conf: cfg.ConfigOpts) -> None:
    assert CacheAgeing(conf, ImageCache(conf)).run([]) == []


@pytest.mark.parametrize(
    'content, base',
    [
        (b'', None),
        (b'QFI\xfb', None),
        (b'raw' * 100, None),
        (header(b'/base'), '/base'),
        (header(b'/base', 2), '/base'),
        (header(b'/base', 1), None),
        (header(b'x' * 1024), None),
        (struct.pack('>4sIQI', b'QFI\xfb', 3, 0, 0).ljust(104, b'\0'), None),
        (header(b'\xff'), '\udcff'),
    ],
)
def test_backing_file(tmp_path: pathlib.Path, content: bytes, base: str | None) -> None:
    path = tmp_path / 'disk'
    path.write_bytes(content)
    assert qcow2.backing_file(str(path)) == base
