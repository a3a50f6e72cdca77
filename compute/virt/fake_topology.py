"""The NUMA nodes and PCI devices of a hypervisor that is played."""

from typing import Any

import msgspec
from oslo_config import cfg

from kilonova.common.fitting.guest import cpu_set
from kilonova.common.objects.numa import HostCell, HostTopology
from kilonova.common.objects.pci import PciDevice
from kilonova.compute import pci_spec

SOCKET = 2
"""Cells of one socket."""


def cells_of(conf: cfg.ConfigOpts, vcpus: int, memory_mb: int) -> list[HostCell]:
    """Return ``[fake_driver]numa_cells`` equal cells; none when that is 0."""
    number = conf.fake_driver.numa_cells
    shared, dedicated = pools(conf, vcpus)
    cells = []
    for i in range(number):
        own = range(i * vcpus // number, (i + 1) * vcpus // number)
        threads = conf.fake_driver.cpu_threads
        memory = memory_mb // number
        huge = {2048: conf.fake_driver.huge_pages, 1024**2: conf.fake_driver.gigantic_pages}
        small = memory * 1024 - sum(size * count for size, count in huge.items())
        cells.append(
            HostCell(
                id=i,
                cpus=sorted(shared.intersection(own)),
                pcpus=sorted(dedicated.intersection(own)),
                memory_mb=memory,
                siblings=[list(own[k : k + threads]) for k in range(0, len(own), threads)],
                pages={4: max(small, 0) // 4, **{s: n for s, n in huge.items() if n}},
                socket=i // SOCKET,
            )
        )
    return cells


def pools(conf: cfg.ConfigOpts, vcpus: int) -> tuple[set[int], set[int]]:
    """Return the processors to share and those for dedicated use."""
    everything = set(range(vcpus))
    dedicated = _set(conf.compute.cpu_dedicated_set, vcpus) & everything
    if conf.compute.cpu_shared_set:
        return _set(conf.compute.cpu_shared_set, vcpus) & everything, dedicated
    return everything - dedicated, dedicated


def _set(text: str | None, vcpus: int) -> set[int]:
    return cpu_set(text, vcpus) if text else set()


def topology(conf: cfg.ConfigOpts, vcpus: int, memory_mb: int) -> dict[str, Any] | None:
    """Return the node's topology as it is reported."""
    cells = cells_of(conf, vcpus, memory_mb)
    if not cells:
        return None
    found: dict[str, Any] = msgspec.to_builtins(HostTopology(cells=cells), str_keys=True)
    return found


def devices(conf: cfg.ConfigOpts) -> list[PciDevice]:
    """Return the PCI devices: network cards, one after the other on each cell."""
    cells = conf.fake_driver.numa_cells
    return [
        PciDevice(
            address=f'0000:{0x81 + i:02x}:00.0',
            vendor_id='8086',
            product_id='1572',
            numa_node=i % cells if cells else None,
        )
        for i in range(conf.fake_driver.pci_devices)
    ]


def reported(conf: cfg.ConfigOpts) -> list[dict[str, Any]]:
    """Return the devices that guests may have, as they are reported."""
    found: list[dict[str, Any]] = msgspec.to_builtins(pci_spec.usable(conf, devices(conf)))
    return found


def amounts(conf: cfg.ConfigOpts, vcpus: int, memory_mb: int, local_gb: int) -> dict[str, int]:
    """Return the host's amounts by resource class."""
    shared, dedicated = pools(conf, vcpus)
    found = {'VCPU': len(shared), 'PCPU': len(dedicated)}
    found |= {'MEMORY_MB': memory_mb, 'DISK_GB': local_gb}
    return {name: total for name, total in found.items() if total}
