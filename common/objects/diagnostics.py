"""What a hypervisor knows of a running guest."""

import msgspec


class CpuDiagnostics(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One processor; ``time`` is in nanoseconds, ``utilisation`` in percent."""

    id: int | None = None
    time: int | None = None
    utilisation: int | None = None


class DiskDiagnostics(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One disk; ``device`` is the hypervisor's name for it."""

    device: str
    read_bytes: int | None = None
    read_requests: int | None = None
    write_bytes: int | None = None
    write_requests: int | None = None
    errors_count: int | None = None


class NicDiagnostics(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One port; ``device`` is its interface on the host."""

    device: str
    mac_address: str | None = None
    rx_octets: int | None = None
    rx_errors: int | None = None
    rx_drop: int | None = None
    rx_packets: int | None = None
    rx_rate: int | None = None
    tx_octets: int | None = None
    tx_errors: int | None = None
    tx_drop: int | None = None
    tx_packets: int | None = None
    tx_rate: int | None = None


class Diagnostics(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One guest.  Memory is in KiB, ``uptime`` in seconds; None: the hypervisor does not say.

    ``memory_stats`` is what the guest's balloon tells, by the hypervisor's names.
    """

    state: str
    driver: str
    hypervisor: str | None = None
    hypervisor_os: str | None = None
    uptime: int | None = None
    config_drive: bool = False
    memory_maximum: int | None = None
    memory_used: int | None = None
    memory_stats: dict[str, int] = {}
    cpus: list[CpuDiagnostics] = []
    disks: list[DiskDiagnostics] = []
    nics: list[NicDiagnostics] = []


class ServerDiagnostics(msgspec.Struct, kw_only=True):
    """What is known of a server's guest, and whose server it is: that decides who may know."""

    project_id: str
    user_id: str
    guest: Diagnostics
