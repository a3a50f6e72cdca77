"""Our domains: found again by uuid from libvirt alone, told from other people's by metadata."""

import errno
import time
from typing import Any

from lxml import etree
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.guest_care import Care
from kilonova.compute.virt.libvirt.guest_hotplug import HotPlug
from kilonova.compute.virt.libvirt.guest_moves import Moves
from kilonova.compute.virt.libvirt.xml import metadata
from kilonova.compute.virt.libvirt.xml.element import Node

LOG = logging.getLogger(__name__)

# virDomainState.  A guest that is shutting down (4) counts as off, as with Nova.
POWER = {
    0: PowerState.NOSTATE,
    1: PowerState.RUNNING,
    2: PowerState.RUNNING,
    3: PowerState.PAUSED,
    4: PowerState.SHUTDOWN,
    5: PowerState.SHUTDOWN,
    6: PowerState.CRASHED,
    7: PowerState.SUSPENDED,
}
DESTROY_ATTEMPTS = 6


class Guest(Care, HotPlug, Moves):
    """One domain.  Every method raises GuestNotFound when it is gone."""

    def __init__(self, conn: connection.Connection, uuid: str) -> None:
        self.uuid = uuid
        self._connection = conn

    def _call(self, method: str, *args: Any) -> Any:
        lib = connection.library()

        def run(conn: Any) -> Any:
            return getattr(conn.lookupByUUIDString(self.uuid), method)(*args)

        try:
            return self._connection.call(run)
        except connection.HypervisorError as error:
            if error.number == lib.VIR_ERR_NO_DOMAIN:
                raise exception.GuestNotFound(instance_id=self.uuid) from error
            raise

    def power_state(self) -> PowerState:
        return POWER.get(self._call('state', 0)[0], PowerState.NOSTATE)

    def is_active(self) -> bool:
        """Whether there is a process behind it, also a paused one."""
        return bool(self._call('isActive'))

    def xml(self) -> Node:
        """Return what is defined for the next start, secrets left out."""
        lib = connection.library()
        return etree.fromstring(self._call('XMLDesc', lib.VIR_DOMAIN_XML_INACTIVE))

    def live_xml(self) -> Node:
        """Return the running guest's, with the ports that libvirt has picked."""
        return etree.fromstring(self._call('XMLDesc', 0))

    def memory(self) -> tuple[int, int]:
        """Return how much memory the guest may have, and has, in KiB."""
        info = self._call('info')
        return int(info[1]), int(info[2])

    def memory_stats(self) -> dict[str, int]:
        """Return what the balloon tells, in libvirt's words."""
        return {str(name): int(value) for name, value in self._call('memoryStats').items()}

    def cpu_times(self) -> list[tuple[int, int]]:
        """Return number and nanoseconds of each processor."""
        return [(int(cpu[0]), int(cpu[2])) for cpu in self._call('vcpus')[0]]

    def disk_counters(self, device: str) -> tuple[int, ...]:
        """Return requests and bytes read, requests and bytes written, errors."""
        return tuple(self._call('blockStats', device))

    def nic_counters(self, device: str) -> tuple[int, ...]:
        """Return bytes, packets, errors, drops: received, then sent."""
        return tuple(self._call('interfaceStats', device))

    def start(self, paused: bool = False) -> None:
        lib = connection.library()
        self._call('createWithFlags', lib.VIR_DOMAIN_START_PAUSED if paused else 0)

    def resume(self) -> None:
        self._call('resume')

    def ask_to_shut_down(self) -> None:
        """Press the power button (or tell the guest's agent).  Nothing if it is off already."""
        lib = connection.library()
        try:
            self._call('shutdown')
        except connection.HypervisorError as error:
            if error.number != lib.VIR_ERR_OPERATION_INVALID:
                raise

    def destroy(self) -> None:
        """Pull the plug.  Nothing if it is off already."""
        for attempt in range(1, DESTROY_ATTEMPTS + 1):
            try:
                self._call('destroy')
                return
            except connection.HypervisorError as error:
                if not self.is_active():
                    return
                # QEMU may hang in the kernel on bad storage: libvirt gives up on it after
                # 15 seconds with EBUSY, the next try may succeed.
                if attempt == DESTROY_ATTEMPTS or not _is_busy(error):
                    raise

    def undefine(self, keep_state: bool = False) -> None:
        """Make libvirt forget it, with its saved state; NVRAM and TPM state go unless kept."""
        lib = connection.library()
        flags = (
            lib.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | lib.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | lib.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        )
        if keep_state:
            flags |= lib.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
            flags |= getattr(lib, 'VIR_DOMAIN_UNDEFINE_KEEP_TPM', 0)
        else:
            flags |= lib.VIR_DOMAIN_UNDEFINE_NVRAM
            flags |= getattr(lib, 'VIR_DOMAIN_UNDEFINE_TPM', 0)
        self._call('undefineFlags', flags)

    def wait_off(self, seconds: float, interval: float = 0.5) -> bool:
        """Wait until it is off; return whether it is."""
        deadline = time.monotonic() + seconds
        while self.is_active():
            if time.monotonic() >= deadline:
                return False
            time.sleep(interval)
        return True


