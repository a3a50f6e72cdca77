"""A host's figures by the names that extra specs and JSON queries use."""

from typing import Any

from kilonova.scheduler.figures import free_disk_gb
from kilonova.scheduler.hosts import Hosts


def of_host(hosts: Hosts, i: int) -> dict[str, Any]:
    """Return the attributes; ``stats`` items are found beside them."""
    state = hosts.states[i]
    node = state.node
    named = {
        'uuid': node.uuid,
        'id': node.id,
        'host': state.service.host,
        'nodename': node.hypervisor_hostname,
        'hypervisor_hostname': node.hypervisor_hostname,
        'hypervisor_type': node.hypervisor_type,
        'hypervisor_version': node.hypervisor_version,
        'host_ip': node.host_ip,
        'service_id': state.service.id,
        'updated': node.updated_at,
        'vcpus': node.vcpus,
        'vcpus_total': node.vcpus,
        'vcpus_used': node.vcpus_used,
        'memory_mb': node.memory_mb,
        'memory_mb_used': node.memory_mb_used,
        'total_usable_ram_mb': node.memory_mb,
        'free_ram_mb': int(hosts.free_ram_mb[i]),
        'local_gb': node.local_gb,
        'local_gb_used': node.local_gb_used,
        'total_usable_disk_gb': node.local_gb,
        'free_disk_gb': free_disk_gb(state),
        'free_disk_mb': int(hosts.free_disk_mb[i]),
        'disk_mb_used': node.local_gb_used * 1024,
        'disk_available_least': node.disk_available_least,
        'num_instances': int(hosts.num_instances[i]),
        'running_vms': node.running_vms,
        'current_workload': node.current_workload,
        'num_io_ops': int(hosts.num_io_ops[i]),
        'failed_builds': int(hosts.failed_builds[i]),
        'cpu_info': node.cpu_info,
        'cpu_allocation_ratio': node.cpu_allocation_ratio,
        'ram_allocation_ratio': node.ram_allocation_ratio,
        'disk_allocation_ratio': node.disk_allocation_ratio,
        'supported_instances': node.supported_instances,
        'supported_hv_specs': node.supported_instances,
        'numa_topology': node.numa_topology,
        'metrics': node.metrics,
        'stats': node.stats,
        'instances': state.instances,
        'aggregates': [aggregate.name for aggregate in state.aggregates],
    }
    return {**node.stats, **named}
