"""What nobody uses any more leaves the cache of images.

A file is in use when a disk below instances_path lies on it, of whatever server and of
whatever host that shares the directory, or when it is the image of one of this host's
servers.  What is in use is touched at each look, as it is whenever a disk is made of it: a
file's age is how long nobody has needed it.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.disk import image_cache, qcow2

LOG = logging.getLogger(__name__)

IMAGE = re.compile(r'[0-9a-f]{40}')
REMAKABLE = re.compile(r'[0-9a-f]{40}_\d+|swap_\d+|ephemeral_\w+')
HALF_MADE = ('.part', '.converted')
# From a look into the cache until the disk that was asked for lies on the file.
MAKING = 60


class CacheAgeing:
    """Looks through one cache."""

    def __init__(self, conf: cfg.ConfigOpts, cache: image_cache.ImageCache) -> None:
        self._conf, self._cache = conf, cache

    def run(self, servers: list[Server]) -> list[str]:
        """Touch what is used, remove what has not been for long; returns what was removed."""
        if not os.path.isdir(self._cache.directory):
            return []
        used = self._of_servers(servers) | self._under_disks()
        removed = []
        for entry in list(os.scandir(self._cache.directory)):
            name, age = entry.name, self._least_age(entry.name)
            if name in used:
                _touch(entry.path)
            elif age is not None and self._conf.image_cache.remove_unused_base_images:
                removed += [name] * self._remove(name, age)
        return removed

    @staticmethod
    def _of_servers(servers: list[Server]) -> set[str]:
        ids = {
            image
            for server in servers
            for image in (server.image.id, server.kernel_id, server.ramdisk_id)
            if image
        }
        return {image_cache.file_name(image) for image in ids}

    def _under_disks(self) -> set[str]:
        """Return the cache's files that disks lie on.

        Raises OSError: who cannot read all disks must not remove anything.
        """
        directory = os.path.realpath(self._cache.directory)
        used = set()
        for path in self._disks():
            try:
                base = qcow2.backing_file(path)
            except (FileNotFoundError, IsADirectoryError):
                continue
            if base is not None:
                base = os.path.realpath(os.path.join(os.path.dirname(path), base))
                if os.path.dirname(base) == directory:
                    used.add(os.path.basename(base))
        return used

    def _disks(self) -> Iterator[str]:
        """Give the disks in all servers' directories, also of those that are being removed.

        Other files there may be the hypervisor's alone to read.
        """
        for directory in os.scandir(self._conf.instances_path):
            if directory.is_dir():
                with contextlib.suppress(FileNotFoundError):
                    files = list(os.scandir(directory.path))
                    yield from (file.path for file in files if file.name.startswith('disk'))

    def _least_age(self, name: str) -> int | None:
        """Return how long a file must have been unused; None: it is not ours to remove."""
        conf = self._conf.image_cache
        name = _without_ending(name)
        if IMAGE.fullmatch(name):
            return int(conf.remove_unused_original_minimum_age_seconds)
        if REMAKABLE.fullmatch(name):
            return int(conf.remove_unused_resized_minimum_age_seconds)
        return None

    def _remove(self, name: str, age: int) -> bool:
        """Remove a file that is old enough, even when it is looked at under the cache's lock."""
        path = os.path.join(self._cache.directory, name)
        if not _is_older(path, age):
            return False
        key = _without_ending(name)
        with self._cache.locked(key):
            if not _is_older(path, age):
                return False
            LOG.info('Removing %s, which was not used for more than %d s', path, age)
            os.unlink(path)
            if key == name and os.path.exists(path + '.json'):
                os.unlink(path + '.json')
        return True


def _without_ending(name: str) -> str:
    for ending in HALF_MADE:
        name = name.removesuffix(ending)
    return name


def _is_older(path: str, age: int) -> bool:
    try:
        return time.time() - os.stat(path).st_mtime > max(age, MAKING)
    except FileNotFoundError:
        return False


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except PermissionError:
        LOG.debug('%s belongs to somebody else, who keeps it fresh', path)
