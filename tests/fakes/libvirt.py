"""libvirt's library, as far as our driver knows it: domains in memory.

``FakeLibvirt()`` stands for the module; ``connection`` is the one host behind it.  Domains do
what real ones do on start, shutdown, destroy …; ``ignore_shutdown`` makes guests deaf,
``fail`` makes a call raise.
"""

import itertools
import pathlib
import uuid as uuid_module
from collections.abc import Callable
from typing import Any

from lxml import etree

DATA = pathlib.Path(__file__).parent.parent / 'data' / 'libvirt'
RUNNING, PAUSED, SHUTOFF, CRASHED = 1, 3, 5, 6
NOVA = '{http://openstack.org/xmlns/libvirt/nova/1.1}instance'


class libvirtError(Exception):  # noqa: N801  (libvirt's name)
    def __init__(self, message: str, number: int = 1, domain: int = 0, int1: int = 0) -> None:
        super().__init__(message)
        self.number, self.domain, self.int1 = number, domain, int1

    def get_error_code(self) -> int:
        return self.number

    def get_error_domain(self) -> int:
        return self.domain

    def get_error_message(self) -> str:
        return str(self)

    def get_int1(self) -> int:
        return self.int1


class FakeLibvirt:
    """The module: constants by libvirt's numbers, and ``open``."""

    libvirtError = libvirtError  # noqa: N815
    VIR_ERR_INTERNAL_ERROR, VIR_ERR_INVALID_CONN, VIR_ERR_SYSTEM_ERROR, VIR_ERR_RPC = 1, 6, 38, 39
    VIR_ERR_NO_DOMAIN, VIR_ERR_OPERATION_INVALID, VIR_ERR_NO_DOMAIN_METADATA = 42, 55, 80
    VIR_FROM_RPC, VIR_FROM_REMOTE = 7, 13
    VIR_DOMAIN_PAUSED, VIR_DOMAIN_CRASHED = PAUSED, CRASHED
    VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0
    VIR_DOMAIN_EVENT_UNDEFINED, VIR_DOMAIN_EVENT_STARTED = 1, 2
    VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_RESUMED = 3, 4
    VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_PMSUSPENDED = 5, 7
    VIR_DOMAIN_XML_INACTIVE, VIR_DOMAIN_START_PAUSED, VIR_DOMAIN_METADATA_ELEMENT = 2, 1, 2
    VIR_DOMAIN_UNDEFINE_MANAGED_SAVE, VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA = 1, 2
    VIR_DOMAIN_UNDEFINE_NVRAM, VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA = 4, 16
    VIR_ERR_NO_SECRET = 66
    VIR_ERR_AGENT_UNRESPONSIVE, VIR_ERR_NO_DOMAIN_BACKUP = 86, 109
    VIR_DOMAIN_SAVE_RUNNING, VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL = 2, 1
    VIR_DOMAIN_JOB_STATS_COMPLETED = 1
    VIR_NODE_MEMORY_STATS_ALL_CELLS = VIR_NODE_CPU_STATS_ALL_CPUS = -1
    VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES = 1
    VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV = 2
    VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET, VIR_CONNECT_LIST_NODE_DEVICES_CAP_VDPA = 16, 1 << 17

    def __init__(self) -> None:
        self.connection = FakeConnection()
        self.opened = 0
        self.unreachable = False

    def open(self, uri: str) -> 'FakeConnection':
        if self.unreachable:
            raise libvirtError('no socket', self.VIR_ERR_SYSTEM_ERROR, self.VIR_FROM_RPC)
        self.opened += 1
        return self.connection


class FakeNodeDevice:
    def __init__(self, xml: str) -> None:
        self._xml = xml

    def XMLDesc(self, flags: int) -> str:  # noqa: N802
        return self._xml


