"""Makes guests.  What one step makes, its undo removes when a later step fails."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from oslo_concurrency import processutils
from oslo_log import log as logging

from kilonova.common import exception, naming
from kilonova.common.objects import block_device
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec, ImageSource
from kilonova.compute.virt.libvirt import guest_domain, guest_system, places, vif
from kilonova.compute.virt.libvirt.console import CONSOLE_LOG
from kilonova.compute.virt.libvirt.disk import layout
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.disk.maker import DiskMaker
from kilonova.compute.virt.libvirt.guest import Guest, Guests
from kilonova.compute.virt.libvirt.guest_devices import serial_count
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.remove import Remover
from kilonova.compute.virt.libvirt.serial_ports import SerialPorts
from kilonova.compute.virt.libvirt.tpm import Tpms
from kilonova.compute.virt.libvirt.volume.volumes import Volumes, arranged

LOG = logging.getLogger(__name__)

WaitPlugged = Callable[[Callable[[], None]], None]


class Builder:
    """Makes one guest after another, on behalf of spawn."""

    def __init__(
        self,
        host: Host,
        guests: Guests,
        directories: Directories,
        maker: DiskMaker,
        ports: SerialPorts,
        volumes: Volumes,
        tpms: Tpms,
    ) -> None:
        self._host, self._guests, self._directories = host, guests, directories
        self._maker, self._ports, self._volumes = maker, ports, volumes
        self._tpms = tpms
        self._remover = Remover(host, guests, directories, maker.backend)

    def spawn(
        self, spec: GuestSpec, images: ImageSource, wait_plugged: WaitPlugged
    ) -> dict[str, Any]:
        """Make disks and guest and start it; see the driver's interface."""
        server = spec.server
        with failures_are_build_errors(server):
            guest_domain.check_supported(server)
            if self._adopts(spec):
                LOG.info('Server %s goes on with the disks that are here', server.uuid)
                self._remover.remove_guest(server.uuid)
            elif self._remover.is_there(server):
                LOG.info('Removing an earlier attempt to build server %s', server.uuid)
                self._remover.remove(server, spec.vifs)
            with contextlib.ExitStack() as undo:
                changes = self._make(spec, images, wait_plugged, undo)
                undo.pop_all()
        return changes

    def _make(
        self,
        spec: GuestSpec,
        images: ImageSource,
        wait_plugged: WaitPlugged,
        undo: contextlib.ExitStack,
    ) -> dict[str, Any]:
        server, host = spec.server, self._host
        adopts = self._adopts(spec)
        directory = self._directory(server, adopts, undo)
        arch = guest_system.architecture(server, host)
        machine = guest_system.machine(server, host, arch)
        undo.callback(self._undo, 'volumes', server, self._volumes.disconnect_all, server)
        volumes = self._volumes.connect_all(server)
        with_drive = os.path.exists(os.path.join(directory, 'disk.config'))
        planned = layout.plan(
            host.conf, server, arch, machine, with_drive if adopts else bool(spec.config_drive)
        )
        parts = guest_domain.Parts(
            directory=directory,
            disks=arranged(
                server,
                self._maker.describe(server, planned, directory)
                if adopts
                else self._maker.make(server, planned, directory, images),
                volumes,
            ),
            buses=planned.buses | {volume.bus for volume in volumes},
            machine=machine,
            root_device=root_device(server, planned),
        )
        self._fetch_boot_files(server, images, parts)
        notes = {'image_hw_machine_type': machine} if machine else {}
        with (
            self._tpms.opened(server, notes) as parts.tpm_secret,
            self._ports.reserve(serial_count(host.conf, server)) as parts.serial_ports,
        ):
            guest = self._define(server, spec.vifs, parts, undo)
            if spec.config_drive is not None and not adopts:
                tree = spec.config_drive(places.read(guest.live_xml()))
                self._maker.make_config_drive(planned, directory, tree)
            self._start(server, spec.vifs, guest, wait_plugged)
        return {'root_device_name': parts.root_device, 'system_metadata': notes}

    def _adopts(self, spec: GuestSpec) -> bool:
        """Whether there are disks that a dead host has left on what both hosts see."""
        return spec.adopt and self._directories.is_adoptable(spec.server.uuid)

    def _directory(self, server: Server, adopts: bool, undo: contextlib.ExitStack) -> str:
        """Return the server's directory; what fails gives back what was another's."""
        if adopts:
            undo.callback(self._undo, 'mark', server, self._directories.hand_over, server.uuid)
            return self._directories.take_over(server.uuid)
        undo.callback(self._undo, 'disks', server, self._remover.remove_disks, server.uuid)
        return self._directories.create(server.uuid)

    def _fetch_boot_files(
        self, server: Server, images: ImageSource, parts: guest_domain.Parts
    ) -> None:
        if server.kernel_id:
            parts.kernel = os.path.join(parts.directory, 'kernel')
            self._maker.fetch_boot_file(server.kernel_id, images, parts.kernel)
        if server.ramdisk_id:
            parts.initrd = os.path.join(parts.directory, 'ramdisk')
            self._maker.fetch_boot_file(server.ramdisk_id, images, parts.initrd)

    def _define(
        self,
        server: Server,
        vifs: list[VIF],
        parts: guest_domain.Parts,
        undo: contextlib.ExitStack,
    ) -> Guest:
        xml = guest_domain.build(self._host, server, vifs, parts).to_xml()
        LOG.debug('Domain of server %s:\n%s', server.uuid, xml)
        prepare_console_log(parts.directory)
        name = self._name(server)
        undo.callback(self._undo, 'ports', server, vif.unplug, server, name, vifs)
        undo.callback(self._undo, 'guest', server, self._remover.remove_guest, server.uuid)
        self._guests.define(xml)
        return self._guests.find(server.uuid)

    def _start(
        self, server: Server, vifs: list[VIF], guest: Guest, wait_plugged: WaitPlugged
    ) -> None:
        def start() -> None:
            vif.plug(server, self._name(server), vifs)
            guest.start(paused=True)

        wait_plugged(start)
        guest.resume()

    def _name(self, server: Server) -> str:
        return naming.instance_name(self._host.conf.instance_name_template, server)

    @staticmethod
    def _undo(what: str, server: Server, remove: Callable[..., None], *args: Any) -> None:
        """Remove one thing; a failure must not keep the rest, and the first error, from us."""
        try:
            remove(*args)
        except Exception:
            LOG.exception('The %s of server %s could not be removed', what, server.uuid)


