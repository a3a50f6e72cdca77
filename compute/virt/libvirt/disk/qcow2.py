"""qcow2 disks: overlays that hold what differs from the cached image."""

import struct

from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.image_cache import Cached
from kilonova.compute.virt.libvirt.disk.qemu_img import QemuImg

# Magic number, version, where the name of the backing file is, and how long it is.
HEADER = struct.Struct('>4sIQI')
LONGEST_NAME = 1023


class Qcow2(Backend):
    FORMAT = 'qcow2'

    def create(self, disk: str, base: Cached, size: int) -> None:
        wanted = max(size, base.virtual_size)
        QemuImg(self._conf).create_overlay(disk, base.path, base.format, wanted)
        self.preallocate(disk, wanted)


def backing_file(path: str) -> str | None:
    """Return the name of the file that an overlay lies on, as its header has it.

    None for what is no overlay.  One header is read, so this is for hundreds of disks at
    once; qemu-img would be a process each.
    """
    with open(path, 'rb') as file:
        start = file.read(HEADER.size)
        if len(start) < HEADER.size:
            return None
        magic, version, offset, length = HEADER.unpack(start)
        if magic != b'QFI\xfb' or version < 2 or not offset or length > LONGEST_NAME:
            return None
        file.seek(offset)
        return file.read(length).decode(errors='surrogateescape')
