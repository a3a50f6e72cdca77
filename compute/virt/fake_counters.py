"""What the guests of the fake driver have done: it grows with the time since they were started."""

from typing import TYPE_CHECKING

from oslo_utils import timeutils

from kilonova.common.objects.diagnostics import (
    CpuDiagnostics,
    Diagnostics,
    DiskDiagnostics,
    NicDiagnostics,
)
from kilonova.common.objects.server import Server
from kilonova.common.objects.volume_usage import VolumeCounters
from kilonova.compute.virt.driver import CpuStats, PowerState

if TYPE_CHECKING:
    from kilonova.compute.virt.fake_guest import Guest

# A second of a guest's life: nanoseconds of a processor, requests of a disk, packets of a port.
CPU_TIME, REQUESTS, PACKETS = 10_000_000, 2, 3
REQUEST_SIZE, PACKET_SIZE = 4096, 64
KIB_PER_MIB = 1024
# A second of the host's life, in nanoseconds: three quarters of it nothing is done.
SECOND = 1_000_000_000
BUSY, MHZ = SECOND // 8, 2000


def of(guest: 'Guest', server: Server) -> Diagnostics:
    """Return the diagnostics of a guest."""
    age = _age(guest)
    addresses = {vif.id: vif.address for vif in server.network_info}
    return Diagnostics(
        state=PowerState(guest.state).text,
        driver='libvirt',  # the API has no word for a driver that is not one
        hypervisor='fake',
        hypervisor_os='fake-os',
        uptime=age,
        config_drive=bool(guest.config_drive),
        memory_maximum=guest.memory_mb * KIB_PER_MIB,
        memory_used=guest.memory_mb * KIB_PER_MIB,
        cpus=[
            CpuDiagnostics(id=number, time=CPU_TIME * age, utilisation=1)
            for number in range(guest.vcpus)
        ],
        disks=[_disk('vda', age)],
        nics=[_nic(f'tap{port[:11]}', addresses.get(port), age) for port in guest.ports],
    )


def volume(guest: 'Guest') -> VolumeCounters:
    """Return what any volume of a guest has moved."""
    count = REQUESTS * _age(guest)
    size = count * REQUEST_SIZE
    return VolumeCounters(reads=count, read_bytes=size, writes=count, write_bytes=size)


def host(age: float) -> CpuStats:
    """Return what the processors have done in ``age`` seconds."""
    busy = int(BUSY * age)
    idle = int(SECOND * age) - 2 * busy
    return CpuStats(user=busy, kernel=busy, idle=idle, frequency=MHZ)


def _age(guest: 'Guest') -> int:
    """Return for how many seconds a guest has been running."""
    if guest.started_at is None:
        return 0
    return int((timeutils.utcnow() - guest.started_at).total_seconds())


def _disk(device: str, age: int) -> DiskDiagnostics:
    return DiskDiagnostics(
        device=device,
        read_requests=REQUESTS * age,
        read_bytes=REQUESTS * age * REQUEST_SIZE,
        write_requests=REQUESTS * age,
        write_bytes=REQUESTS * age * REQUEST_SIZE,
        errors_count=0,
    )


def _nic(device: str, address: str | None, age: int) -> NicDiagnostics:
    return NicDiagnostics(
        device=device,
        mac_address=address,
        rx_octets=PACKETS * age * PACKET_SIZE,
        rx_packets=PACKETS * age,
        rx_errors=0,
        rx_drop=0,
        tx_octets=PACKETS * age * PACKET_SIZE,
        tx_packets=PACKETS * age,
        tx_errors=0,
        tx_drop=0,
    )
