"""Prefer hosts with more room, or a newer hypervisor."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices
from kilonova.scheduler.weights.base import Weigher


class RAMWeigher(Weigher):
    option = 'ram_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats:
        return hosts.free_ram_mb[alive]


class CPUWeigher(Weigher):
    option = 'cpu_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats:
        return hosts.free_vcpus[alive]


class DiskWeigher(Weigher):
    option = 'disk_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats:
        return hosts.free_disk_mb[alive]


class HypervisorVersionWeigher(Weigher):
    option = 'hypervisor_version_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats:
        return hosts.hypervisor_version[alive]
