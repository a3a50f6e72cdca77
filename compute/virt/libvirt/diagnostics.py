"""Reads the counters of a running guest."""

import datetime

from oslo_utils import timeutils

from kilonova.common.objects.diagnostics import (
    CpuDiagnostics,
    Diagnostics,
    DiskDiagnostics,
    NicDiagnostics,
)
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.guest import Guest
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.xml.element import Node


def read(host: Host, guest: Guest, server: Server) -> Diagnostics:
    """Return all that libvirt tells of a guest.  Raises GuestNotFound, HypervisorError."""
    xml = guest.live_xml()
    maximum, used = guest.memory()
    return Diagnostics(
        state=guest.power_state().text,
        driver='libvirt',
        hypervisor=host.virt_type,
        hypervisor_os='linux',
        uptime=_seconds_since(server.launched_at),
        config_drive=server.config_drive,
        memory_maximum=maximum,
        memory_used=used,
        memory_stats=guest.memory_stats(),
        cpus=[CpuDiagnostics(id=number, time=time) for number, time in guest.cpu_times()],
        disks=[_disk(guest, name) for name in _targets(xml, 'disk')],
        nics=[_nic(guest, nic) for nic in xml.findall('devices/interface')],
    )


def _seconds_since(when: datetime.datetime | None) -> int | None:
    return None if when is None else int((timeutils.utcnow() - when).total_seconds())


def _targets(xml: Node, kind: str) -> list[str]:
    found = xml.findall(f'devices/{kind}/target')
    return [str(target.get('dev')) for target in found if target.get('dev')]


def _disk(guest: Guest, device: str) -> DiskDiagnostics:
    try:
        reads, read, writes, written, errors = guest.disk_counters(device)
    except connection.HypervisorError:
        return DiskDiagnostics(device=device)  # an empty CD drive has no counters
    return DiskDiagnostics(
        device=device,
        read_requests=reads,
        read_bytes=read,
        write_requests=writes,
        write_bytes=written,
        errors_count=errors,
    )


def _nic(guest: Guest, nic: Node) -> NicDiagnostics:
    target, mac = nic.find('target'), nic.find('mac')
    device = '' if target is None else str(target.get('dev') or '')
    address = None if mac is None else mac.get('address')
    if not device:
        return NicDiagnostics(device='', mac_address=address)
    try:
        counters = guest.nic_counters(device)
    except connection.HypervisorError:
        return NicDiagnostics(device=device, mac_address=address)  # it is not of a kind that counts
    names = ('octets', 'packets', 'errors', 'drop')
    values = {f'{way}_{name}': counters[at + 4 * (way == 'tx')]
              for way in ('rx', 'tx') for at, name in enumerate(names)}  # fmt: skip
    return NicDiagnostics(device=device, mac_address=address, **values)
