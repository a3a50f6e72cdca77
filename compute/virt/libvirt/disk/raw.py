"""Raw disks: copies of the cached image."""

import os

from oslo_concurrency import processutils

from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.image_cache import Cached
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg


class Raw(Backend):
    FORMAT = 'raw'

    def create(self, path: str, base: Cached, size: int) -> None:
        if base.format == 'raw':
            processutils.execute('cp', '--sparse=always', '--reflink=auto', base.path, path)
        else:
            QemuImg(self._conf).convert(base.path, base.format, path, base.virtual_size)
        if size > os.path.getsize(path):
            os.truncate(path, size)
        self.preallocate(path, max(size, base.virtual_size))
