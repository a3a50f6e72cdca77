"""A server's local disks, as they have to be told of to another host."""

import contextlib
import os
from collections.abc import Callable

import msgspec
from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import exception
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg
from kilonova.compute.virt.libvirt.migrate import transfer
from kilonova.compute.virt.libvirt.xml.element import Node

LENT = 'base.'
"""Links to files of the image cache, for as long as another host may fetch them."""


class LocalDisk(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A file in the server's directory; sizes in bytes, ``base`` is a file of the cache."""

    file: str
    format: str
    target: str
    size: int
    allocated: int
    base: str | None = None
    base_format: str = 'raw'


class Local(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All that a server has in its directory: what it writes to, and what it only reads."""

    disks: list[LocalDisk] = []
    files: list[str] = []

    @property
    def bases(self) -> dict[str, str]:
        """Return the files of the cache that the disks lie on, with their formats."""
        return {disk.base: disk.base_format for disk in self.disks if disk.base}


def find(conf: cfg.ConfigOpts, domain: Node, directory: str) -> Local:
    """Return the disks of a domain that are files in its directory."""
    found = Local()
    for node in domain.findall('devices/disk'):
        source, target, driver = node.find('source'), node.find('target'), node.find('driver')
        path = None if source is None else source.get('file')
        if path is None or target is None or driver is None:
            continue
        if os.path.dirname(path) != directory:
            continue
        if node.find('readonly') is not None or os.path.basename(path) == 'disk.config':
            found.files.append(os.path.basename(path))
        else:
            kind = str(driver.get('type'))
            found.disks.append(_describe(conf, path, kind, str(target.get('dev'))))
    for tag in ('os/kernel', 'os/initrd'):
        path = domain.findtext(tag)
        if path is not None and os.path.dirname(path) == directory:
            found.files.append(os.path.basename(path))
    return found


def _describe(conf: cfg.ConfigOpts, path: str, kind: str, target: str) -> LocalDisk:
    try:
        info = QemuImg(conf).info(path, kind)
    except processutils.ProcessExecutionError as error:
        raise exception.VirtDriverError(
            reason=f'The disk {path} cannot be read: {error.stderr}'
        ) from error
    base = info.get('backing-filename')
    return LocalDisk(
        file=os.path.basename(path),
        format=kind,
        target=target,
        size=int(info['virtual-size']),
        allocated=int(info['actual-size']),
        base=os.path.basename(base) if base else None,
        base_format=str(info.get('backing-filename-format') or 'raw'),
    )


def lend(local: Local, cache: ImageCache, directory: str) -> None:
    """Let the bases be fetched from a server's directory."""
    for name in local.bases:
        with contextlib.suppress(FileExistsError):
            os.link(os.path.join(cache.directory, name), os.path.join(directory, LENT + name))


def take_back(directory: str) -> None:
    """Undo that."""
    if not os.path.isdir(directory):
        return
    for name in os.listdir(directory):
        if name.startswith(LENT):
            os.unlink(os.path.join(directory, name))


def fetch_bases(local: Local, cache: ImageCache, source: transfer.Source) -> None:
    """See that the bases are in this host's cache."""
    for name, kind in local.bases.items():
        cache.adopted(name, kind, _fetcher(source, LENT + name))


def _fetcher(source: transfer.Source, name: str) -> Callable[[str], None]:
    return lambda path: source.fetch(name, path)


def make_empty(conf: cfg.ConfigOpts, local: Local, cache: ImageCache, directory: str) -> None:
    """Make the disks that a guest's running self is to fill: overlays of the same bases."""
    for disk in local.disks:
        path = os.path.join(directory, disk.file)
        if disk.base:
            base = os.path.join(cache.directory, disk.base)
            QemuImg(conf).create_overlay(path, base, disk.base_format, disk.size)
        else:
            processutils.execute(
                'qemu-img', 'create', '-q', '-f', disk.format, path, str(disk.size)
            )


def rebase(local: Local, cache: ImageCache, directory: str) -> None:
    """Let copied overlays name this host's bases, which may be in another place."""
    for disk in local.disks:
        if disk.base:
            processutils.execute(
                *('qemu-img', 'rebase', '-u', '-f', disk.format),
                *('-b', os.path.join(cache.directory, disk.base), '-F', disk.base_format),
                os.path.join(directory, disk.file),
            )
