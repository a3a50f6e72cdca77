"""Hypervisors as JSON, by version."""

from typing import Any

import msgspec

from kilonova.api.request import Request
from kilonova.common.objects.host import Hypervisor

# Capacity and usage of a node: shown up to 2.87, summed up by the statistics.
FIGURES = {
    'vcpus': 'vcpus',
    'vcpus_used': 'vcpus_used',
    'memory_mb': 'memory_mb',
    'memory_mb_used': 'memory_mb_used',
    'local_gb': 'local_gb',
    'local_gb_used': 'local_gb_used',
    'running_vms': 'running_vms',
    'current_workload': 'current_workload',
}


def free(hypervisor: Hypervisor) -> dict[str, int]:
    node = hypervisor.node
    return {
        'free_ram_mb': node.memory_mb - node.memory_mb_used,
        'free_disk_gb': node.local_gb - node.local_gb_used,
    }


def brief(request: Request, hypervisor: Hypervisor, with_servers: bool = False) -> dict[str, Any]:
    """A hypervisor as lists show it."""
    node, service = hypervisor.node, hypervisor.service
    body: dict[str, Any] = {
        'id': node.uuid if request.version >= (2, 53) else node.id,
        'hypervisor_hostname': node.hypervisor_hostname,
        'state': 'up' if service.up else 'down',
        'status': 'disabled' if service.disabled else 'enabled',
    }
    # Before 2.75 a hypervisor without servers had no such key.
    if with_servers and (hypervisor.servers or request.version >= (2, 75)):
        servers = hypervisor.servers or []
        body['servers'] = [{'uuid': uuid, 'name': name} for uuid, name in servers]
    return body


def full(request: Request, hypervisor: Hypervisor, with_servers: bool = False) -> dict[str, Any]:
    """A hypervisor with its details."""
    node, service = hypervisor.node, hypervisor.service
    body = brief(request, hypervisor, with_servers)
    body.update(
        hypervisor_type=node.hypervisor_type,
        hypervisor_version=node.hypervisor_version,
        host_ip=node.host_ip,
        service={
            'id': service.uuid if request.version >= (2, 53) else service.id,
            'host': service.host,
            'disabled_reason': service.disabled_reason,
        },
    )
    if request.version < (2, 88):
        body.update({name: getattr(node, field) for name, field in FIGURES.items()})
        body.update(free(hypervisor))
        body['disk_available_least'] = node.disk_available_least
        body['cpu_info'] = _cpu_info(request, hypervisor)
    else:
        body['uptime'] = hypervisor.uptime
    return body


def _cpu_info(request: Request, hypervisor: Hypervisor) -> Any:
    info = hypervisor.node.cpu_info
    return info if request.version >= (2, 28) else msgspec.json.encode(info).decode()
