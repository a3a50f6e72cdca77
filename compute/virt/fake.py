"""A hypervisor in memory.

It behaves as a driver should towards the manager (plugs before it starts, removes what a
failed build made, tells of changes), so that everything above it can be tried without a
hypervisor, at any size, with the delays and failures of ``[fake_driver]``.
"""

import collections
import fnmatch
import os
import random
import tempfile
import threading
import time
import uuid as uuid_module
from collections.abc import Callable
from typing import Any

import msgspec
import os_traits
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils

from kilonova.common import exception
from kilonova.common.objects import block_device
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.host import ComputeNode
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF
from kilonova.common.objects.place import Places
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import Share
from kilonova.compute.virt import driver, fake_counters, fake_topology
from kilonova.compute.virt.driver import Events, PowerState
from kilonova.compute.virt.fake_consoles import FakeConsoles
from kilonova.compute.virt.fake_guest import Guest, boot_text, clock, guest_of, places, plug
from kilonova.compute.virt.fake_moves import FakeMoves
from kilonova.compute.virt.fake_volumes import FakeVolumes

LOG = logging.getLogger(__name__)

NAMESPACE = uuid_module.UUID('6b1b6a3e-3c1f-4c56-9d0e-5f4b6f1f7c11')
CONSOLE_LINES = 1000
TRAITS = [
    os_traits.COMPUTE_IMAGE_TYPE_RAW,
    os_traits.COMPUTE_IMAGE_TYPE_QCOW2,
    os_traits.COMPUTE_IMAGE_TYPE_ISO,
    os_traits.COMPUTE_DEVICE_TAGGING,
    os_traits.COMPUTE_ARCH_X86_64,
    os_traits.COMPUTE_NET_VIF_MODEL_VIRTIO,
    os_traits.COMPUTE_STORAGE_BUS_VIRTIO,
    os_traits.HW_CPU_X86_SSE2,
]


