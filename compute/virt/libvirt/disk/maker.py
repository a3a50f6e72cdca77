"""Makes the disks of a layout and says how they stand in the domain."""

import hashlib
import os

from oslo_config import cfg

from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import ImageSource
from kilonova.compute.virt.libvirt.disk import config_drive, filesystem
from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.compute.virt.libvirt.disk.layout import Layout, PlannedDisk
from kilonova.compute.virt.libvirt.disk.qcow2 import Qcow2
from kilonova.compute.virt.libvirt.disk.raw import Raw
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.xml.disk import Disk

IOTUNE = (
    'read_bytes_sec',
    'write_bytes_sec',
    'total_bytes_sec',
    'read_iops_sec',
    'write_iops_sec',
    'total_iops_sec',
)


def backend(conf: cfg.ConfigOpts) -> Backend:
    """Return the configured backend."""
    kind = conf.libvirt.images_type
    if kind == 'default':
        kind = 'qcow2' if conf.use_cow_images else 'raw'
    return Qcow2(conf) if kind == 'qcow2' else Raw(conf)


class DiskMaker:
    """Makes a server's disks in its directory."""

    def __init__(self, conf: cfg.ConfigOpts, cache: ImageCache) -> None:
        self._conf, self._cache = conf, cache
        self._backend = backend(conf)
        self._cache_mode: str | None = None

    def make(
        self,
        server: Server,
        layout: Layout,
        directory: str,
        images: ImageSource,
        tree: dict[str, bytes] | None,
    ) -> list[Disk]:
        """Make all disks.  The image is checked before any of them is made.

        Raises BuildAborted kinds for a bad image; ProcessExecutionError, OSError.
        """
        made = []
        if layout.root is not None:
            limit = layout.root.size or None
            cached = self._cache.image(server.image, images, limit)
            self._backend.create(self._path(directory, layout.root), cached, layout.root.size)
            made.append(self._xml(server, layout.root, directory, self._backend.FORMAT))
        for disk in layout.ephemeral:
            self._make_ephemeral(server, disk, directory)
            made.append(self._xml(server, disk, directory, self._backend.FORMAT))
        if layout.swap is not None:
            self._make_swap(layout.swap, directory)
            made.append(self._xml(server, layout.swap, directory, self._backend.FORMAT))
        if layout.config_drive is not None and tree is not None:
            config_drive.make(self._conf, tree, self._path(directory, layout.config_drive))
            made.append(self._xml(server, layout.config_drive, directory, 'raw'))
        return made

    def fetch_boot_file(self, image_id: str, images: ImageSource, path: str) -> None:
        """Copy a kernel or initial RAM disk from the cache."""
        cached = self._cache.image(Image(id=image_id, disk_format='raw'), images, None)
        Raw(self._conf).create(path, cached, 0)

    def _make_ephemeral(self, server: Server, disk: PlannedDisk, directory: str) -> None:
        props = ImageProps(server.image)
        os_type = props.get('os_type')
        command = filesystem.custom_command(self._conf, os_type)
        kind = filesystem.ephemeral_format(self._conf, os_type, disk.filesystem)
        label = 'ephemeral' + disk.name.removeprefix('disk.eph')
        key = hashlib.sha1((command or kind).encode() + label.encode()).hexdigest()[:7]
        base = self._cache.made(
            f'ephemeral_{disk.size}_{key}',
            disk.size,
            lambda path: filesystem.make(path, kind, label, command),
        )
        self._backend.create(self._path(directory, disk), base, disk.size)

    def _make_swap(self, disk: PlannedDisk, directory: str) -> None:
        base = self._cache.made(
            f'swap_{disk.size}', disk.size, lambda path: filesystem.make(path, 'swap', '')
        )
        self._backend.create(self._path(directory, disk), base, disk.size)

    @staticmethod
    def _path(directory: str, disk: PlannedDisk) -> str:
        return os.path.join(directory, disk.name)

    def _xml(self, server: Server, disk: PlannedDisk, directory: str, image_format: str) -> Disk:
        found = Disk(
            device=disk.device,
            format=image_format,
            cache=self._cache_for(directory),
            path=self._path(directory, disk),
            target=disk.target,
            bus=disk.bus,
            readonly=disk.device == 'cdrom',
        )
        if disk.device == 'disk':
            found.discard = self._conf.libvirt.hw_disk_discard
            for name in IOTUNE:
                setattr(found, name, server.flavor.extra_specs.get(f'quota:disk_{name}'))
        return found

    def _cache_for(self, directory: str) -> str:
        """Return the cache mode for files: as configured, else the one that is safe and possible."""
        for entry in self._conf.libvirt.disk_cachemodes:
            source, _, mode = entry.partition('=')
            if source == 'file':
                return str(mode)
        if self._cache_mode is None:
            self._cache_mode = 'none' if takes_direct_io(directory) else 'writeback'
        return self._cache_mode


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