class FakeConnection:
    """One host with QEMU."""

    def __init__(self) -> None:
        self.domains: dict[str, FakeDomain] = {}
        self.calls: list[str] = []
        self.secrets: dict[str, bytes] = {}
        self.failures: dict[str, list[libvirtError]] = {}
        self.ignore_shutdown = False
        self.capabilities = (DATA / 'capabilities.xml').read_text()
        self.on_event: Callable[..., None] | None = None
        self.on_close: Callable[..., None] | None = None
        self.on_create: Callable[[FakeDomain], None] = lambda domain: None
        self.ids = itertools.count(1)

    def fail(self, call: str, number: int = 1, domain: int = 0, int1: int = 0) -> None:
        """Make the next call of that name fail."""
        error = libvirtError(f'{call} failed on purpose', number, domain, int1)
        self.failures.setdefault(call, []).append(error)

    def note(self, call: str) -> None:
        self.calls.append(call)
        if self.failures.get(call):
            raise self.failures[call].pop(0)

    def setKeepAlive(self, interval: int, count: int) -> None:  # noqa: N802
        self.note('setKeepAlive')

    def registerCloseCallback(self, callback: Any, opaque: Any) -> None:  # noqa: N802
        self.on_close = callback

    def domainEventRegisterAny(  # noqa: N802
        self, domain: Any, event: int, callback: Any, opaque: Any
    ) -> None:
        self.on_event = callback

    def close(self) -> None:
        self.note('close')

    def getCapabilities(self) -> str:  # noqa: N802
        return self.capabilities

    def getDomainCapabilities(  # noqa: N802
        self, emulator: Any, arch: str, machine: str | None, kind: str, flags: int
    ) -> str:
        self.note('getDomainCapabilities')
        root = etree.parse(str(DATA / 'domain-capabilities.xml')).getroot()
        root.find('domain').text = kind  # type: ignore[union-attr]
        root.find('machine').text = machine  # type: ignore[union-attr]
        return etree.tostring(root, encoding='unicode')

    def listAllDevices(self, flags: int) -> list[Any]:  # noqa: N802
        self.note('listAllDevices')
        root = etree.parse(str(DATA / 'node-devices.xml')).getroot()
        return [FakeNodeDevice(etree.tostring(node, encoding='unicode')) for node in root]

    def baselineHypervisorCPU(self, *args: Any) -> str:  # noqa: N802
        self.note('baselineHypervisorCPU')
        return (
            '<cpu><model>EPYC</model><feature policy="require" name="aes"/>'
            '<feature policy="require" name="sse4.2"/><feature policy="disable" name="avx"/></cpu>'
        )

    def getHostname(self) -> str:  # noqa: N802
        return 'compute1.example.org'

    def getVersion(self) -> int:  # noqa: N802
        return 7002022

    def getType(self) -> str:  # noqa: N802
        return 'QEMU'

    def getCPUMap(self) -> tuple[int, list[bool], int]:  # noqa: N802
        return 4, [True, True, True, False], 3

    def getMemoryStats(self, cell: int) -> dict[str, int]:  # noqa: N802
        return {'total': 8 * 1024 * 1024}

    def getCPUStats(self, cpu: int, flags: int) -> dict[str, int]:  # noqa: N802
        assert (cpu, flags) == (FakeLibvirt.VIR_NODE_CPU_STATS_ALL_CPUS, 0)
        return {'kernel': 5, 'idle': 80, 'user': 10, 'iowait': 5}

    def getInfo(self) -> list[Any]:  # noqa: N802
        return ['x86_64', 8192, 4, 2400, 1, 1, 2, 2]

    def listAllDomains(self, flags: int) -> list['FakeDomain']:  # noqa: N802
        self.note('listAllDomains')
        return list(self.domains.values())

    def lookupByUUIDString(self, uuid: str) -> 'FakeDomain':  # noqa: N802
        self.note('lookupByUUIDString')
        return self._found(self.domains.get(uuid))

    def lookupByName(self, name: str) -> 'FakeDomain':  # noqa: N802
        return self._found(next((d for d in self.domains.values() if d.name() == name), None))

    def secretDefineXML(self, xml: str) -> 'FakeSecret':  # noqa: N802
        return FakeSecret(self, etree.fromstring(xml).findtext('uuid') or '')

    def secretLookupByUUIDString(self, uuid: str) -> 'FakeSecret':  # noqa: N802
        if uuid not in self.secrets:
            raise libvirtError('no secret', FakeLibvirt.VIR_ERR_NO_SECRET)
        return FakeSecret(self, uuid)

    @staticmethod
    def _found(domain: 'FakeDomain | None') -> 'FakeDomain':
        if domain is None:
            raise libvirtError('Domain not found', FakeLibvirt.VIR_ERR_NO_DOMAIN)
        return domain

    def defineXML(self, xml: str) -> 'FakeDomain':  # noqa: N802
        self.note('defineXML')
        new = FakeDomain(self, xml)
        old = self.domains.get(new.UUIDString())
        if old is not None:
            old.root = new.root
            return old
        self.domains[new.UUIDString()] = new
        return new

    def createXML(self, xml: str, flags: int) -> 'FakeDomain':  # noqa: N802
        self.note('createXML')
        domain = self.defineXML(xml)
        domain.number = RUNNING
        domain.persistent = False
        self.on_create(domain)
        return domain