class FakeDriver(FakeMoves, FakeVolumes, FakeConsoles):
    """As many guests as there is memory for."""

    supports_shares = True
    VCPUS, MEMORY_MB, LOCAL_GB = 1000, 800000, 600000

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf, self._all = conf.fake_driver, conf
        self._my_ip = conf.my_ip
        self._host = conf.host
        self._guests: dict[str, Guest] = {}
        self._left: dict[str, Guest] = {}
        self._listeners: list[Callable[[str, Events], None]] = []
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._started = time.time()
        self.needs_plug_events = self._conf.wait_for_plug_events
        self.cached: set[str] = set()
        self.mounts: set[tuple[str, str]] = set()
        self.in_maintenance = False
        self.calls: collections.Counter[str] = collections.Counter()
        """How often each method that changes something was called; for tests."""

    # -- lifecycle

    def init_host(self, host: str) -> None:
        self._host = host
        path = self._state_file()
        if path and os.path.exists(path):
            try:
                with open(path, 'rb') as stream:
                    guests = msgspec.json.decode(stream.read(), type=list[Guest])
            except (OSError, msgspec.MsgspecError) as error:
                raise exception.VirtDriverError(
                    reason=f'The state file {path} cannot be read: {error}'
                ) from error
            self._guests = {guest.uuid: guest for guest in guests if not guest.left}
            self._left = {guest.uuid: guest for guest in guests if guest.left}

    def list_guests(self) -> list[str]:
        with self._lock:
            return [*self._guests, *(self._left.keys() - self._guests.keys())]

    def spawn(
        self,
        spec: driver.GuestSpec,
        images: driver.ImageSource,
        wait_plugged: Callable[[Callable[[], None]], None],
    ) -> dict[str, Any]:
        self.calls['spawn'] += 1
        server = spec.server
        self._remove(server.uuid)
        self._pause(self._conf.spawn_delay)
        if self._conf.download_images and server.image.id:
            self._download(images, server.image.id)
        self._fail_as_configured(server)
        guest = self._guest_of(spec)
        if spec.config_drive is not None:
            plug(guest, spec.vifs)
            guest.config_drive = sorted(spec.config_drive(places(guest)))
        try:
            wait_plugged(lambda: self._add(guest))
            if guest.uuid not in self._guests:  # it has been destroyed while it waited
                raise exception.BuildError(uuid=server.uuid, reason='The guest is gone.')
            self._boot(guest, spec.vifs)
        except BaseException:
            self._remove(server.uuid)
            raise
        self._schedule_mishaps(server)
        root = block_device.root(server.block_devices)
        name = root.device_name if root else None
        return {'root_device_name': name or '/dev/vda', 'system_metadata': {}}

    def destroy(self, server: Server, vifs: list[VIF]) -> None:
        self.calls['destroy'] += 1
        self._pause(self._conf.destroy_delay)
        if self._matches('fail_destroy', server):
            raise exception.VirtDriverError(reason='The fake driver was told to fail to destroy.')
        self._remove(server.uuid)

    def _download(self, images: driver.ImageSource, image_id: str) -> None:
        with tempfile.TemporaryDirectory(prefix='fake-image-') as directory:
            images.download(image_id, os.path.join(directory, 'image'))

    def _fail_as_configured(self, server: Server) -> None:
        reason = 'The fake driver was told to fail to build.'
        if self._matches('abort_spawn', server):
            raise exception.BuildAborted(uuid=server.uuid, reason=reason)
        if self._matches('fail_spawn', server) or random.random() < self._conf.fail_spawn_rate:
            raise exception.BuildError(uuid=server.uuid, reason=reason)

    def _matches(self, option: str, server: Server) -> bool:
        name = f'{self._host}/{server.name}'
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._conf[option])

    def _pause(self, seconds: float) -> None:
        if seconds:
            time.sleep(seconds)

    # -- power

    def get_power_state(self, uuid: str) -> PowerState:
        return PowerState(self._get(uuid).state)

    def get_power_states(self) -> dict[str, PowerState]:
        with self._lock:
            return {uuid: PowerState(guest.state) for uuid, guest in self._guests.items()}

    def power_on(self, server: Server, vifs: list[VIF]) -> None:
        guest = self._change_power(server)
        if guest.state != PowerState.RUNNING:
            self._boot(guest, vifs)

    def power_off(self, server: Server, timeout: int) -> None:
        guest = self._change_power(server)
        if guest.state == PowerState.SHUTDOWN:
            return
        if timeout and self._matches('ignore_shutdown', server):
            self._pause(timeout)
        self._set_state(guest, PowerState.SHUTDOWN, Events.STOPPED)

    def reboot(self, server: Server, vifs: list[VIF], kind: str) -> None:
        self._boot(self._change_power(server), vifs)

    def pause(self, server: Server) -> None:
        self._stand(server, PowerState.PAUSED, Events.PAUSED)

    def unpause(self, server: Server) -> None:
        self._stand(server, PowerState.RUNNING, Events.RESUMED)

    def suspend(self, server: Server) -> None:
        self._stand(server, PowerState.SUSPENDED, Events.SUSPENDED)

    def resume(self, server: Server, vifs: list[VIF]) -> None:
        self._stand(server, PowerState.RUNNING, Events.RESUMED)

    def rescue(
        self,
        server: Server,
        vifs: list[VIF],
        images: driver.ImageSource,
        image_id: str | None,
        config_drive: dict[str, bytes] | None = None,
    ) -> None:
        guest = self._change_power(server)
        image_id = image_id or server.image.id
        if self._conf.download_images and image_id:
            self._download(images, image_id)
        guest.rescue_image_id = image_id
        self._boot(guest, vifs)

    def unrescue(self, server: Server, vifs: list[VIF]) -> None:
        guest = self._change_power(server)
        guest.rescue_image_id = ''
        self._boot(guest, vifs)

    def snapshot(self, server: Server, sink: driver.ImageSink) -> None:
        guest = self._change_power(server)
        with tempfile.NamedTemporaryFile(prefix='fake-snapshot-') as copy:
            copy.write(f'Root disk of {guest.uuid}, booted {guest.boots} times\n'.encode())
            copy.flush()
            sink.upload(copy.name, 'raw')

    def attach_interface(self, server: Server, vif: VIF) -> None:
        guest = self._change_ports(server)
        if vif.id not in guest.ports:
            plug(guest, [vif])
            self._save()

    def detach_interface(self, server: Server, vif: VIF) -> None:
        guest = self._change_ports(server)
        if vif.id in guest.ports:
            guest.ports.remove(vif.id)
            self._save()

    def get_places(self, server: Server) -> Places:
        guest = self._get(server.uuid)
        with self._lock:
            return places(guest)

    def _change_ports(self, server: Server) -> Guest:
        self.calls['ports'] += 1
        guest = self._get(server.uuid)
        if self._matches('fail_attach', server):
            raise exception.VirtDriverError(reason='The fake driver was told to fail.')
        return guest

    def set_admin_password(self, server: Server, password: str) -> None:
        guest = self._change_power(server)
        guest.console.append(f'[{clock()}] The password of the administrator has changed')

    def trigger_crash_dump(self, server: Server) -> None:
        guest = self._change_power(server)
        guest.console.append(f'[{clock()}] Non-maskable interrupt: the kernel writes a dump')

    def _stand(self, server: Server, state: PowerState, event: Events) -> None:
        guest = self._change_power(server)
        if guest.state != state:
            self._set_state(guest, state, event)

    def _change_power(self, server: Server) -> Guest:
        self.calls['power'] += 1
        guest = self._get(server.uuid)
        self._pause(self._conf.power_delay)
        if self._matches('fail_power', server):
            raise exception.VirtDriverError(reason='The fake driver was told to fail.')
        return guest

    # -- console and host

    def get_console_output(self, server: Server) -> bytes:
        return ''.join(line + '\n' for line in self._get(server.uuid).console).encode()

    def get_diagnostics(self, server: Server) -> Diagnostics:
        return fake_counters.of(self._get(server.uuid), server)

    def cache_image(self, image: Image, source: driver.ImageSource) -> bool:
        self.calls['cache_image'] += 1
        with self._lock:
            if image.id in self.cached:
                return False
        if self._conf.download_images:
            self._download(source, image.id)
        with self._lock:
            self.cached.add(image.id)
        return True

    def mount_share(self, server: Server, share: Share) -> None:
        with self._lock:
            self.mounts.add((server.uuid, share.tag))

    def unmount_share(self, server: Server, share: Share) -> None:
        with self._lock:
            self.mounts.discard((server.uuid, share.tag))

    def power_action(self, action: str) -> str:
        self.calls['power_action'] += 1
        return action

    def set_maintenance(self, on: bool) -> bool:
        self.calls['set_maintenance'] += 1
        self.in_maintenance = on
        return on

    def get_cpu_stats(self) -> driver.CpuStats:
        return fake_counters.host(time.time() - self._started)

    def get_uptime(self) -> str:
        up = int(time.time() - self._started)
        clock = time.strftime('%H:%M:%S')
        return f'{clock} up {up // 3600:2d}:{up // 60 % 60:02d},  0 users,  load average: 0, 0, 0'

    def get_node(self) -> ComputeNode:
        vcpus, memory_mb, local_gb = self._size()
        return ComputeNode(
            uuid=str(uuid_module.uuid5(NAMESPACE, self._host)),
            host=self._host,
            hypervisor_hostname=self._host,
            hypervisor_type='fake',
            hypervisor_version=1,
            host_ip=self._my_ip,
            vcpus=vcpus,
            memory_mb=memory_mb,
            local_gb=local_gb,
            disk_available_least=local_gb,
            cpu_info={
                'arch': 'x86_64',
                'vendor': 'Intel',
                'model': 'Nehalem',
                'features': ['clflush', 'pge', 'sse2'],
                'topology': {'cells': 1, 'sockets': vcpus, 'cores': 1, 'threads': 1},
            },
            supported_instances=[('x86_64', 'fake', 'hvm')],
            numa_topology=fake_topology.topology(self._all, vcpus, memory_mb),
            pci_devices=fake_topology.reported(self._all),
        )

    def get_inventory(self) -> list[driver.Inventory]:
        amounts = fake_topology.amounts(self._all, *self._size())
        return [
            driver.Inventory(
                name=self._host,
                uuid=str(uuid_module.uuid5(NAMESPACE, self._host)),
                inventories={
                    name: {'total': total, 'min_unit': 1, 'max_unit': total, 'step_size': 1}
                    for name, total in amounts.items()
                },
                traits=list(TRAITS),
            )
        ]

    def _size(self) -> tuple[int, int, int]:
        return (
            self._conf.vcpus or self.VCPUS,
            self._conf.memory_mb or self.MEMORY_MB,
            self._conf.local_gb or self.LOCAL_GB,
        )

    # -- events, and what happens to guests by itself

    def on_event(self, callback: Callable[[str, Events], None]) -> None:
        self._listeners.append(callback)

    def close(self) -> None:
        self._closed.set()

    def halt(self, uuid: str) -> None:
        """Shut a guest down as from the inside."""
        guest = self._get(uuid)
        guest.console.append(f'[{clock()}] reboot: Power down')
        self._set_state(guest, PowerState.SHUTDOWN, Events.STOPPED)

    def lose(self, uuid: str) -> None:
        """Let a guest vanish."""
        if self._remove(uuid):
            self._tell(uuid, Events.REMOVED)

    def _schedule_mishaps(self, server: Server) -> None:
        for option, mishap in (('lose_guests', self.lose), ('halt_guests', self.halt)):
            if self._matches(option, server):
                threading.Thread(
                    target=self._later, args=(mishap, server.uuid), daemon=True
                ).start()

    def _later(self, mishap: Callable[[str], None], uuid: str) -> None:
        if not self._closed.wait(self._conf.lose_delay):
            try:
                mishap(uuid)
            except exception.GuestNotFound:
                LOG.debug('Guest %s was removed before its mishap', uuid)

    def _tell(self, uuid: str, event: Events) -> None:
        for listener in self._listeners:
            listener(uuid, event)

    # -- the guests

    def _guest_of(self, spec: driver.GuestSpec) -> Guest:
        return guest_of(spec, self._host)

    def _get(self, uuid: str) -> Guest:
        with self._lock:
            try:
                return self._guests[uuid]
            except KeyError:
                raise exception.GuestNotFound(instance_id=uuid) from None

    def _add(self, guest: Guest) -> None:
        with self._lock:
            self._guests[guest.uuid] = guest
            self._save()

    def _remove(self, uuid: str) -> bool:
        with self._lock:
            found = self._guests.pop(uuid, None) is not None
            if found:
                self._save()
            return found

    def _boot(self, guest: Guest, vifs: list[VIF]) -> None:
        with self._lock:
            guest.boots += 1
            guest.started_at = timeutils.utcnow()
            guest.ports = []
            plug(guest, vifs)
            guest.console += boot_text(guest, vifs)
            del guest.console[:-CONSOLE_LINES]
        self._set_state(guest, PowerState.RUNNING, Events.STARTED)

    def _set_state(self, guest: Guest, state: PowerState, event: Events) -> None:
        with self._lock:
            guest.state = state
            self._save()
        self._tell(guest.uuid, event)

    def _state_file(self) -> str | None:
        directory = self._conf.state_dir
        return os.path.join(directory, f'{self._host}.json') if directory else None

    def _save(self) -> None:
        path = self._state_file()
        if path is None:
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + '.new', 'wb') as stream:
            stream.write(msgspec.json.encode([*self._guests.values(), *self._left.values()]))
        os.replace(path + '.new', path)


class SmallFakeDriver(FakeDriver):
    """Soon full."""

    VCPUS, MEMORY_MB, LOCAL_GB = 2, 8192, 1028


class MediumFakeDriver(FakeDriver):
    """Room for some guests."""

    VCPUS, MEMORY_MB, LOCAL_GB = 10, 8192, 1028