def _is_busy(error: connection.HypervisorError) -> bool:
    lib = connection.library()
    cause = error.__cause__
    return error.number == lib.VIR_ERR_SYSTEM_ERROR and cause.get_int1() == errno.EBUSY  # type: ignore[union-attr]


class Guests:
    """All our domains on the host."""

    def __init__(self, conn: connection.Connection) -> None:
        self._connection = conn
        self._ours: set[str] = set()

    def define(self, xml: str) -> None:
        """Make libvirt remember a domain, in place of the one with that uuid."""
        self._connection.call(lambda conn: conn.defineXML(xml))

    def find(self, uuid: str) -> Guest:
        """Return the guest.  Raises GuestNotFound when there is none, or when it isn't ours."""
        guest = Guest(self._connection, uuid)
        if not self.is_ours(uuid):
            raise exception.GuestNotFound(instance_id=uuid)
        return guest

    def states(self) -> dict[str, PowerState]:
        """Return the power state of each guest."""
        known, lib = set(self._ours), connection.library()

        def run(conn: Any) -> dict[str, int]:
            found = {}
            for domain in conn.listAllDomains(0):
                try:
                    if domain.UUIDString() in known or _has_metadata(lib, domain):
                        found[domain.UUIDString()] = domain.state(0)[0]
                except lib.libvirtError as error:
                    if error.get_error_code() != lib.VIR_ERR_NO_DOMAIN:
                        raise
            return found

        found = self._connection.call(run)
        self._ours = set(found)
        return {uuid: POWER.get(state, PowerState.NOSTATE) for uuid, state in found.items()}

    def is_ours(self, uuid: str) -> bool:
        """Whether there is a domain of that uuid that Nova or we have made."""
        lib = connection.library()

        def run(conn: Any) -> bool:
            return _has_metadata(lib, conn.lookupByUUIDString(uuid))

        try:
            ours = self._connection.call(run)
        except connection.HypervisorError as error:
            if error.number != lib.VIR_ERR_NO_DOMAIN:
                raise
            return False
        if ours:
            self._ours.add(uuid)
        else:
            LOG.debug('Domain %s is not ours; it is left alone', uuid)
        return ours

    def was_ours(self, uuid: str) -> bool:
        """Whether the guest has been seen here; also true of one that is gone by now."""
        return uuid in self._ours or self.is_ours(uuid)


def _has_metadata(lib: Any, domain: Any) -> bool:
    try:
        domain.metadata(lib.VIR_DOMAIN_METADATA_ELEMENT, metadata.NAMESPACE, 0)
    except lib.libvirtError as error:
        if error.get_error_code() != lib.VIR_ERR_NO_DOMAIN_METADATA:
            raise
        return False
    return True
