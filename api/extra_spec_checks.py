"""What is known of flavor extra specs: names, and what their values may be.

A name in a namespace of ours must be known; a name in any other namespace, or in none,
is an operator's own and may hold anything.
"""

import functools
import re
from collections.abc import Callable

import os_resource_classes
import os_traits
from oslo_utils import strutils

from kilonova.common import exception

Check = Callable[[str], bool]


def _boolean(value: str) -> bool:
    try:
        strutils.bool_from_string(value, strict=True)
    except ValueError:
        return False
    return True


def _integer(least: int | None = None, most: int | None = None) -> Check:
    def check(value: str) -> bool:
        try:
            number = int(value)
        except ValueError:
            return False
        return (least is None or number >= least) and (most is None or number <= most)

    return check


def _one_of(words: str) -> Check:
    allowed = words.split()
    return lambda value: value in allowed


def _like(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


def _anything(_value: str) -> bool:
    return True


# No text can be read in two ways: a pattern that tries them all takes for ever.
_CPU_SET = r'\^?\d+(-\d+|,\^?\d+)*'
_COUNT, _AMOUNT, _ANY_INTEGER = _integer(1), _integer(0), _integer()
_LEVEL = _one_of('custom high normal low')

_HW: dict[str, Check] = {
    'boot_menu': _boolean,
    'cpu_dedicated_mask': _like(_CPU_SET),
    'cpu_policy': _one_of('dedicated shared mixed'),
    'cpu_realtime': _boolean,
    'cpu_realtime_mask': _like(_CPU_SET),
    'cpu_thread_policy': _one_of('prefer isolate require'),
    'emulator_threads_policy': _one_of('isolate share'),
    'ephemeral_encryption': _boolean,
    'ephemeral_encryption_format': _one_of('plain luks luksv2'),
    'hide_hypervisor_id': _boolean,
    'locked_memory': _boolean,
    'mem_encryption': _boolean,
    'mem_encryption_model': _one_of('amd-sev amd-sev-es amd-sev-snp intel-tdx'),
    'mem_page_size': _like(r'(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)'),
    'numa_nodes': _COUNT,
    'pci_numa_affinity_policy': _one_of('required preferred legacy socket'),
    'pmem': _like(r'[a-zA-Z0-9_]+(,[a-zA-Z0-9_]+)*,?'),
    'pmu': _boolean,
    'redirected_usb_ports': _integer(0, 15),
    'serial_port_count': _AMOUNT,
    'sound_model': _one_of('sb16 es1370 pcspk ac97 ich6 ich9 usb virtio'),
    'tpm_model': _one_of('tpm-tis tpm-crb'),
    'tpm_secret_security': _one_of('user host deployment'),
    'tpm_version': _one_of('1.2 2.0'),
    'usb_model': _one_of('none nec-xhci qemu-xhci'),
    'vif_multiqueue_enabled': _boolean,
    'viommu_model': _one_of('intel smmuv3 virtio auto'),
    'virtio_packed_ring': _boolean,
    'watchdog_action': _one_of('none pause poweroff reset disabled'),
    **{f'cpu_{kind}': _COUNT for kind in ('cores', 'sockets', 'threads')},
    **{f'cpu_max_{kind}': _COUNT for kind in ('cores', 'sockets', 'threads')},
}

_QUOTA: dict[str, Check] = {
    **{
        name: _AMOUNT
        for name in (
            'cpu_limit cpu_period cpu_shares cpu_shares_share disk_io_limit disk_io_shares_share '
            'memory_limit memory_shares_share vif_limit vif_shares_share'
        ).split()
    },
    'cpu_quota': _ANY_INTEGER,
    **{f'{kind}_reservation': _ANY_INTEGER for kind in ('cpu', 'disk_io', 'memory', 'vif')},
    **{f'{kind}_shares_level': _LEVEL for kind in ('cpu', 'disk_io', 'memory', 'vif')},
    **{
        f'disk_{kind}_{unit}_sec': _AMOUNT
        for kind in ('read', 'write', 'total')
        for unit in ('bytes', 'iops')
    },
    **{
        f'vif_{way}_{what}': _AMOUNT
        for way in ('inbound', 'outbound')
        for what in ('average', 'burst', 'peak')
    },
}

# Attributes of a host that ComputeCapabilitiesFilter can compare with.
_CAPABILITIES = (
    'aggregates cell_uuid cpu_allocation_ratio current_workload disk_allocation_ratio '
    'disk_available_least disk_mb_used failed_builds free_disk_gb free_disk_mb free_ram_mb host '
    'host_ip hypervisor_hostname hypervisor_type hypervisor_version id local_gb local_gb_used '
    'mapped memory_mb memory_mb_used num_instances num_io_ops ram_allocation_ratio running_vms '
    'service_id total_usable_disk_gb total_usable_ram_mb updated uuid vcpus vcpus_total vcpus_used'
).split()
# The same, of a kind that has parts: cpu_info:arch
_CAPABILITY_TREES = (
    'cpu_info instances limits metrics nodename numa_topology pci_device_pools pci_stats stats '
    'supported_hv_specs supported_instances'
).split()

_EXACT: dict[str, Check] = {
    'accel:device_profile': _anything,
    'group_policy': _one_of('isolate none'),
    'hide_hypervisor_id': _boolean,
    'hw_rng:allowed': _boolean,
    'hw_rng:rate_bytes': _AMOUNT,
    'hw_rng:rate_period': _AMOUNT,
    'hw_video:ram_max_mb': _AMOUNT,
    'os:secure_boot': _one_of('disabled required'),
    'pci_passthrough:alias': _like(r'[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*'),
    'vmware:hw_version': _anything,
    'vmware:storage_policy': _anything,
    **{f'hw:{name}': check for name, check in _HW.items()},
    **{f'quota:{name}': check for name, check in _QUOTA.items()},
    **{f'capabilities:{name}': _anything for name in _CAPABILITIES},
}

_GROUP = r'([a-zA-Z0-9_-]{1,64})?'
_PATTERNS: list[tuple[re.Pattern[str], Check]] = [
    (re.compile(pattern), check)
    for pattern, check in (
        (r'aggregate_instance_extra_specs:.+', _anything),
        (rf'capabilities:({"|".join(_CAPABILITY_TREES)})(:\w+)*', _anything),
        (r'hw:numa_cpus\.\d+', _like(_CPU_SET)),
        (r'hw:numa_mem\.\d+', _COUNT),
        (rf'resources{_GROUP}:CUSTOM_[A-Z0-9_]+', _ANY_INTEGER),
        (rf'trait{_GROUP}:CUSTOM_[A-Z0-9_]+', _one_of('required forbidden preferred')),
    )
]
_STANDARD = re.compile(rf'(resources|trait){_GROUP}:(\w+)')
_NAMESPACES = {
    'accel', 'aggregate_instance_extra_specs', 'capabilities', 'hw', 'hw_rng', 'hw_video', 'os',
    'pci_passthrough', 'quota', 'resources', 'trait', 'vmware',
}  # fmt: skip


@functools.cache
def _standard_names() -> dict[str, frozenset[str]]:
    return {
        'resources': frozenset(os_resource_classes.STANDARDS),
        'trait': frozenset(os_traits.get_traits()),
    }


def _find(name: str) -> Check | None:
    check = _EXACT.get(name)
    if check is not None:
        return check
    for pattern, check in _PATTERNS:
        if pattern.fullmatch(name):
            return check
    match = _STANDARD.fullmatch(name)
    if match and match[3] in _standard_names()[match[1]]:
        return _ANY_INTEGER if match[1] == 'resources' else _one_of('required forbidden preferred')
    return None


def _is_ours(name: str) -> bool:
    namespace, colon, _rest = name.partition(':')
    return bool(colon) and (
        namespace in _NAMESPACES
        or re.fullmatch(rf'(resources|trait){_GROUP}', namespace) is not None
    )


def check(name: str, value: str) -> None:
    """Raise Invalid for an unknown name of a known namespace, or a value that it may not have."""
    known = _find(name)
    if known is None:
        if _is_ours(name):
            raise exception.Invalid(
                f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec."
            )
        return
    if not known(value):
        raise exception.Invalid(
            f"Validation failed; '{value}' is not a valid value for extra spec '{name}'."
        )
