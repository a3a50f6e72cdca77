"""Rescue: a guest boots from another image for a while, with its own disks beside that.

The domain as it was is kept in ``unrescue.xml`` in the server's directory; as long as that is
there, the guest is in rescue.  An image that says by which bus or device it wants to be
attached (``hw_rescue_bus``, ``hw_rescue_device``) leaves all other disks where they are;
any other takes the place of the root disk, which gets the first one that is free.
"""

import contextlib
import copy
import os

from lxml import etree
from oslo_concurrency import processutils
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import ImageSource
from kilonova.compute.virt.libvirt import guest_system, rescue_disks
from kilonova.compute.virt.libvirt.disk import config_drive
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.disk.maker import DiskMaker
from kilonova.compute.virt.libvirt.guest import Guest, Guests
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.power import Power
from kilonova.compute.virt.libvirt.xml.element import Node

LOG = logging.getLogger(__name__)

KEPT = 'unrescue.xml'
FILES = ('kernel.rescue', 'ramdisk.rescue', 'disk.config.rescue')


class Rescuer:
    """Takes guests into rescue and out of it."""

    def __init__(
        self, host: Host, guests: Guests, directories: Directories, maker: DiskMaker, power: Power
    ) -> None:
        self._host, self._guests, self._directories = host, guests, directories
        self._maker, self._power = maker, power

    def rescue(
        self,
        server: Server,
        vifs: list[VIF],
        images: ImageSource,
        image_id: str | None,
        tree: dict[str, bytes] | None,
    ) -> None:
        guest = self._guests.find(server.uuid)
        own = self._host.conf.libvirt.rescue_image_id or server.image.id
        if not (image_id or own):
            raise exception.VirtDriverError(reason='There is no image to rescue the server with.')
        image = images.describe(image_id or own)
        was_active = guest.is_active()
        with contextlib.ExitStack() as undo:
            try:
                old = self._keep(guest, server, undo)
                new = self._prepare(old, server, images, image, tree)
                self._boot(guest, server, vifs, new, was_active, undo)
            except (processutils.ProcessExecutionError, OSError) as error:
                raise exception.VirtDriverError(reason=f'Rescue failed: {error}') from error
            undo.pop_all()

    def unrescue(self, server: Server, vifs: list[VIF]) -> None:
        guest = self._guests.find(server.uuid)
        path = self._file(server, KEPT)
        if os.path.exists(path):
            with open(path) as file:
                self._guests.define(file.read())
            self._power.start_anew(guest, server, vifs)
        else:
            self._power.on(server, vifs)
        self._clean(server)

    def _keep(self, guest: Guest, server: Server, undo: contextlib.ExitStack) -> Node:
        """Write down the domain as it is, unless an earlier attempt has done that."""
        path = self._file(server, KEPT)
        if os.path.exists(path):
            return etree.parse(path).getroot()
        xml = guest.xml()
        undo.callback(self._clean, server)
        with open(path + '.new', 'wb') as file:
            file.write(etree.tostring(xml))
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + '.new', path)
        return xml

    def _prepare(
        self,
        old: Node,
        server: Server,
        images: ImageSource,
        image: Image,
        tree: dict[str, bytes] | None,
    ) -> Node:
        """Make the disks, and a domain of the old one with them."""
        directory = self._directories.path(server.uuid)
        arch = guest_system.architecture(server, self._host)
        backend = self._maker.backend
        root = backend.locate(directory, 'disk')
        plan = rescue_disks.plan(old, server, image, arch, root)
        backend.remove(backend.locate(directory, plan.disk.name))
        self._maker.make_of_image(image, images, directory, plan.disk)
        new = copy.deepcopy(old)
        rescue_disks.put(new, plan, self._maker.describe_one(server, plan.disk, directory), root)
        self._boot_files(new, server, images, image)
        if tree is not None and rescue_disks.swap_config_drive(new, directory, FILES[2]):
            config_drive.make(self._host.conf, tree, os.path.join(directory, FILES[2]))
        return new

    def _boot_files(self, new: Node, server: Server, images: ImageSource, image: Image) -> None:
        conf = self._host.conf.libvirt
        wanted = {
            'kernel': conf.rescue_kernel_id or image.properties.get('kernel_id'),
            'initrd': conf.rescue_ramdisk_id or image.properties.get('ramdisk_id'),
        }
        for (tag, image_id), name in zip(wanted.items(), FILES, strict=False):
            node = new.find(f'os/{tag}')
            if image_id:
                path = self._file(server, name)
                self._maker.fetch_boot_file(str(image_id), images, path)
                system = new.find('os')
                assert system is not None
                (etree.SubElement(system, tag) if node is None else node).text = path
            elif node is not None and image.id != server.image.id:
                parent = node.getparent()
                assert parent is not None
                parent.remove(node)

    def _boot(
        self,
        guest: Guest,
        server: Server,
        vifs: list[VIF],
        new: Node,
        was_active: bool,
        undo: contextlib.ExitStack,
    ) -> None:
        undo.callback(self._go_back, guest, server, vifs, was_active)
        self._guests.define(etree.tostring(new, encoding='unicode'))
        self._power.start_anew(guest, server, vifs)

    def _go_back(self, guest: Guest, server: Server, vifs: list[VIF], was_active: bool) -> None:
        """Have the guest as it was; a failure of that must not hide the first one."""
        try:
            with open(self._file(server, KEPT)) as file:
                self._guests.define(file.read())
            if was_active:
                self._power.start_anew(guest, server, vifs)
        except (exception.KilonovaError, OSError):
            LOG.exception('Server %s could not be started as it was before', server.uuid)

    def _clean(self, server: Server) -> None:
        """Remove what a rescue makes, the sign of it last."""
        backend = self._maker.backend
        directory = self._directories.path(server.uuid)
        backend.remove(backend.locate(directory, rescue_disks.NAME))
        for name in (*FILES, KEPT):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file(server, name))

    def _file(self, server: Server, name: str) -> str:
        return os.path.join(self._directories.path(server.uuid), name)
