"""The two ends of a live migration beside the move itself: what the destination makes ready,
what stays there or goes again, what the source is rid of.
"""

import contextlib
import os
from typing import Any

import msgspec
from oslo_concurrency import processutils
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.libvirt import vif
from kilonova.compute.virt.libvirt.build import prepare_console_log
from kilonova.compute.virt.libvirt.guest_devices import serial_count
from kilonova.compute.virt.libvirt.migrate import disks, transfer, uri
from kilonova.compute.virt.libvirt.migrate.parts import Moves

LOG = logging.getLogger(__name__)

Json = dict[str, Any]


class Arrival:
    """One host's part in moves that come to it, and in those that have left it."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves

    # -- at the destination

    def receive(self, server: Server, vifs: list[VIF], data: Json) -> Json:
        """Make disks and plugs; what an earlier attempt made is made anew."""
        moves, conf = self._moves, self._moves.host.conf
        if self.is_here(server):
            return data
        moves.remover.remove_guest(server.uuid)
        directory = moves.directories.path(server.uuid)
        try:
            if not data['shared']:
                moves.remover.remove_disks(server.uuid)
                moves.directories.create(server.uuid)
                self._make_disks(data, directory)
            prepare_console_log(directory)
            volumes = moves.volumes.connect_all(server)
        except (processutils.ProcessExecutionError, OSError) as error:
            raise exception.VirtDriverError(reason=str(error)) from error
        ports = [rebound(port, data) for port in vifs]
        vif.plug(server, moves.name(server), ports)
        with moves.ports.reserve(serial_count(conf, server)) as serial_ports:
            return {
                **data,
                'directory': directory,
                'serial_ports': serial_ports,
                'graphics': {
                    'vnc': str(conf.vnc.server_listen),
                    'spice': str(conf.spice.server_listen),
                },
                'interfaces': {
                    port.address: vif.to_xml(conf, server, port).to_xml() for port in ports
                },
                'volume_disks': {str(disk.serial): disk.to_xml() for disk in volumes},
            }

    def _make_disks(self, data: Json, directory: str) -> None:
        moves = self._moves
        local = msgspec.convert(data['local'], disks.Local)
        if not local.files and not local.disks:
            return
        address = uri.libvirt(moves.host.conf, data['source'])
        with transfer.opened(address, data['source_directory']) as source:
            for name in local.files:
                source.fetch(name, os.path.join(directory, name))
            disks.fetch_bases(local, moves.cache, source)
        disks.make_empty(moves.host.conf, local, moves.cache, directory)

    def is_here(self, server: Server) -> bool:
        """Whether the guest has come: it is remembered, or already runs on its own."""
        try:
            guest = self._moves.guests.find(server.uuid)
            if guest.is_persistent():
                return guest.is_active()
            return guest.power_state() == PowerState.RUNNING
        except exception.GuestNotFound:
            return False

    def settle(self, server: Server) -> None:
        """Make the guest one of ours; raises GuestNotFound when it did not come."""
        if not self.is_here(server):
            raise exception.GuestNotFound(instance_id=server.uuid)
        self._moves.directories.adopt(server.uuid)

    def roll_back(self, server: Server, vifs: list[VIF], data: Json) -> None:
        """Remove what ``receive`` made, but never a guest that has come."""
        moves = self._moves
        if self.is_here(server):
            raise exception.VirtDriverError(reason='The guest has arrived, it is not removed.')
        moves.remover.remove_guest(server.uuid)
        with contextlib.ExitStack() as rest:
            if not data.get('shared'):
                rest.callback(moves.remover.remove_disks, server.uuid)
            rest.callback(self._disconnect, data.get('volumes', []))
            ports = [rebound(port, data) for port in vifs]
            rest.callback(vif.unplug, server, moves.name(server), ports)

    # -- at the source

    def clean(self, server: Server, data: Json) -> None:
        """Remove what the guest has left; its disks, unless they are the destination's, too."""
        moves = self._moves
        moves.remover.remove_guest(server.uuid)
        with contextlib.ExitStack() as rest:
            if not data.get('shared'):
                rest.callback(moves.remover.remove_disks, server.uuid)
            rest.callback(self._disconnect, data.get('source_volumes', []))
            ports = msgspec.convert(data['source_ports'], list[VIF])
            rest.callback(vif.unplug, server, moves.name(server), ports)

    def _disconnect(self, devices: list[Json]) -> None:
        for device in msgspec.convert(devices, list[BlockDevice]):
            self._moves.volumes.disconnect(device)


def rebound(port: VIF, data: Json) -> VIF:
    """Return a port as Neutron has bound it to the destination, where it was asked ahead."""
    binding = data.get('bindings', {}).get(port.id)
    if not binding:
        return port
    details = binding.get('vif_details') or {}
    return msgspec.structs.replace(
        port,
        type=binding.get('vif_type'),
        details=details,
        profile=binding.get('profile') or {},
        bridge=details.get('bridge_name') or port.bridge,
    )
