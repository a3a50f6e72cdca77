"""A real libvirt, a driver on it, and a small guest image."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator

import pytest
from oslo_config import cfg

from kilonova.common import base_config, config
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Server
from kilonova.compute import config as compute_config
from kilonova.compute.virt.driver import GuestSpec, ImageSource
from kilonova.compute.virt.libvirt import config as libvirt_config
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.tests.integration.libvirt import daemon
from kilonova.tests.integration.libvirt.booted import Booted

BUILD = pathlib.Path(__file__).parents[3] / 'tools' / 'build-guest-image'
CACHE = pathlib.Path('/var/tmp/kilonova-test-cache')


@pytest.fixture(scope='session')
def libvirt_folder() -> Iterator[pathlib.Path]:
    reason = daemon.missing()
    if reason:
        pytest.skip(reason)
    path = pathlib.Path(tempfile.mkdtemp(prefix='knlv-', dir='/var/tmp'))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope='session')
def libvirtd(libvirt_folder: pathlib.Path) -> Iterator[daemon.Libvirtd]:
    found = daemon.Libvirtd(libvirt_folder / 'libvirt')
    yield found
    found.close()


@pytest.fixture(scope='session')
def guest_image() -> pathlib.Path:
    """The small guest: given by KILONOVA_GUEST_IMAGE, or built once and kept."""
    given = os.environ.get('KILONOVA_GUEST_IMAGE')
    if given:
        return pathlib.Path(given)
    version = hashlib.sha256(BUILD.read_bytes()).hexdigest()[:12]
    path = CACHE / f'guest-{version}.qcow2'
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        part = CACHE / f'{path.name}.{os.getpid()}'
        subprocess.run(
            [str(BUILD), '-o', str(part)],
            env={**os.environ, 'LAB_DIR': str(CACHE)},
            check=True,
            timeout=600,
        )
        part.rename(path)
    return path


class File(ImageSource):
    """An image that is a file here."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.properties: dict[str, str] = {}

    def describe(self, image_id: str) -> Image:
        return Image(id=image_id, disk_format='qcow2', properties=self.properties)

    def download(self, image_id: str, path: str) -> None:
        shutil.copyfile(self.path, path)


@pytest.fixture
def conf(libvirt_folder: pathlib.Path, libvirtd: daemon.Libvirtd) -> Iterator[cfg.ConfigOpts]:
    with configured(libvirt_folder, libvirtd) as made:
        yield made


@contextlib.contextmanager
def configured(folder: pathlib.Path, libvirtd: daemon.Libvirtd) -> Iterator[cfg.ConfigOpts]:
    """A configuration with directories of its own."""
    conf = cfg.ConfigOpts()
    for options in (base_config, compute_config, libvirt_config):
        config.register(options.list_opts(), conf)
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    state = pathlib.Path(tempfile.mkdtemp(dir=folder))
    state.chmod(0o755)
    conf.set_override('state_path', str(state))
    conf.set_override('connection_uri', libvirtd.uri, 'libvirt')
    conf.set_override('virt_type', 'qemu', 'libvirt')
    # Names of control groups are the machine's, not ours alone.
    conf.set_override('instance_name_template', f'knlv{os.getpid()}-%08x')
    yield conf
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def driver(conf: cfg.ConfigOpts) -> Iterator[LibvirtDriver]:
    made = LibvirtDriver(conf)
    made.init_host('compute1')
    yield made
    made.close()


@pytest.fixture
def instances(conf: cfg.ConfigOpts) -> pathlib.Path:
    return pathlib.Path(conf.instances_path)


@pytest.fixture
def server() -> Server:
    return make_server()


def make_server() -> Server:
    return Server(
        id=uuid.uuid4().int % 2**31,
        uuid=str(uuid.uuid4()),
        name='vm1',
        project_id='p' * 32,
        user_id='u' * 32,
        flavor=Flavor(flavorid='1', name='m1.tiny', memory_mb=128, vcpus=1, root_gb=1),
        image=Image(id=str(uuid.uuid4()), disk_format='qcow2'),
    )


@pytest.fixture(scope='module')
def guest(
    libvirt_folder: pathlib.Path,
    libvirtd: daemon.Libvirtd,
    guest_image: pathlib.Path,
    request: pytest.FixtureRequest,
) -> Iterator[Booted]:
    """One guest for all tests of a module, which shapes it by its function ``shape``."""
    server = make_server()
    with configured(libvirt_folder, libvirtd) as conf:
        getattr(request.module, 'shape', lambda conf, server: None)(conf, server)
        driver = LibvirtDriver(conf)
        driver.init_host('compute1')
        images = File(guest_image)
        try:
            spec = GuestSpec(server=server, vifs=[])
            changes = driver.spawn(spec, images, lambda start: start())
            made = Booted(conf, driver, server, images, libvirtd, changes)
            made.wait_ready()
            yield made
        finally:
            driver.destroy(server, [])
            driver.close()


@pytest.fixture
def removed(
    driver: LibvirtDriver, instances: pathlib.Path, libvirtd: daemon.Libvirtd
) -> Iterator[Callable[[Server], None]]:
    """Destroys a server and asserts that nothing is left; also at the end of a failed test."""
    yield lambda server: _assert_gone(driver, instances, libvirtd, server)
    for uuid_ in driver.list_guests():
        driver.destroy(
            Server(
                uuid=uuid_,
                name='',
                project_id='',
                user_id='',
                flavor=Flavor(flavorid='', name='', memory_mb=0, vcpus=0),
            ),
            [],
        )


def _assert_gone(
    driver: LibvirtDriver, instances: pathlib.Path, libvirtd: daemon.Libvirtd, server: Server
) -> None:
    driver.destroy(server, [])
    driver.destroy(server, [])
    assert driver.list_guests() == []
    assert server.uuid not in libvirtd.virsh('list', '--all', '--uuid')
    assert [path for path in instances.iterdir() if server.uuid in path.name] == []
