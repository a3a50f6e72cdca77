"""The libvirt driver: puts its parts together."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import config as common_config
from kilonova.common import exception
from kilonova.common.objects.console import ConsolePlace
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.host import ComputeNode
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute import config as compute_config
from kilonova.compute.virt import driver
from kilonova.compute.virt.driver import Events, GuestSpec, ImageSource, PowerState
from kilonova.compute.virt.libvirt import (
    config,
    console,
    consoles,
    diagnostics,
    host_topology,
    inventory,
    node_id,
    vif,
)
from kilonova.compute.virt.libvirt.build import Builder
from kilonova.compute.virt.libvirt.care import Care
from kilonova.compute.virt.libvirt.connection import Connection
from kilonova.compute.virt.libvirt.disk import choice
from kilonova.compute.virt.libvirt.disk.cache_ageing import CacheAgeing
from kilonova.compute.virt.libvirt.disk.directory import Directories
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.compute.virt.libvirt.disk.maker import DiskMaker
from kilonova.compute.virt.libvirt.disk.snapshot import Snapshots
from kilonova.compute.virt.libvirt.guest import Guests
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.interfaces import Interfaces, LibvirtInterfaces
from kilonova.compute.virt.libvirt.migrate.part import LibvirtMoves
from kilonova.compute.virt.libvirt.migrate.parts import Moves
from kilonova.compute.virt.libvirt.migrate.shared import Mark
from kilonova.compute.virt.libvirt.mounts import Mounts
from kilonova.compute.virt.libvirt.power import Power
from kilonova.compute.virt.libvirt.remove import Remover
from kilonova.compute.virt.libvirt.rescue import Rescuer
from kilonova.compute.virt.libvirt.serial_ports import SerialPorts
from kilonova.compute.virt.libvirt.standing import Standing
from kilonova.compute.virt.libvirt.tpm import Tpms
from kilonova.compute.virt.libvirt.volume import brick
from kilonova.compute.virt.libvirt.volume.part import LibvirtVolumes
from kilonova.compute.virt.libvirt.volume.volumes import Volumes

LOG = logging.getLogger(__name__)


class LibvirtDriver(LibvirtInterfaces, LibvirtVolumes, LibvirtMoves, Care, driver.Driver):
    """QEMU and KVM guests on this host."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        common_config.register(compute_config.list_opts(), conf)
        common_config.register(config.list_opts(), conf)
        self._conf = conf
        self._connection = Connection(conf.libvirt.connection_uri)
        self._host = Host(conf, self._connection)
        self._guests = Guests(self._connection)
        self._listeners: list[Callable[[str, Events], None]] = []
        self._busy: set[str] = set()
        self._settled: dict[str, PowerState | None] = {}
        self._busy_lock = threading.Lock()
        self._service_host = ''
        self._uuid = ''

    def init_host(self, host: str) -> None:
        self._service_host = host
        try:
            os.makedirs(self._conf.instances_path, exist_ok=True)
        except OSError as error:
            raise exception.VirtDriverError(reason=str(error)) from error
        self._uuid = node_id.load(self._conf.state_path)
        LOG.info('Guests are run by %s %s', self._host.kind(), self._host.virt_type)
        host_topology.check(self._conf, self._host)
        vif.initialize(self._conf)
        brick.initialize(self._conf)
        directories = Directories(self._conf.instances_path, self._uuid)
        directories.sweep()
        ports = SerialPorts(self._conf)
        self._cache = ImageCache(self._conf)
        maker = DiskMaker(self._conf, self._cache, choice.backend(self._conf))
        self._ageing = CacheAgeing(self._conf, self._cache)
        self._directories = directories
        self._volumes = Volumes(self._host, self._guests)
        self._interfaces = Interfaces(self._host, self._guests)
        self._tpms = Tpms(self._conf, self._connection)
        self._mounts = Mounts(self._conf)
        self._builder = Builder(
            self._host, self._guests, directories, maker, ports, self._volumes, self._tpms
        )
        self._remover = Remover(self._host, self._guests, directories, maker.backend)
        self._power = Power(self._host, self._guests, directories, ports, self._volumes, self._tpms)
        self._standing = Standing(self._guests, self._power)
        self._rescuer = Rescuer(self._host, self._guests, directories, maker, self._power)
        self._snapshots = Snapshots(
            self._conf, self._guests, directories, maker.backend, self._uuid
        )
        self._snapshots.sweep()
        self._moves = Moves(
            host=self._host,
            guests=self._guests,
            directories=directories,
            maker=maker,
            cache=self._cache,
            volumes=self._volumes,
            ports=ports,
            power=self._power,
            remover=self._remover,
            mark=Mark(self._conf.instances_path, self._uuid),
        )
        if self._conf.workarounds.handle_virt_lifecycle_events:
            self._connection.watch(self._on_event)

    def list_guests(self) -> list[str]:
        # A directory without a guest is what a crash in the middle of a build leaves.
        known = self._directories.ours() | self._directories.left()
        return sorted(set(self._guests.states()) | known)

    def spawn(
        self,
        spec: GuestSpec,
        images: ImageSource,
        wait_plugged: Callable[[Callable[[], None]], None],
    ) -> dict[str, Any]:
        with self._working_on(spec.server.uuid):
            return self._builder.spawn(spec, images, wait_plugged)

    def destroy(self, server: Server, vifs: list[VIF]) -> None:
        with self._working_on(server.uuid):
            try:
                self._remover.remove(server, vifs)
            finally:
                self._volumes.disconnect_all(server)

    def hand_back(self, server: Server, vifs: list[VIF]) -> None:
        with self._working_on(server.uuid):
            # Guests go first: two that run with the same disks would destroy them.
            self._remover.remove_guest(server.uuid)
            self._directories.hand_over(server.uuid)
        self.destroy(server, vifs)

    def get_power_state(self, uuid: str) -> PowerState:
        return self._guests.find(uuid).power_state()

    def get_power_states(self) -> dict[str, PowerState]:
        states = self._guests.states()
        with self._busy_lock:
            for uuid in [uuid for uuid in self._settled if uuid not in states]:
                del self._settled[uuid]
        return states

    def power_on(self, server: Server, vifs: list[VIF]) -> None:
        with self._working_on(server.uuid):
            self._power.on(server, vifs)

    def power_off(self, server: Server, timeout: int) -> None:
        with self._working_on(server.uuid):
            self._power.off(server, timeout)

    def reboot(self, server: Server, vifs: list[VIF], kind: str) -> None:
        with self._working_on(server.uuid):
            self._power.reboot(server, vifs, kind)

    def get_console_output(self, server: Server) -> bytes:
        self._guests.find(server.uuid)
        return console.read(self._directories.path(server.uuid))

    def get_vnc_console(self, server: Server) -> ConsolePlace:
        return consoles.vnc(self._conf, self._guests.find(server.uuid))

    def get_spice_console(self, server: Server) -> ConsolePlace:
        return consoles.spice(self._conf, self._guests.find(server.uuid))

    def get_serial_console(self, server: Server) -> ConsolePlace:
        return consoles.serial(self._guests.find(server.uuid))

    def get_diagnostics(self, server: Server) -> Diagnostics:
        return diagnostics.read(self._host, self._guests.find(server.uuid), server)

    def get_node(self) -> ComputeNode:
        return inventory.node(self._conf, self._host, self._service_host, self._uuid)

    def get_inventory(self) -> list[driver.Inventory]:
        return inventory.providers(self._conf, self._host, self._uuid)

    def check_health(self) -> None:
        self._connection.call(lambda conn: conn.getLibVersion())

    def get_cpu_stats(self) -> driver.CpuStats:
        return self._host.cpu_stats()

    def get_uptime(self) -> str:
        out, _err = processutils.execute('env', 'LC_ALL=C', 'uptime')
        return str(out)

    def on_event(self, callback: Callable[[str, Events], None]) -> None:
        self._listeners.append(callback)

    def on_unreachable(self, callback: Callable[[Exception], None]) -> None:
        self._connection.on_failure = callback

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def _working_on(self, uuid: str) -> Iterator[None]:
        """Keep quiet about what happens to a guest by our own doing."""
        with self._busy_lock:
            self._busy.add(uuid)
        try:
            yield
        finally:
            # Events of what we did may still be on their way afterwards.
            state = self._state_of(uuid)
            with self._busy_lock:
                self._busy.discard(uuid)
                self._settled[uuid] = state

    def _state_of(self, uuid: str) -> PowerState | None:
        try:
            return self._guests.find(uuid).power_state()
        except exception.GuestNotFound:
            return None
        except exception.VirtDriverError as error:
            LOG.warning('The state of guest %s is not known: %s', uuid, error)
            return PowerState.NOSTATE

    def _on_event(self, uuid: str, event: Events) -> None:
        """Pass on what is news: not our own doing, and not undone again by now."""
        if uuid in self._busy or not self._guests.was_ours(uuid):
            return
        state = self._state_of(uuid)
        with self._busy_lock:
            if uuid in self._busy or self._settled.get(uuid, PowerState.NOSTATE) == state:
                return
            self._settled[uuid] = state
            if event == Events.REMOVED:
                del self._settled[uuid]
        for listener in self._listeners:
            listener(uuid, event)
