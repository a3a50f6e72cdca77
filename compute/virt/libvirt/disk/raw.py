"""Raw disks: copies of the cached image."""

import os

from oslo_concurrency import processutils

from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.image_cache import Cached
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg


class Raw(Backend):
    FORMAT = 'raw'

    def create(self, disk: str, base: Cached, size: int) -> None:
        if base.format == 'raw':
            processutils.execute('cp', '--sparse=always', '--reflink=auto', base.path, disk)
        else:
            QemuImg(self._conf).convert(base.path, base.format, disk, base.virtual_size)
        if size > os.path.getsize(disk):
            os.truncate(disk, size)
        self.preallocate(disk, max(size, base.virtual_size))

    def size(self, disk: str) -> int:
        return os.path.getsize(disk)
