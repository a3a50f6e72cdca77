"""Makes the disks of a layout, adapts those that are there, says how they stand in a domain."""

import hashlib

from oslo_config import cfg

from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import ImageSource
from kilonova.compute.virt.libvirt.disk import config_drive, filesystem
from kilonova.compute.virt.libvirt.disk.backend import Backend
from kilonova.compute.virt.libvirt.disk.description import Describer
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.compute.virt.libvirt.disk.layout import Layout, PlannedDisk
from kilonova.compute.virt.libvirt.disk.raw import Raw
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.xml.disk import Disk


class DiskMaker:
    """Makes a server's disks."""

    def __init__(self, conf: cfg.ConfigOpts, cache: ImageCache, backend: Backend) -> None:
        self._conf, self._cache, self.backend = conf, cache, backend
        # Config drives are files whatever the other disks are.
        self._files = Raw(conf)
        self._describer = Describer(conf)

    def make(
        self,
        server: Server,
        layout: Layout,
        directory: str,
        images: ImageSource,
    ) -> list[Disk]:
        """Make all disks but the config drive.  The image is checked before any of them is made.

        Raises BuildAborted kinds for a bad image; ProcessExecutionError, OSError.
        """
        if layout.root is not None:
            self._make_root(server, layout.root, directory, images)
        for disk in layout.ephemeral:
            self._make_ephemeral(server, disk, directory)
        if layout.swap is not None:
            self._make_swap(layout.swap, directory)
        return self.describe(server, layout, directory)

    def make_config_drive(self, layout: Layout, directory: str, tree: dict[str, bytes]) -> None:
        """Write what the guest is told, part of which is known when it is defined."""
        if layout.config_drive is not None:
            path = self._files.locate(directory, layout.config_drive.name)
            config_drive.make(self._conf, tree, path)

    def adapt(self, server: Server, layout: Layout, directory: str) -> list[Disk]:
        """Fit the disks that are there to a layout of another size, and make those that it adds.

        Root and ephemeral disks grow, swap is made anew, what the layout has not goes.
        Raises ProcessExecutionError, OSError.
        """
        if layout.root is not None and layout.root.size:
            self.backend.resize(self._where(directory, layout.root), layout.root.size)
        for disk in layout.ephemeral:
            where = self._where(directory, disk)
            if self.backend.exists(where):
                self.backend.resize(where, disk.size)
            else:
                self._make_ephemeral(server, disk, directory)
        self._adapt_swap(layout.swap, directory)
        return self.describe(server, layout, directory)

    def describe(self, server: Server, layout: Layout, directory: str) -> list[Disk]:
        """Return the <disk> elements of disks that are there."""
        found = []
        for disk in layout.disks:
            backend = self._files if disk is layout.config_drive else self.backend
            found.append(self._describer.xml(server, disk, directory, backend))
        return found

    def describe_one(self, server: Server, disk: PlannedDisk, directory: str) -> Disk:
        """Return the <disk> element of a disk that isn't in the layout."""
        return self._describer.xml(server, disk, directory, self.backend)

    def fetch_boot_file(self, image_id: str, images: ImageSource, path: str) -> None:
        """Copy a kernel or initial RAM disk from the cache."""
        cached = self._cache.image(Image(id=image_id, disk_format='raw'), images, None)
        self._files.create(path, cached, 0)

    def make_of_image(
        self, image: Image, images: ImageSource, directory: str, disk: PlannedDisk
    ) -> None:
        """Make one disk of an image.  Raises ImageUnacceptable, FlavorDiskSmallerThanImage."""
        cached = self._cache.image(image, images, disk.size or None)
        self.backend.create(self._where(directory, disk), cached, disk.size)

    def _make_root(
        self, server: Server, disk: PlannedDisk, directory: str, images: ImageSource
    ) -> None:
        self.make_of_image(server.image, images, directory, disk)

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
        self.backend.create(self._where(directory, disk), base, disk.size)

    def _make_swap(self, disk: PlannedDisk, directory: str) -> None:
        base = self._cache.made(
            f'swap_{disk.size}', disk.size, lambda path: filesystem.make(path, 'swap', '')
        )
        self.backend.create(self._where(directory, disk), base, disk.size)

    def _adapt_swap(self, disk: PlannedDisk | None, directory: str) -> None:
        where = self.backend.locate(directory, 'disk.swap')
        there = self.backend.exists(where)
        if disk is not None and there and self.backend.size(where) == disk.size:
            return
        if there:
            self.backend.remove(where)
        if disk is not None:
            self._make_swap(disk, directory)

    def _where(self, directory: str, disk: PlannedDisk) -> str:
        return self.backend.locate(directory, disk.name)
