"""How disks stand in a domain: cache modes, discard, I/O threads, limits."""

import os

from oslo_config import cfg

from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.layout import PlannedDisk
from kilonova.compute.virt.libvirt.wishes import Wishes
from kilonova.compute.virt.libvirt.xml.disk import Disk

IOTHREAD = 1
IOTUNE = (
    'read_bytes_sec',
    'write_bytes_sec',
    'total_bytes_sec',
    'read_iops_sec',
    'write_iops_sec',
    'total_iops_sec',
)


class Describer:
    """Describes local disks."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._direct_io: dict[str, bool] = {}

    def xml(self, server: Server, disk: PlannedDisk, directory: str, backend: Backend) -> Disk:
        found = Disk(
            device=disk.device,
            format=backend.FORMAT,
            target=disk.target,
            bus=disk.bus,
            readonly=disk.device == 'cdrom',
        )
        backend.describe(backend.locate(directory, disk.name), found)
        found.cache = self.cache_mode(found.type, directory)
        packed = Wishes(server).flag('virtio_packed_ring')
        # Linux' own asynchronous I/O works past the page cache alone.
        if self._conf.preallocate_images == 'space' and found.cache in ('none', 'directsync'):
            found.io = 'native'
        if disk.device == 'disk':
            found.iothread = IOTHREAD if disk.bus == 'virtio' else None
            found.packed = 'on' if packed and disk.bus == 'virtio' else None
            found.discard = self._conf.libvirt.hw_disk_discard
            for name in IOTUNE:
                setattr(found, name, server.flavor.extra_specs.get(f'quota:disk_{name}'))
        return found

    def cache_mode(self, kind: str, directory: str) -> str:
        """Return the cache mode for a libvirt disk type: as configured, else safe and possible."""
        for entry in self._conf.libvirt.disk_cachemodes:
            source, _, mode = entry.partition('=')
            if source == kind:
                return str(mode)
        if kind != 'file':
            return 'none'
        root = os.path.dirname(directory)
        if root not in self._direct_io:
            self._direct_io[root] = takes_direct_io(directory)
        return 'none' if self._direct_io[root] else 'writeback'


def takes_direct_io(directory: str) -> bool:
    """Return whether files there can be opened past the page cache."""
    path = os.path.join(directory, f'.directio.{os.getpid()}')
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_DIRECT, 0o600))
    except OSError:
        return False
    finally:
        if os.path.exists(path):
            os.unlink(path)
    return True
