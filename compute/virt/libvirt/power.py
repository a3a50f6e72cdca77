"""Turns guests off and on again."""

import time

from oslo_log import log as logging

from kilonova.common import exception, naming
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.libvirt import connection, guest_domain, vif
from kilonova.compute.virt.libvirt.build import prepare_console_log
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.guest import Guest, Guests
from kilonova.compute.virt.libvirt.guest_devices import serial_count
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.serial_ports import SerialPorts
from kilonova.compute.virt.libvirt.tpm import Tpms
from kilonova.compute.virt.libvirt.volume.volumes import Volumes, arranged
from kilonova.compute.virt.libvirt.xml.domain import Kept
from kilonova.compute.virt.libvirt.xml.element import Node

LOG = logging.getLogger(__name__)


class Power:
    """Power of one host's guests."""

    def __init__(
        self,
        host: Host,
        guests: Guests,
        directories: Directories,
        ports: SerialPorts,
        volumes: Volumes,
        tpms: Tpms,
    ) -> None:
        self._tpms = tpms
        self._host, self._guests, self._volumes = host, guests, volumes
        self._directories, self._ports = directories, ports

    def on(self, server: Server, vifs: list[VIF]) -> None:
        """Start the guest with a domain made anew.  One that runs is left alone."""
        guest = self._guests.find(server.uuid)
        state = guest.power_state()
        if state == PowerState.RUNNING:
            return
        if state == PowerState.PAUSED:
            guest.resume()
        elif not self._goes_on(guest, server, vifs):
            self.start_anew(guest, server, vifs)

    def _goes_on(self, guest: Guest, server: Server, vifs: list[VIF]) -> bool:
        """Go on where the guest was saved, as a host that goes down does it; tell if that is so."""
        if not guest.has_saved_state():
            return False
        try:
            self.start_as_defined(guest, server, vifs)
        except connection.HypervisorError as error:
            LOG.warning('The saved state of server %s is of no use: %s', server.uuid, error)
            return False
        return True

    def off(self, server: Server, timeout: int) -> None:
        """Ask politely for ``timeout`` seconds, then pull the plug."""
        guest = self._guests.find(server.uuid)
        if not (timeout > 0 and self._shuts_down(guest, timeout)):
            guest.destroy()

    def reboot(self, server: Server, vifs: list[VIF], kind: str) -> None:
        guest = self._guests.find(server.uuid)
        if kind == 'SOFT' and self._reboot_softly(guest, server, vifs):
            return
        self.start_anew(guest, server, vifs)

    def _reboot_softly(self, guest: Guest, server: Server, vifs: list[VIF]) -> bool:
        """Return whether the guest could be shut down and started again."""
        if guest.power_state() != PowerState.RUNNING:
            return False
        if not self._shuts_down(guest, self._host.conf.libvirt.wait_soft_reboot_seconds):
            LOG.info('Server %s did not shut down; it gets a hard reboot', server.uuid)
            return False
        try:
            self.start_as_defined(guest, server, vifs)
        except connection.HypervisorError as error:
            LOG.warning('Server %s did not start as it was: %s', server.uuid, error)
            return False
        return True

    def _shuts_down(self, guest: Guest, timeout: int) -> bool:
        """Ask until the guest is off; return whether it is."""
        if guest.power_state() == PowerState.PAUSED:
            return False  # it would not hear
        interval = self._host.conf.compute.shutdown_retry_interval
        deadline = time.monotonic() + timeout
        while guest.is_active():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            guest.ask_to_shut_down()
            if guest.wait_off(min(interval, left)):
                return True
        return True

    def start_as_defined(self, guest: Guest, server: Server, vifs: list[VIF]) -> None:
        """Plug the ports and start the domain that libvirt knows."""
        self._plug_anew(server, vifs)
        with self._tpms.opened(server, {}):
            guest.start()

    def start_anew(self, guest: Guest, server: Server, vifs: list[VIF]) -> None:
        """Make the domain again around its disks, plug the ports, start it."""
        guest.destroy()  # a crashed one still has its process
        guest.forget_saved_state()
        old = guest.xml()
        with (
            self._tpms.opened(server, {}) as tpm_secret,
            self._ports.reserve(serial_count(self._host.conf, server)) as ports,
        ):
            parts = self._parts(old, server, ports)
            parts.tpm_secret = tpm_secret
            xml = guest_domain.build(self._host, server, vifs, parts).to_xml()
            prepare_console_log(parts.directory)
            self._guests.define(xml)
            self._plug_anew(server, vifs)
            guest.start()

    def _plug_anew(self, server: Server, vifs: list[VIF]) -> None:
        """Plug the ports as for a new guest.

        A user-space switch does not notice that a tap of the same name is another one now.
        """
        name = naming.instance_name(self._host.conf.instance_name_template, server)
        vif.unplug(server, name, vifs)
        vif.plug(server, name, vifs)

    def _parts(self, old: Node, server: Server, ports: list[int]) -> guest_domain.Parts:
        """Return what the old domain knows and nobody else: its disks and its machine type."""
        volumes = self._volumes.connect_all(server)
        ours = self._volumes.nodes(server, old)
        local = [disk for disk in old.findall('devices/disk') if disk not in ours]
        if not local and server.image.id:
            raise exception.VirtDriverError(reason=f'The domain of {server.uuid} has no disks.')
        system = old.find('os/type')
        return guest_domain.Parts(
            directory=self._directories.path(server.uuid),
            disks=arranged(server, [Kept(node=_without_address(disk)) for disk in local], volumes),
            buses={str(target.get('bus')) for target in old.findall('devices/disk/target')}
            | {volume.bus for volume in volumes},
            machine=None if system is None else system.get('machine'),
            root_device=server.root_device_name or '/dev/vda',
            kernel=old.findtext('os/kernel'),
            initrd=old.findtext('os/initrd'),
            boots_by_device=old.find('devices/disk/boot') is not None,
            serial_ports=ports,
        )


def _without_address(disk: Node) -> Node:
    """Let libvirt place the disk again, as it did among the same devices the first time."""
    for tag in ('address', 'alias', 'backingStore'):
        for node in disk.findall(tag):
            disk.remove(node)
    return disk