def root_device(server: Server, planned: layout.Layout) -> str:
    """Return what the guest calls the disk that it boots from."""
    root = block_device.root(server.block_devices)
    if root is not None and root.is_volume:
        return root.device_name or '/dev/vda'
    return '/dev/' + (planned.root.target if planned.root else 'vda')


def prepare_console_log(directory: str) -> None:
    """Make the log ours before virtlogd, which is root, makes it."""
    with open(os.path.join(directory, CONSOLE_LOG), 'ab'):
        pass


@contextlib.contextmanager
def failures_are_build_errors(server: Server) -> Iterator[None]:
    """Turn what went wrong on this host into BuildError; errors that say more are kept."""
    try:
        yield
    except (processutils.ProcessExecutionError, OSError) as error:
        LOG.exception('Building server %s failed', server.uuid)
        raise exception.BuildError(uuid=server.uuid, reason=_short(error)) from error
    except exception.VirtDriverError as error:
        raise exception.BuildError(uuid=server.uuid, reason=error.message) from error


def _short(error: Exception) -> str:
    if isinstance(error, processutils.ProcessExecutionError):
        lines = [line for line in (error.stderr or '').splitlines() if line.strip()]
        last = lines[-1] if lines else f'exit status {error.exit_code}'
        return f'{str(error.cmd).split(" ")[0]}: {last}'
    return str(error)
