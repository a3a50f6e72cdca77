"""Disks that grow, a file system that is full, a download that breaks off: with real qemu-img."""

import json
import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec
from kilonova.compute.virt.libvirt.disk import choice, layout
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.compute.virt.libvirt.disk.maker import DiskMaker
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.tests.integration.libvirt.conftest import File

pytestmark = pytest.mark.integration

GIB, MIB = 1024**3, 1024**2


def virtual_size(path: pathlib.Path) -> int:
    done = subprocess.run(
        ['qemu-img', 'info', '--output=json', str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return int(json.loads(done.stdout)['virtual-size'])


@pytest.mark.parametrize('kind', ['raw', 'qcow2'])
def test_disks_follow_the_flavor(
    conf: cfg.ConfigOpts,
    server: Server,
    guest_image: pathlib.Path,
    instances: pathlib.Path,
    kind: str,
) -> None:
    conf.set_override('images_type', kind, 'libvirt')
    directory = instances / server.uuid
    directory.mkdir(parents=True)
    maker = DiskMaker(conf, ImageCache(conf), choice.backend(conf))
    server.flavor.ephemeral_gb, server.flavor.swap = 1, 16
    planned = layout.plan(conf, server, 'x86_64', 'pc', False)
    maker.make(server, planned, str(directory), File(guest_image))
    # A second name keeps the old file alive: a new one cannot get its inode.
    os.link(directory / 'disk.swap', before := directory / 'before')

    server.flavor.root_gb, server.flavor.ephemeral_gb, server.flavor.swap = 2, 3, 32
    larger = layout.plan(conf, server, 'x86_64', 'pc', False)
    for _ in range(2):
        described = maker.adapt(server, larger, str(directory))
    assert [disk.format for disk in described] == [kind] * 3
    assert virtual_size(directory / 'disk') == 2 * GIB
    assert virtual_size(directory / 'disk.eph0') == 3 * GIB
    assert virtual_size(directory / 'disk.swap') == 32 * MIB
    assert not (directory / 'disk.swap').samefile(before)

    # Less is not given back, but for swap, which holds nothing of worth.
    server.flavor.root_gb, server.flavor.ephemeral_gb, server.flavor.swap = 1, 1, 0
    maker.adapt(server, layout.plan(conf, server, 'x86_64', 'pc', False), str(directory))
    assert virtual_size(directory / 'disk') == 2 * GIB
    assert not (directory / 'disk.swap').exists()


@pytest.fixture
def small_disk(conf: cfg.ConfigOpts, instances: pathlib.Path) -> Iterator[pathlib.Path]:
    """Room for the image as it comes, and not for it as a raw file."""
    instances.mkdir(parents=True)
    subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=40m', 'none', str(instances)], check=True, timeout=20
    )
    yield instances
    subprocess.run(['umount', '-l', str(instances)], check=True, timeout=20)


def _files(instances: pathlib.Path) -> list[str]:
    found = [path.name for path in instances.rglob('*') if path.is_file()]
    return [name for name in found if not name.startswith('nova-')]


def test_a_full_disk_is_named_and_nothing_left(
    small_disk: pathlib.Path, driver: LibvirtDriver, server: Server, guest_image: pathlib.Path
) -> None:
    with pytest.raises(exception.BuildError, match='No space left on device'):
        driver.spawn(GuestSpec(server=server, vifs=[]), File(guest_image), lambda start: start())
    assert driver.list_guests() == []
    assert _files(small_disk) == []


class Cut(File):
    """A connection that breaks off."""

    def download(self, image_id: str, path: str) -> None:
        pathlib.Path(path).write_bytes(self.path.read_bytes()[:MIB])
        raise exception.FellowServiceError(service='image', reason='1 of 22 MiB came')


def test_a_download_that_breaks_off_leaves_nothing(
    driver: LibvirtDriver, server: Server, instances: pathlib.Path, guest_image: pathlib.Path
) -> None:
    with pytest.raises(exception.FellowServiceError, match='1 of 22 MiB came'):
        driver.spawn(GuestSpec(server=server, vifs=[]), Cut(guest_image), lambda start: start())
    assert driver.list_guests() == []
    assert _files(instances) == []
