"""What the hypervisor knows of a running server."""

from typing import Any

import msgspec

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN
from kilonova.api.request import Request
from kilonova.api.servers import lookup
from kilonova.common.objects.diagnostics import (
    Diagnostics,
    DiskDiagnostics,
    NicDiagnostics,
    ServerDiagnostics,
)

Json = dict[str, Any]
KIB_PER_MIB = 1024

# The older form: names made of the device's name and these.
_DISK = {
    'read_req': 'read_requests',
    'read': 'read_bytes',
    'write_req': 'write_requests',
    'write': 'write_bytes',
    'errors': 'errors_count',
}
_NIC = {
    'rx': 'rx_octets',
    'rx_drop': 'rx_drop',
    'rx_errors': 'rx_errors',
    'rx_packets': 'rx_packets',
    'tx': 'tx_octets',
    'tx_drop': 'tx_drop',
    'tx_errors': 'tx_errors',
    'tx_packets': 'tx_packets',
}


@operation('GET', '/servers/{server_id}/diagnostics', query=params.QUERY_LESS, target='resource',
           rule='os_compute_api:os-server-diagnostics', check=ADMIN)  # fmt: skip
def index(request: Request, server_id: str) -> Json:
    """Show diagnostics of a running server."""

    def question(uuid: str, project_id: str | None) -> ServerDiagnostics:
        return request.conductor.get_server_diagnostics(request.context, uuid, project_id)

    found = lookup.ask(request, server_id, question).guest
    return _same_for_all(found) if request.version >= (2, 48) else _by_device(found)


def _same_for_all(found: Diagnostics) -> Json:
    """Return the form that does not depend on the driver (from 2.48)."""
    return {
        'state': found.state,
        'driver': found.driver,
        'hypervisor': found.hypervisor,
        'hypervisor_os': found.hypervisor_os,
        'uptime': found.uptime,
        'config_drive': found.config_drive,
        'memory_details': {
            'maximum': _mib(found.memory_maximum),
            'used': _mib(found.memory_used),
        },
        'cpu_details': [_whole(one) for one in found.cpus],
        'disk_details': [_whole(one) for one in found.disks],
        'nic_details': [_whole(one) for one in found.nics],
        'num_cpus': len(found.cpus),
        'num_disks': len(found.disks),
        'num_nics': len(found.nics),
    }


def _mib(kib: int | None) -> int | None:
    return None if kib is None else kib // KIB_PER_MIB


def _whole(part: msgspec.Struct) -> Json:
    """Return all of a part but the device, which is the driver's own word."""
    return {k: v for k, v in msgspec.structs.asdict(part).items() if k != 'device'}


def _by_device(found: Diagnostics) -> Json:
    """Return the flat form, in which names begin with those of the devices."""
    body: Json = {f'cpu{cpu.id}_time': cpu.time for cpu in found.cpus}
    for disk in found.disks:
        body.update(_named(disk, _DISK))
    for nic in found.nics:
        body.update(_named(nic, _NIC))
    body['memory'] = found.memory_maximum
    body.update({f'memory-{name}': value for name, value in found.memory_stats.items()})
    return body


def _named(part: DiskDiagnostics | NicDiagnostics, names: dict[str, str]) -> Json:
    return {f'{part.device}_{name}': getattr(part, field) for name, field in names.items()}
