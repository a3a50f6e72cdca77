"""How disks are stored: the choice between the backends, and what they have in common."""

import abc
import os

from oslo_config import cfg

from kilonova.compute.virt.libvirt.disk.image_cache import Cached


class Backend(abc.ABC):
    """Makes disks from files of the cache."""

    FORMAT: str

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    @abc.abstractmethod
    def create(self, path: str, base: Cached, size: int) -> None:
        """Make the disk ``path`` with the content of ``base``, ``size`` bytes or more.

        Raises ProcessExecutionError, OSError.
        """

    def preallocate(self, path: str, size: int) -> None:
        """Take the space of the whole disk now, if the configuration wants that."""
        if self._conf.preallocate_images == 'space':
            descriptor = os.open(path, os.O_RDWR)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
