"""Cold moves: the source sets a server's directory aside, the destination makes its own of it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from lxml import etree
from oslo_concurrency import processutils
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import guest_domain, guest_system, vif
from kilonova.compute.virt.libvirt.build import prepare_console_log, root_device
from kilonova.compute.virt.libvirt.disk import layout
from kilonova.compute.virt.libvirt.disk.directory import ASIDE
from kilonova.compute.virt.libvirt.guest_devices import serial_count
from kilonova.compute.virt.libvirt.migrate import checks, disks, transfer, uri
from kilonova.compute.virt.libvirt.migrate.domain import move_files
from kilonova.compute.virt.libvirt.migrate.parts import Moves
from kilonova.compute.virt.libvirt.volume.volumes import arranged
from kilonova.compute.virt.libvirt.xml.element import Node

LOG = logging.getLogger(__name__)

Json = dict[str, Any]
DOMAIN = 'domain.xml'
"""The domain that was left, in its directory."""


class Source:
    """The host that a server leaves, and may come back to."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves

    def leave(self, server: Server, vifs: list[VIF], timeout: int) -> Json:
        """Shut down and let go of all but the disks; good for being begun again anywhere."""
        moves = self._moves
        backend = moves.maker.backend
        if not backend.IN_DIRECTORY and not backend.SHARED:
            raise exception.VirtDriverError(
                reason='Disks that are logical volumes cannot be copied to another host.'
            )
        aside = moves.directories.aside(server.uuid)
        if not os.path.isdir(aside):
            self._stop(server, vifs, timeout)
            moves.directories.set_aside(server.uuid)
        saved = _read(aside)
        local = disks.find(moves.host.conf, _moved(saved, aside), aside)
        disks.lend(local, moves.cache, aside)
        system = saved.find('os/type')
        return {
            'address': uri.own_address(moves.host.conf),
            'mark': moves.mark.write(),
            'directory': aside,
            'local': msgspec.to_builtins(local),
            'machine': None if system is None else system.get('machine'),
        }

    def _stop(self, server: Server, vifs: list[VIF], timeout: int) -> None:
        moves = self._moves
        saved = os.path.join(moves.directories.path(server.uuid), DOMAIN)
        try:
            guest = moves.guests.find(server.uuid)
        except exception.GuestNotFound:
            if not os.path.exists(saved):
                raise
        else:
            moves.power.off(server, timeout)
            with open(saved + '.new', 'wb') as file:
                file.write(etree.tostring(guest.xml()))
            os.replace(saved + '.new', saved)
        vif.unplug(server, moves.name(server), vifs)
        moves.volumes.disconnect_all(server)
        with contextlib.suppress(exception.GuestNotFound):
            moves.guests.find(server.uuid).undefine(keep_state=True)

    def revert(self, server: Server, vifs: list[VIF], power_on: bool) -> None:
        """Have the guest again; no error when it never left."""
        moves = self._moves
        if os.path.isdir(moves.directories.aside(server.uuid)):
            # What the destination made goes first, where that was this host, too.
            moves.remover.remove_guest(server.uuid)
            moves.directories.remove(server.uuid)
            disks.take_back(moves.directories.aside(server.uuid))
            moves.directories.bring_back(server.uuid)
        saved = os.path.join(moves.directories.path(server.uuid), DOMAIN)
        if os.path.exists(saved):
            if not moves.guests.is_ours(server.uuid):
                moves.guests.define(
                    etree.tostring(_read(os.path.dirname(saved)), encoding='unicode')
                )
            os.unlink(saved)
        guest = moves.guests.find(server.uuid)
        if power_on and not guest.is_active():
            moves.power.on(server, vifs)


