"""What both kinds of moves work with."""

import dataclasses

from kilonova.common import naming
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.compute.virt.libvirt.disk.maker import DiskMaker
from kilonova.compute.virt.libvirt.guest import Guests
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.migrate.shared import Mark
from kilonova.compute.virt.libvirt.power import Power
from kilonova.compute.virt.libvirt.remove import Remover
from kilonova.compute.virt.libvirt.serial_ports import SerialPorts
from kilonova.compute.virt.libvirt.volume.volumes import Volumes


@dataclasses.dataclass(kw_only=True)
class Moves:
    """The parts of the driver of one host."""

    host: Host
    guests: Guests
    directories: Directories
    maker: DiskMaker
    cache: ImageCache
    volumes: Volumes
    ports: SerialPorts
    power: Power
    remover: Remover
    mark: Mark

    def name(self, server: Server) -> str:
        return naming.instance_name(self.host.conf.instance_name_template, server)
