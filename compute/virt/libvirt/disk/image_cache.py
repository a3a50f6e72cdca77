"""The cache of images: ``<instances_path>/_base/<sha1 of the image's id>``.

An image is downloaded once, under a lock that holds for all hosts that share the
directory, inspected, and (with force_raw_images) converted to raw.  Beside it stands a
note of its format: once it has been converted, nobody must guess that from its content,
which a guest's owner has made.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator

from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.compute.virt.driver import ImageSource
from kilonova.compute.virt.libvirt.disk import inspection
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg

LOG = logging.getLogger(__name__)

LOCK_PREFIX = 'nova-'


@dataclasses.dataclass(frozen=True)
class Cached:
    """A file of the cache; it is read-only: disks are overlays or copies of it."""

    path: str
    format: str
    virtual_size: int


class ImageCache:
    """The cache of one instances_path."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self.directory = os.path.join(conf.instances_path, conf.image_cache.subdirectory_name)
        self._locks = os.path.join(conf.instances_path, 'locks')
        limit = conf.compute.max_concurrent_disk_ops
        self._slots = threading.Semaphore(limit) if limit else None

    def image(self, image: Image, source: ImageSource, limit: int | None) -> Cached:
        """Return the image, which is fetched if need be.

        ``limit`` is the size of the disk that is to be made of it, in bytes.  Raises
        ImageUnacceptable, FlavorDiskSmallerThanImage; then nothing is left behind.
        """
        if image.virtual_size:
            _check_size(image.virtual_size, limit)
        name = file_name(image.id)
        with self.locked(name):
            cached = self._find(name) or self._fetch(name, image, source, limit)
        _check_size(cached.virtual_size, limit)
        return cached

    def holds(self, image_id: str) -> bool:
        """Tell whether an image is there already."""
        name = file_name(image_id)
        with self.locked(name):
            return self._find(name) is not None

    def made(self, name: str, size: int, make: Callable[[str], None]) -> Cached:
        """Return a raw file of our own making (an empty file system), made if need be."""
        with self.locked(name):
            cached = self._find(name)
            if cached is None:
                path = self._path(name + '.part')
                with self._removed_on_failure(path):
                    with open(path, 'wb') as file:
                        file.truncate(size)
                    make(path)
                    cached = self._keep(name, path, 'raw', size)
        return cached

    def adopted(self, name: str, image_format: str, fetch: Callable[[str], None]) -> Cached:
        """Return a file of another host's cache, which ``fetch`` writes if it is not here.

        That host has inspected it.
        """
        with self.locked(name):
            path = self._path(name)
            if os.path.exists(path):
                return Cached(path, image_format, os.path.getsize(path))
            part = self._path(name + '.part')
            with self._slot(), self._removed_on_failure(part):
                fetch(part)
                return self._keep(name, part, image_format, os.path.getsize(part))

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Lock out other threads and other processes, also those of other hosts."""
        os.makedirs(self.directory, exist_ok=True)
        with lockutils.lock(
            name, lock_file_prefix=LOCK_PREFIX, external=True, lock_path=self._locks
        ):
            yield

    def _find(self, name: str) -> Cached | None:
        path = self._path(name)
        if not os.path.exists(path):
            return None
        try:
            with open(path + '.json') as file:
                note = json.load(file)
            found = Cached(path, note['format'], note['virtual_size'])
        except FileNotFoundError:
            if not self._conf.force_raw_images:
                return None
            # From Nova, which keeps no note: it is raw, or at least used as such.
            found = Cached(path, 'raw', os.path.getsize(path))
        if found.format == 'raw' and os.path.getsize(path) != found.virtual_size:
            LOG.error(
                '%s has %d bytes instead of %d: it is fetched again',
                *(path, os.path.getsize(path), found.virtual_size),
            )
            return None
        if found.format != 'raw' and self._conf.force_raw_images:
            return None
        with contextlib.suppress(PermissionError):
            os.utime(path)  # for whoever removes what has not been used for long
        return found

    def _fetch(self, name: str, image: Image, source: ImageSource, limit: int | None) -> Cached:
        part, raw = self._path(name + '.part'), self._path(name + '.converted')
        with self._slot(), self._removed_on_failure(part, raw):
            _unlink(part, raw)  # from a crash
            source.download(image.id, part)
            found = inspection.inspect(self._conf, image, part)
            _check_size(found.virtual_size, limit)
            if found.format == 'raw' or not self._conf.force_raw_images:
                return self._keep(name, part, found.format, found.virtual_size)
            LOG.info('Converting image %s from %s to raw', image.id, found.format)
            QemuImg(self._conf).convert(part, found.format, raw, found.virtual_size)
            os.unlink(part)
            return self._keep(name, raw, 'raw', os.path.getsize(raw))

    def _keep(self, name: str, made: str, image_format: str, size: int) -> Cached:
        """Put a finished file in its place: the note first, so that it is never missing."""
        path = self._path(name)
        _unlink(path)
        with open(path + '.json', 'w') as file:
            json.dump({'format': image_format, 'virtual_size': size}, file)
        os.chmod(made, 0o644)
        os.rename(made, path)
        return Cached(path, image_format, size)

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        with self._slots or contextlib.nullcontext():
            yield

    @contextlib.contextmanager
    def _removed_on_failure(self, *paths: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            _unlink(*paths)
            raise


def file_name(image_id: str) -> str:
    """Return the name that an image has in the cache."""
    return hashlib.sha1(image_id.encode(), usedforsecurity=False).hexdigest()


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise exception.FlavorDiskSmallerThanImage(flavor_size=limit, image_size=size)


def _unlink(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
