"""What the host has: its node record, and its inventory and traits for placement."""

import math
import os
import struct

from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.host import ComputeNode
from kilonova.compute.virt.driver import Inventory
from kilonova.compute.virt.libvirt import host_topology, pci, traits
from kilonova.compute.virt.libvirt.capabilities import HostCapabilities
from kilonova.compute.virt.libvirt.disk import choice
from kilonova.compute.virt.libvirt.host import Host

GIB = 1024**3
QCOW2_MAGIC = b'QFI\xfb'


def node(conf: cfg.ConfigOpts, host: Host, service_host: str, uuid: str) -> ComputeNode:
    """Return the node: what there is of everything, without what is used."""
    total, free = disk_space(conf)
    ratios = allocation_ratios(conf)
    return ComputeNode(
        uuid=uuid,
        host=service_host,
        hypervisor_hostname=host.hostname,
        hypervisor_type=host.kind(),
        hypervisor_version=host.version(),
        host_ip=conf.my_ip,
        vcpus=len(host_topology.shared(conf, host)),
        memory_mb=host.memory_mb(),
        local_gb=total,
        disk_available_least=free - math.ceil(overcommitted(conf.instances_path) / GIB),
        cpu_info=cpu_info(host.capabilities),
        numa_topology=host_topology.report(conf, host),
        pci_devices=pci.report(conf, host),
        supported_instances=list(host.capabilities.guests),
        cpu_allocation_ratio=ratios['VCPU'],
        ram_allocation_ratio=ratios['MEMORY_MB'],
        disk_allocation_ratio=ratios['DISK_GB'],
        reserved_host_cpus=conf.reserved_host_cpus,
        reserved_host_memory_mb=conf.reserved_host_memory_mb,
        reserved_host_disk_mb=conf.reserved_host_disk_mb,
    )


def providers(conf: cfg.ConfigOpts, host: Host, uuid: str) -> list[Inventory]:
    """Return the provider tree: the node alone."""
    totals = {
        'VCPU': (len(host_topology.shared(conf, host)), conf.reserved_host_cpus),
        'PCPU': (len(host_topology.dedicated(conf, host)), 0),
        'MEMORY_MB': (host.memory_mb(), conf.reserved_host_memory_mb),
        'DISK_GB': (
            disk_space(conf)[0],
            math.ceil(conf.reserved_host_disk_mb / 1024),
        ),
    }
    ratios = allocation_ratios(conf)
    return [
        Inventory(
            name=host.hostname,
            uuid=uuid,
            inventories={
                resource: {
                    'total': total,
                    'reserved': min(reserved, total),
                    'min_unit': 1,
                    'max_unit': total,
                    'step_size': 1,
                    'allocation_ratio': ratios.get(resource, 1.0),
                }
                for resource, (total, reserved) in totals.items()
                if total > 0
            },
            traits=sorted(traits.host_traits(conf, host)),
        )
    ]


def allocation_ratios(conf: cfg.ConfigOpts) -> dict[str, float]:
    """Return the ratio of each resource: as set, else the one that a new provider starts with."""
    return {
        'VCPU': conf.cpu_allocation_ratio or conf.initial_cpu_allocation_ratio,
        'MEMORY_MB': conf.ram_allocation_ratio or conf.initial_ram_allocation_ratio,
        'DISK_GB': conf.disk_allocation_ratio or conf.initial_disk_allocation_ratio,
    }


def disk_space(conf: cfg.ConfigOpts) -> tuple[int, int]:
    """Return (total, free) GiB of where disks are stored."""
    try:
        total, free = choice.backend(conf).space()
    except (OSError, processutils.ProcessExecutionError) as error:
        raise exception.VirtDriverError(reason=f'The room for disks: {error}') from error
    return total // GIB, free // GIB


def overcommitted(instances_path: str) -> int:
    """Return the bytes that existing disks may still grow by."""
    total = 0
    for directory in os.scandir(instances_path):
        if directory.is_dir(follow_symlinks=False) and len(directory.name) == 36:
            total += sum(_growth(entry.path) for entry in os.scandir(directory.path))
    return total


def _growth(path: str) -> int:
    """Return how much a disk file may grow; a file that cannot be read counts as it is."""
    if not os.path.basename(path).startswith('disk'):
        return 0
    try:
        found = os.stat(path)
        with open(path, 'rb') as file:
            header = file.read(32)
    except OSError:
        return 0  # gone meanwhile, or not ours to read
    size = found.st_size
    if header.startswith(QCOW2_MAGIC) and len(header) == 32:
        size = struct.unpack('>Q', header[24:32])[0]
    return max(0, size - found.st_blocks * 512)


def cpu_info(caps: HostCapabilities) -> dict[str, object]:
    """Return the processor's description in Nova's form."""
    info: dict[str, object] = {
        'arch': caps.arch,
        'model': caps.cpu_model,
        'vendor': caps.cpu_vendor,
        'topology': {
            'cells': caps.cells,
            'sockets': caps.sockets,
            'cores': caps.cores,
            'threads': caps.threads,
        },
        'features': list(caps.features),
    }
    if caps.maxphysaddr is not None:
        info['maxphysaddr'] = caps.maxphysaddr
    return info