class FakeSecret:
    """One secret."""

    def __init__(self, connection: FakeConnection, uuid: str) -> None:
        self.connection, self.uuid = connection, uuid

    def setValue(self, value: bytes) -> None:  # noqa: N802
        self.connection.secrets[self.uuid] = value

    def undefine(self) -> None:
        del self.connection.secrets[self.uuid]


class FakeDomain:
    """One domain."""

    def __init__(self, connection: FakeConnection, xml: str) -> None:
        self.connection = connection
        self.root = etree.fromstring(xml)
        self.uuid = self.root.findtext('uuid') or str(uuid_module.uuid4())
        self.number = SHUTOFF
        self.persistent = True
        self.cpu_time = 0
        self.saved = self.frozen = False
        self.backup_xml: str | None = None
        self.copies: list[str] = []
        self.job: dict[str, Any] = {'success': True}
        self.password: tuple[str, str] | None = None
        self.undefine_flags = 0

    def _tell(self, event: int) -> None:
        if self.connection.on_event is not None:
            self.connection.on_event(self.connection, self, event, 0, None)

    def _must_run(self) -> None:
        if not self.isActive():
            raise libvirtError('domain is not running', FakeLibvirt.VIR_ERR_OPERATION_INVALID)

    def UUIDString(self) -> str:  # noqa: N802
        return self.uuid

    def name(self) -> str:
        return self.root.findtext('name') or ''

    def state(self, flags: int) -> tuple[int, int]:
        return self.number, 0

    def info(self) -> tuple[int, int, int, int, int]:
        return self.number, self._memory(), self._memory(), 1, self.cpu_time

    def _memory(self) -> int:
        return int(self.root.findtext('memory') or 0)

    def memoryStats(self) -> dict[str, int]:  # noqa: N802
        return {'actual': self._memory(), 'rss': 4096}

    def vcpus(self) -> tuple[list[tuple[int, int, int, int]], list[tuple[bool, ...]]]:
        self._must_run()
        return [(0, 1, self.cpu_time, 0), (1, 1, self.cpu_time, 1)], []

    def blockStats(self, device: str) -> tuple[int, int, int, int, int]:  # noqa: N802
        self.connection.note('blockStats')
        return 1, 2, 3, 4, -1

    def interfaceStats(self, device: str) -> tuple[int, ...]:  # noqa: N802
        self.connection.note('interfaceStats')
        return 10, 11, 12, 13, 20, 21, 22, 23

    def isActive(self) -> int:  # noqa: N802
        return int(self.number not in (SHUTOFF, CRASHED))

    def XMLDesc(self, flags: int) -> str:  # noqa: N802
        return etree.tostring(self.root, encoding='unicode')

    def metadata(self, kind: int, uri: str, flags: int) -> str:
        if self.root.find(f'metadata/{NOVA}') is None:
            raise libvirtError('no metadata', FakeLibvirt.VIR_ERR_NO_DOMAIN_METADATA)
        return '<instance/>'

    def createWithFlags(self, flags: int) -> None:  # noqa: N802
        self.connection.note('createWithFlags')
        if self.isActive():
            raise libvirtError('domain is running', FakeLibvirt.VIR_ERR_OPERATION_INVALID)
        self.saved = False
        self.number = PAUSED if flags & FakeLibvirt.VIR_DOMAIN_START_PAUSED else RUNNING
        self._tell(FakeLibvirt.VIR_DOMAIN_EVENT_STARTED)

    def suspend(self) -> None:
        self.connection.note('suspend')
        self._must_run()
        self.number = PAUSED
        self._tell(FakeLibvirt.VIR_DOMAIN_EVENT_SUSPENDED)

    def managedSave(self, flags: int) -> None:  # noqa: N802
        self.connection.note('managedSave')
        self._must_run()
        self.saved = True
        self.stop()

    def hasManagedSaveImage(self, flags: int) -> int:  # noqa: N802
        return int(self.saved)

    def managedSaveRemove(self, flags: int) -> None:  # noqa: N802
        self.saved = False

    def injectNMI(self, flags: int) -> None:  # noqa: N802
        self.connection.note('injectNMI')
        self._must_run()

    def setUserPassword(self, user: str, password: str, flags: int) -> None:  # noqa: N802
        self.connection.note('setUserPassword')
        self._must_run()
        self.password = user, password

    def setTime(self, time: dict[str, int], flags: int) -> None:  # noqa: N802
        self.connection.note('setTime')

    def fsFreeze(self, mountpoints: Any, flags: int) -> None:  # noqa: N802
        self.connection.note('fsFreeze')
        self.frozen = True

    def fsThaw(self, mountpoints: Any, flags: int) -> None:  # noqa: N802
        self.connection.note('fsThaw')
        self.frozen = False

    def backupBegin(self, xml: str, checkpoint: Any, flags: int) -> None:  # noqa: N802
        self.connection.note('backupBegin')
        self.backup_xml = xml
        self.copies.append(xml)

    def backupGetXMLDesc(self, flags: int) -> str:  # noqa: N802
        """Give the copy's description once; the next one who asks finds it ended."""
        found, self.backup_xml = self.backup_xml, None
        if found is None:
            raise libvirtError('no backup', FakeLibvirt.VIR_ERR_NO_DOMAIN_BACKUP)
        return found

    def abortJob(self) -> None:  # noqa: N802
        self.connection.note('abortJob')
        self.backup_xml = None

    def jobStats(self, flags: int) -> dict[str, Any]:  # noqa: N802
        return self.job

    def resume(self) -> None:
        self.connection.note('resume')
        self._must_run()
        self.number = RUNNING
        self._tell(FakeLibvirt.VIR_DOMAIN_EVENT_RESUMED)

    def shutdown(self) -> None:
        self.connection.note('shutdown')
        self._must_run()
        if not self.connection.ignore_shutdown:
            self.stop()

    def destroy(self) -> None:
        self.connection.note('destroy')
        self._must_run()
        self.stop()

    def stop(self, number: int = SHUTOFF) -> None:
        """End the guest, as from the inside."""
        self.number = number
        if not self.persistent:
            self.connection.domains.pop(self.uuid, None)
        self._tell(FakeLibvirt.VIR_DOMAIN_EVENT_STOPPED)

    def undefineFlags(self, flags: int) -> None:  # noqa: N802
        self.connection.note('undefineFlags')
        self.undefine_flags = flags
        del self.connection.domains[self.uuid]
        self._tell(FakeLibvirt.VIR_DOMAIN_EVENT_UNDEFINED)
