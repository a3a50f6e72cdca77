"""Prefer hosts with more room, or a newer hypervisor."""

from kilonova.scheduler.weights.base import ColumnWeigher


class RAMWeigher(ColumnWeigher):
    option, column = 'ram_weight_multiplier', 'free_ram_mb'


class CPUWeigher(ColumnWeigher):
    option, column = 'cpu_weight_multiplier', 'free_vcpus'


class DiskWeigher(ColumnWeigher):
    option, column = 'disk_weight_multiplier', 'free_disk_mb'


class HypervisorVersionWeigher(ColumnWeigher):
    option, column = 'hypervisor_version_weight_multiplier', 'hypervisor_version'
