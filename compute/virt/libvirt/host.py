"""The host as the driver's parts see it: connection, virt_type, capabilities."""

import threading
from typing import Any

from lxml import etree
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.compute.virt.driver import CpuStats
from kilonova.compute.virt.libvirt import accelerator, connection
from kilonova.compute.virt.libvirt.capabilities import DomainCapabilities, HostCapabilities

LOG = logging.getLogger(__name__)

DEFAULT_MACHINES = {
    'x86_64': 'pc',
    'i686': 'pc',
    'aarch64': 'virt',
    'armv7l': 'virt',
    's390x': 's390-ccw-virtio',
}


class Host:
    """Facts of the host; what cannot change while libvirt runs is asked for once."""

    def __init__(self, conf: cfg.ConfigOpts, conn: connection.Connection) -> None:
        self.conf, self.connection = conf, conn
        self._lock = threading.Lock()
        self._virt_type: str | None = None
        self._capabilities: HostCapabilities | None = None
        self._domain_capabilities: dict[tuple[str, str | None], DomainCapabilities] = {}
        self._hostname: str | None = None

    @property
    def capabilities(self) -> HostCapabilities:
        if self._capabilities is None:
            self._capabilities = HostCapabilities.parse(
                self.connection.call(lambda conn: conn.getCapabilities())
            )
        return self._capabilities

    @property
    def virt_type(self) -> str:
        """What guests are run with: kvm or qemu; found out and reported once."""
        with self._lock:
            if self._virt_type is None:
                self._virt_type = accelerator.choose(self.conf, self.connection, self.capabilities)
            return self._virt_type

    @property
    def hostname(self) -> str:
        """The hypervisor's own name, which must not change below our feet."""
        if self._hostname is None:
            self._hostname = self.connection.call(lambda conn: conn.getHostname())
        return self._hostname

    def version(self) -> int:
        """Return the hypervisor's version as one number: 7002022 is 7.2.22."""
        number: int = self.connection.call(lambda conn: conn.getVersion())
        return number

    def kind(self) -> str:
        """Return the hypervisor's name: QEMU."""
        name: str = self.connection.call(lambda conn: conn.getType())
        return name

    def memory_mb(self) -> int:
        """Return the memory of the host in MiB."""

        def run(conn: Any) -> int:
            lib = connection.library()
            # Not getInfo(), which counts only what the firmware told of at boot.
            return int(conn.getMemoryStats(lib.VIR_NODE_MEMORY_STATS_ALL_CELLS)['total']) // 1024

        found: int = self.connection.call(run)
        return found

    def online_cpus(self) -> set[int]:
        """Return the numbers of the processors that are online."""
        online = self.connection.call(lambda conn: conn.getCPUMap()[1])
        return {number for number, on in enumerate(online) if on}

    def cpu_stats(self) -> CpuStats:
        """Return what all processors together have done."""

        def run(conn: Any) -> tuple[dict[str, int], int]:
            lib = connection.library()
            return conn.getCPUStats(lib.VIR_NODE_CPU_STATS_ALL_CPUS, 0), conn.getInfo()[3]

        times, frequency = self.connection.call(run)
        return CpuStats(
            user=times.get('user', 0),
            kernel=times.get('kernel', 0),
            idle=times.get('idle', 0),
            iowait=times.get('iowait', 0),
            frequency=frequency,
        )

    def default_machine(self, arch: str) -> str | None:
        """Return the machine type for guests whose image names none."""
        for entry in self.conf.libvirt.hw_machine_type or []:
            name, _, machine = entry.partition('=')
            if name.strip() == arch and machine:
                return str(machine.strip())
        return DEFAULT_MACHINES.get(arch)

    def domain_capabilities(self, arch: str, machine: str | None) -> DomainCapabilities:
        """Return what guests of that machine type can have.  Raises HypervisorError."""
        key = (arch, machine)
        if key not in self._domain_capabilities:
            kind = self.virt_type
            xml = self.connection.call(
                lambda conn: conn.getDomainCapabilities(None, arch, machine, kind, 0)
            )
            self._domain_capabilities[key] = DomainCapabilities.parse(xml)
        return self._domain_capabilities[key]

    def expand_cpu(self, cpu: str, arch: str, machine: str) -> set[str]:
        """Return all features of a processor description, those of its model too."""
        lib, kind = connection.library(), self.virt_type
        xml = self.connection.call(
            lambda conn: conn.baselineHypervisorCPU(
                None, arch, machine, kind, [cpu], lib.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
            )
        )
        features = etree.fromstring(xml).findall('feature')
        return {
            str(f.get('name')) for f in features if f.get('policy') not in ('disable', 'forbid')
        }
