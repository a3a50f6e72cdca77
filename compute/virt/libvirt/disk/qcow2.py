"""qcow2 disks: overlays that hold what differs from the cached image."""

from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.image_cache import Cached
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg


class Qcow2(Backend):
    FORMAT = 'qcow2'

    def create(self, path: str, base: Cached, size: int) -> None:
        wanted = max(size, base.virtual_size)
        QemuImg(self._conf).create_overlay(path, base.path, base.format, wanted)
        self.preallocate(path, wanted)
