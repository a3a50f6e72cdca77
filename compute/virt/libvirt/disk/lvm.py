"""Disks that are logical volumes of [libvirt]images_volume_group: ``UUID_NAME`` in it.

Changing volumes is root's business, so it goes through the privsep daemon.
"""

import os

from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import exception
from kilonova.compute.virt.libvirt import privileged
from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.image_cache import Cached
from kilonova.compute.virt.libvirt.xml.disk import Disk

MIB = 1024**2


class Lvm(Backend):
    FORMAT = 'raw'
    IN_DIRECTORY = False

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        group = conf.libvirt.images_volume_group
        if not group:
            raise exception.VirtDriverError(
                reason='[libvirt]images_type is lvm, but images_volume_group is not set.'
            )
        self._group = str(group)

    def locate(self, directory: str, name: str) -> str:
        return f'/dev/{self._group}/{os.path.basename(directory)}_{name}'

    def create(self, disk: str, base: Cached, size: int) -> None:
        wanted = max(size, base.virtual_size)
        if not self.exists(disk):
            privileged.lvm_create(
                self._group,
                os.path.basename(disk),
                wanted,
                self._conf.libvirt.sparse_logical_volumes,
            )
        privileged.write_device(base.path, base.format, disk)

    def size(self, disk: str) -> int:
        return int(privileged.block_size(disk))

    def resize(self, disk: str, size: int) -> None:
        if self.size(disk) < size:
            privileged.lvm_extend(disk, size)

    def copy(self, disk: str, target: str, target_format: str, compress: bool = False) -> None:
        privileged.read_device(disk, target, target_format, compress, os.geteuid())

    def remove(self, disk: str) -> None:
        """Overwrite the content first, as configured: the next owner must not read it."""
        if not self.exists(disk):
            return
        how, most = self._conf.libvirt.volume_clear, self._conf.libvirt.volume_clear_size
        if how != 'none':
            privileged.wipe(disk, how, most * MIB or None)
        privileged.lvm_remove(disk)

    def remove_all(self, directory: str) -> None:
        prefix = os.path.basename(directory) + '_'
        for name in privileged.lvm_names(self._group):
            if name.startswith(prefix):
                self.remove(f'/dev/{self._group}/{name}')

    def describe(self, disk: str, xml: Disk) -> None:
        xml.type, xml.dev = 'block', disk

    def space(self) -> tuple[int, int]:
        out, _err = processutils.execute(
            *('env', 'LC_ALL=C', 'vgs', '--noheadings', '--nosuffix', '--units', 'b'),
            *('--separator', '|', '-o', 'vg_size,vg_free', self._group),
        )
        total, _, free = out.strip().partition('|')
        return int(total), int(free)
