"""How disks are stored: the choice between the backends, and what they have in common."""

import abc
import os

from oslo_config import cfg

from kilonova.compute.virt.libvirt.disk.image_cache import Cached
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg
from kilonova.compute.virt.libvirt.xml.disk import Disk


class Backend(abc.ABC):
    """Stores disks of servers.

    A disk is named as ``locate`` says: a file, a block device, POOL/IMAGE.  All raise
    ProcessExecutionError, OSError.  Each may be called again after a crash.
    """

    FORMAT: str
    IN_DIRECTORY = True
    """Disks are files in their server's directory, and go with it."""
    SHARED = False
    """All hosts see the same disks."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def locate(self, directory: str, name: str) -> str:
        """Return which disk of that name the server has whose directory that is."""
        return os.path.join(directory, name)

    @abc.abstractmethod
    def create(self, disk: str, base: Cached, size: int) -> None:
        """Make a disk with the content of ``base``, ``size`` bytes or more."""

    def exists(self, disk: str) -> bool:
        return os.path.exists(disk)

    def size(self, disk: str) -> int:
        """Return how large the guest sees it."""
        return int(QemuImg(self._conf).info(disk, self.FORMAT)['virtual-size'])

    def resize(self, disk: str, size: int) -> None:
        """Make a disk larger; one that is large enough stays as it is."""
        if self.size(disk) < size:
            QemuImg(self._conf).resize(disk, self.FORMAT, size)

    def copy(self, disk: str, target: str, target_format: str, compress: bool = False) -> None:
        """Write a disk that nobody writes to as one file that needs no other."""
        QemuImg(self._conf).flatten(disk, self.FORMAT, target, target_format, compress)

    def remove(self, disk: str) -> None:
        """Remove one disk; no error when it is gone."""
        if os.path.exists(disk):
            os.unlink(disk)

    def remove_all(self, directory: str) -> None:  # noqa: B027  (most have nothing to do)
        """Remove a server's disks that don't go with its directory."""

    def describe(self, disk: str, xml: Disk) -> None:
        """Say in a domain's <disk> where the disk is."""
        xml.path = disk

    def space(self) -> tuple[int, int]:
        """Return how many bytes there are for disks, and how many of them are free."""
        found = os.statvfs(self._conf.instances_path)
        return found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail

    def preallocate(self, path: str, size: int) -> None:
        """Take the space of the whole disk now, if the configuration wants that."""
        if self._conf.preallocate_images == 'space':
            descriptor = os.open(path, os.O_RDWR)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
