"""The columns of the host table, and how each is read from one host's state."""

from collections.abc import Callable
from typing import Any

from kilonova.common.objects.host import HostState

MAX_DEVICES = 100


def free_disk_gb(state: HostState) -> int:
    """What is neither taken nor, on a sparse backend, really used up."""
    free = state.node.local_gb - state.node.local_gb_used
    least = state.node.disk_available_least
    return free if least is None else min(free, least)


def free_ram_mb(state: HostState) -> float:
    node = state.node
    return node.memory_mb - node.reserved_host_memory_mb - node.memory_mb_used


def free_vcpus(state: HostState) -> float:
    node = state.node
    return (node.vcpus - node.reserved_host_cpus) * node.cpu_allocation_ratio - node.vcpus_used


def free_devices(state: HostState) -> int:
    """Count PCI devices that nobody has, up to MAX_DEVICES; -1: there are none at all."""
    if not state.node.pci_devices:
        return -1
    taken = set(state.pci_taken)
    free = sum(device.get('address') not in taken for device in state.node.pci_devices)
    return min(free, MAX_DEVICES)


def zone_of(state: HostState) -> str:
    zones = (aggregate.availability_zone for aggregate in state.aggregates)
    return next((zone for zone in zones if zone), None) or state.service.availability_zone or 'nova'


COLUMNS: dict[str, tuple[type, Callable[[HostState], Any]]] = {
    'enabled': (bool, lambda state: not state.service.disabled),
    'up': (bool, lambda state: state.service.up and not state.service.forced_down),
    'free_ram_mb': (float, free_ram_mb),
    'free_disk_mb': (
        float,
        lambda state: free_disk_gb(state) * 1024 - state.node.reserved_host_disk_mb,
    ),
    'free_vcpus': (float, free_vcpus),
    'num_instances': (float, lambda state: state.num_instances),
    'num_io_ops': (float, lambda state: state.num_io_ops),
    'failed_builds': (float, lambda state: state.failed_builds),
    'hypervisor_version': (float, lambda state: state.node.hypervisor_version),
    'free_devices': (float, free_devices),
    'cell': (float, lambda state: -1 if state.cell_id is None else state.cell_id),
}
