"""Guests move between hosts whose QEMU processes encrypt what they send, and know one another."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec, PowerState
from kilonova.tests.integration import certificates
from kilonova.tests.integration.libvirt import hosts
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.libvirt.hosts import make_server
from kilonova.tests.integration.libvirt.test_moves import Pair, Steer, arrive, prepare

pytestmark = pytest.mark.integration

CONF = """
migrate_tls_x509_cert_dir = "{folder}"
migrate_tls_x509_verify = 1
"""


def issue(folder: pathlib.Path) -> str:
    """Make certificates of an authority of their own; return what qemu.conf says of them."""
    folder.mkdir()
    folder.chmod(0o755)
    authority, certificate, key = certificates.make(folder, hosts.ADDRESSES)
    shutil.copy(authority, folder / 'ca-cert.pem')
    for side in ('server', 'client'):
        shutil.copy(certificate, folder / f'{side}-cert.pem')
        shutil.copy(key, folder / f'{side}-key.pem')
    return CONF.format(folder=folder)


@contextlib.contextmanager
def encrypted(root: pathlib.Path, conf: tuple[str, str]) -> Iterator[Pair]:
    with hosts.two(root, qemu_conf=conf) as pair:
        for host in pair:
            host.conf.set_override('live_migration_with_native_tls', True, 'libvirt')
        yield pair


@contextlib.contextmanager
def guest(pair: Pair, image: pathlib.Path) -> Iterator[Server]:
    server = make_server()
    pair[0].driver.spawn(GuestSpec(server=server, vifs=[]), File(image), lambda start: start())
    pair[0].ready(server)
    try:
        yield server
    finally:
        for host in pair:
            host.driver.destroy(server, [])
            assert host.domains() == []


def test_memory_and_disks_go_encrypted(
    libvirt_folder: pathlib.Path, guest_image: pathlib.Path
) -> None:
    conf = issue(libvirt_folder / 'tls')
    with encrypted(libvirt_folder, (conf, conf)) as pair, guest(pair, guest_image) as server:
        data = prepare(pair, server, [])
        assert data['block_migration']
        pair[0].driver.migrate_live(server, pair[1].name, data, Steer())
        arrive(pair, server, [], data)
        assert 'boot=2' not in pair[1].console(server)


def test_a_stranger_is_refused(libvirt_folder: pathlib.Path, guest_image: pathlib.Path) -> None:
    """The destination's certificate is another authority's: the guest stays, the error says why."""
    conf = issue(libvirt_folder / 'tls-own'), issue(libvirt_folder / 'tls-other')
    with encrypted(libvirt_folder, conf) as pair, guest(pair, guest_image) as server:
        source, target = pair
        data = prepare(pair, server, [])
        with pytest.raises(exception.VirtDriverError, match='(?i)certificate|tls'):
            source.driver.migrate_live(server, target.name, data, Steer())
        target.driver.rollback_live(server, [], data)
        assert source.driver.get_power_state(server.uuid) == PowerState.RUNNING
        assert target.domains() == []
