"""Images that somebody has prepared, made with the real qemu-img."""

import os
import pathlib
import subprocess
from collections.abc import Callable

import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec
from kilonova.compute.virt.libvirt.disk.image_cache import Cached, ImageCache
from kilonova.compute.virt.libvirt.disk.qcow2 import Qcow2
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.tests.integration.libvirt.conftest import File

pytestmark = pytest.mark.integration

MIB = 1 << 20
Make = Callable[[pathlib.Path], None]


def qemu_img(*arguments: object) -> None:
    subprocess.run(['qemu-img', *map(str, arguments)], check=True, capture_output=True, timeout=60)


def backing_file(path: pathlib.Path) -> None:
    qemu_img('create', '-f', 'qcow2', '-b', '/etc/passwd', '-F', 'raw', path)


def data_file(path: pathlib.Path) -> None:
    data = path.with_suffix('.data')
    qemu_img('create', '-f', 'qcow2', '-o', f'data_file={data},data_file_raw=on', path, '10M')


def plain_qcow2(path: pathlib.Path) -> None:
    qemu_img('create', '-f', 'qcow2', path, '10M')


def huge(path: pathlib.Path) -> None:
    qemu_img('create', '-f', 'qcow2', path, '2G')


def encrypted(path: pathlib.Path) -> None:
    qemu_img(
        *('create', '-f', 'qcow2', '--object', 'secret,id=s,data=12345678'),
        *('-o', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', path, '10M'),
    )


def truncated(path: pathlib.Path) -> None:
    source = path.with_suffix('.raw')
    source.write_bytes(os.urandom(4 * MIB))
    qemu_img('convert', '-O', 'qcow2', source, path)
    os.truncate(path, 2 * MIB)


def cut_in_the_header(path: pathlib.Path) -> None:
    plain_qcow2(path)
    os.truncate(path, 60)


def flat_vmdk(path: pathlib.Path) -> None:
    qemu_img('create', '-f', 'vmdk', '-o', 'subformat=monolithicFlat', path, '10M')


def vmdk_with_foreign_extent(path: pathlib.Path) -> None:
    text = (
        '# Disk DescriptorFile\nversion=1\nCID=7d0f1c5a\nparentCID=ffffffff\n'
        'createType="monolithicFlat"\n\n# Extent description\n'
        'RW 20480 FLAT "/etc/passwd" 0\n\nddb.adapterType = "ide"\n'
    )
    path.write_bytes(text.encode().ljust(MIB, b'\0'))


def noise(path: pathlib.Path) -> None:
    path.write_bytes(os.urandom(MIB))


@pytest.mark.parametrize(
    ('make', 'claim', 'error'),
    [
        (backing_file, 'qcow2', exception.ImageUnacceptable),
        (backing_file, 'raw', exception.ImageUnacceptable),
        (data_file, 'qcow2', exception.ImageUnacceptable),
        (encrypted, 'qcow2', exception.ImageUnacceptable),
        (truncated, 'qcow2', exception.ImageUnacceptable),
        (cut_in_the_header, 'qcow2', exception.ImageUnacceptable),
        (flat_vmdk, 'vmdk', exception.ImageUnacceptable),
        (vmdk_with_foreign_extent, 'vmdk', exception.ImageUnacceptable),
        (plain_qcow2, 'raw', exception.ImageUnacceptable),
        (plain_qcow2, 'vmdk', exception.ImageUnacceptable),
        (noise, 'qcow2', exception.ImageUnacceptable),
        (noise, 'iso', exception.ImageUnacceptable),
        (huge, 'qcow2', exception.FlavorDiskSmallerThanImage),
    ],
)
def test_refused_and_nothing_left(
    driver: LibvirtDriver,
    server: Server,
    instances: pathlib.Path,
    tmp_path: pathlib.Path,
    make: Make,
    claim: str,
    error: type[Exception],
) -> None:
    path = tmp_path / 'image'
    make(path)
    server.image = Image(id=server.image.id, disk_format=claim)
    with pytest.raises(error):
        driver.spawn(GuestSpec(server=server, vifs=[]), File(path), lambda start: start())
    assert driver.list_guests() == []
    left = [found.name for found in instances.rglob('*') if found.is_file()]
    assert [name for name in left if not name.startswith('nova-')] == []  # the locks stay


@pytest.mark.parametrize(
    ('claim', 'driver_name', 'options'),
    [
        ('qcow2', 'qcow2', ['-c']),
        ('vmdk', 'vmdk', ['-o', 'subformat=streamOptimized']),
        ('vmdk', 'vmdk', ['-o', 'subformat=monolithicSparse']),
        ('vdi', 'vdi', []),
        ('vhd', 'vpc', ['-o', 'force_size=on']),
        ('vhdx', 'vhdx', []),
    ],
)
def test_every_format_becomes_the_same_raw_file(
    conf: cfg.ConfigOpts,
    instances: pathlib.Path,
    tmp_path: pathlib.Path,
    claim: str,
    driver_name: str,
    options: list[str],
) -> None:
    instances.mkdir(exist_ok=True)
    content = os.urandom(MIB) + b'\0' * MIB + os.urandom(MIB)
    source, path = tmp_path / 'source', tmp_path / 'image'
    source.write_bytes(content)
    qemu_img('convert', '-f', 'raw', '-O', driver_name, *options, source, path)
    cached = ImageCache(conf).image(Image(id='an image', disk_format=claim), File(path), limit=None)
    assert cached.format == 'raw'
    assert pathlib.Path(cached.path).read_bytes() == content


def test_header_inside_of_an_image_stays_content(
    conf: cfg.ConfigOpts, instances: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A qcow2 whose content looks like a qcow2 with a backing file."""
    instances.mkdir(exist_ok=True)
    inner, path = tmp_path / 'inner', tmp_path / 'image'
    backing_file(inner)
    qemu_img('convert', '-f', 'raw', '-O', 'qcow2', inner, path)
    image = Image(id='an image', disk_format='qcow2')
    for _ in range(2):
        cached = ImageCache(conf).image(image, File(path), limit=None)
        assert cached.format == 'raw'
        assert pathlib.Path(cached.path).read_bytes()[:4] == b'QFI\xfb'


def test_the_base_of_an_overlay_is_never_removed(
    driver: LibvirtDriver, conf: cfg.ConfigOpts, instances: pathlib.Path, server: Server
) -> None:
    base = instances / '_base'
    base.mkdir()
    for name in ('a' * 40, 'b' * 40):
        (base / name).write_bytes(b'\0' * MIB)
        os.utime(base / name, (0, 0))
    disk = instances / server.uuid / 'disk'
    disk.parent.mkdir()
    Qcow2(conf).create(str(disk), Cached(str(base / ('a' * 40)), 'raw', MIB), 2 * MIB)
    driver.age_images([])
    assert [path.name for path in base.iterdir()] == ['a' * 40]
    disk.unlink()
    os.utime(base / ('a' * 40), (0, 0))
    driver.age_images([])
    assert list(base.iterdir()) == []
