"""Shares are mounted once for all guests, and go with the last."""

import os
import pathlib

import pytest
from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.share import Share
from kilonova.compute.virt.libvirt import mounts, privileged

DOCS = Share(uuid='u', share_id='s1', tag='docs', export_location='nas:/docs')
CEPH = Share(uuid='v', share_id='s2', tag='c', export_location='mon:/c', protocol='CEPHFS')


class Kernel:
    """What is mounted."""

    def __init__(self) -> None:
        self.mounted: dict[str, tuple[str, str, list[str]]] = {}
        self.broken = False

    def mount(self, kind: str, export: str, where: str, options: list[str]) -> None:
        if self.broken:
            raise processutils.ProcessExecutionError(stderr='Connection refused')
        self.mounted[where] = (kind, export, options)

    def unmount(self, where: str) -> None:
        if self.broken:
            raise processutils.ProcessExecutionError(stderr='target is busy')
        del self.mounted[where]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    found = Kernel()
    monkeypatch.setattr(privileged, 'mount', found.mount)
    monkeypatch.setattr(privileged, 'unmount', found.unmount)
    monkeypatch.setattr(os.path, 'ismount', lambda path: path in found.mounted)
    return found


def test_two_guests_share_a_mount(conf: cfg.ConfigOpts, kernel: Kernel) -> None:
    one = mounts.Mounts(conf)
    for uuid in ('a', 'b', 'b'):
        one.mount(uuid, DOCS)
    where = mounts.path(conf, DOCS)
    assert kernel.mounted == {where: ('nfs', 'nas:/docs', [])}
    one.unmount('a', DOCS)
    assert where in kernel.mounted
    for _ in range(2):
        one.unmount('b', DOCS)
    assert kernel.mounted == {}
    assert not pathlib.Path(where).exists()


def test_options_of_mounts(conf: cfg.ConfigOpts, kernel: Kernel) -> None:
    conf.set_override('nfs_mount_options', 'vers=4.2', 'libvirt')
    conf.set_override('ceph_mount_options', ['-o', 'noatime'], 'libvirt')
    for share in (DOCS, CEPH):
        mounts.Mounts(conf).mount('a', share)
    assert list(kernel.mounted.values()) == [
        ('nfs', 'nas:/docs', ['-o', 'vers=4.2']),
        ('ceph', 'mon:/c', ['-o', 'noatime']),
    ]


def test_failures_name_the_share(conf: cfg.ConfigOpts, kernel: Kernel) -> None:
    kernel.broken = True
    one = mounts.Mounts(conf)
    with pytest.raises(exception.ShareAccessError, match='s1.*refused'):
        one.mount('a', DOCS)
    kernel.broken = False
    one.mount('a', DOCS)
    kernel.broken = True
    with pytest.raises(exception.ShareAccessError, match='s1.*busy'):
        one.unmount('a', DOCS)
