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
from kilonova.compute.virt.driver import PowerState

if TYPE_CHECKING:
    from kilonova.compute.virt.fake_guest import Guest

# A second of a guest's life: nanoseconds of a processor, requests of a disk, packets of a port.
CPU_TIME, REQUESTS, PACKETS = 10_000_000, 2, 3
REQUEST_SIZE, PACKET_SIZE = 4096, 64
KIB_PER_MIB = 1024


def of(guest: 'Guest', server: Server) -> Diagnostics:
    """Return the diagnostics of a guest."""
    now = timeutils.utcnow()
    age = int((now - guest.started_at).total_seconds()) if guest.started_at else 0
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