class Destination:
    """The host that a server comes to, which may be the same one."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves

    def prepare(self, server: Server, flavor: Flavor) -> None:
        """Raises what speaks against having the server here."""
        host = self._moves.host
        server = msgspec.structs.replace(server, flavor=flavor)
        guest_domain.check_supported(server)
        reason = checks.immovable(server)
        if reason is not None:
            raise exception.VirtDriverError(reason=reason)
        arch = guest_system.architecture(server, host)
        caps = host.domain_capabilities(arch, guest_system.machine(server, host, arch))
        if flavor.vcpus > caps.max_vcpus:
            raise exception.VirtDriverError(
                reason=f'{caps.machine} takes {caps.max_vcpus} processors at most.'
            )

    def finish(
        self,
        server: Server,
        vifs: list[VIF],
        data: Json,
        start: Callable[[Callable[[], None]], None] | None,
    ) -> None:
        """Copy, fit and start; an earlier attempt's leftovers go first, as do a failed one's."""
        moves = self._moves
        moves.remover.remove(server, vifs)
        with self._undone(server, vifs):
            directory = moves.directories.create(server.uuid)
            local = msgspec.convert(data['local'], disks.Local)
            self._copy(local, data, directory)
            self._make(server, vifs, local, data['machine'], start)

    @contextlib.contextmanager
    def _undone(self, server: Server, vifs: list[VIF]) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            try:
                self._moves.remover.remove(server, vifs)
                self._moves.volumes.disconnect_all(server)
            except exception.VirtDriverError:
                LOG.exception('What was made of server %s stays for now', server.uuid)
            if isinstance(error, processutils.ProcessExecutionError | OSError):
                raise exception.VirtDriverError(reason=str(error)) from error
            raise

    def _copy(self, local: disks.Local, data: Json, directory: str) -> None:
        moves = self._moves
        names = [*(disk.file for disk in local.disks), *local.files]
        if moves.mark.sees(data['mark']):
            for name in names:
                processutils.execute(
                    *('cp', '--sparse=always', '--reflink=auto', '--'),
                    *(os.path.join(data['directory'], name), os.path.join(directory, name)),
                )
            return
        address = uri.libvirt(moves.host.conf, data['address'])
        if names:
            with transfer.opened(address, data['directory']) as source:
                for name in names:
                    source.fetch(name, os.path.join(directory, name))
                disks.fetch_bases(local, moves.cache, source)
        disks.rebase(local, moves.cache, directory)

    def _make(
        self,
        server: Server,
        vifs: list[VIF],
        local: disks.Local,
        machine: str | None,
        start: Callable[[Callable[[], None]], None] | None,
    ) -> None:
        moves, host = self._moves, self._moves.host
        directory = moves.directories.path(server.uuid)
        arch = guest_system.architecture(server, host)
        planned = layout.plan(host.conf, server, arch, machine, 'disk.config' in local.files)
        volumes = moves.volumes.connect_all(server)
        found = moves.maker.adapt(server, planned, directory)
        parts = guest_domain.Parts(
            directory=directory,
            disks=arranged(server, found, volumes),
            buses=planned.buses | {volume.bus for volume in volumes},
            machine=machine,
            root_device=root_device(server, planned),
            kernel=_there(directory, 'kernel'),
            initrd=_there(directory, 'ramdisk'),
        )
        with moves.ports.reserve(serial_count(host.conf, server)) as parts.serial_ports:
            xml = guest_domain.build(host, server, vifs, parts).to_xml()
            prepare_console_log(directory)
            moves.guests.define(xml)
            if start is not None:
                self._start(server, vifs, start)

    def _start(
        self, server: Server, vifs: list[VIF], start: Callable[[Callable[[], None]], None]
    ) -> None:
        guest = self._moves.guests.find(server.uuid)

        def begin() -> None:
            vif.plug(server, self._moves.name(server), vifs)
            guest.start(paused=True)

        start(begin)
        guest.resume()


def _there(directory: str, name: str) -> str | None:
    path = os.path.join(directory, name)
    return path if os.path.exists(path) else None


def _read(directory: str) -> Node:
    with open(os.path.join(directory, DOMAIN), 'rb') as file:
        return etree.fromstring(file.read())


def _moved(saved: Node, directory: str) -> Node:
    """Return the domain with its files where they are now."""
    domain = etree.fromstring(etree.tostring(saved))
    move_files(domain, directory.removesuffix(ASIDE), directory)
    return domain
