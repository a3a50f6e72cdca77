"""Hosts as they were shown and worked on before hypervisors and services (up to 2.42)."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.params import obj, values
from kilonova.api.policies import ADMIN, OLD_ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import Schema
from kilonova.api.services import HIDDEN
from kilonova.common import exception
from kilonova.common.objects.host import Amounts

REPLACES = ('os_compute_api:os-hosts', OLD_ADMIN)
LAST = '2.42'
_SWITCH: Schema = {
    'type': 'string',
    'enum': ['enable', 'disable', 'Enable', 'Disable', 'ENABLE', 'DISABLE'],
}
UPDATE = obj(
    {'status': _SWITCH, 'maintenance_mode': _SWITCH},
    anyOf=[{'required': ['status']}, {'required': ['maintenance_mode']}],
)
LIST = params.query({'zone': values(params.STRING)})


@operation('GET', '/os-hosts', until=LAST, query=LIST, check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-hosts:list')  # fmt: skip
def index(request: Request) -> dict[str, Any]:
    """List the hosts that are enabled, with their daemons."""
    zone = request.query.one('zone')
    found = request.conductor.list_services(request.context, disabled=False)
    return {
        'hosts': [
            {
                'host_name': one.host,
                'service': one.topic,
                'zone': one.availability_zone or 'internal',
            }
            for one in found
            if one.binary not in HIDDEN and (not zone or one.availability_zone == zone)
        ]
    }


@operation('GET', '/os-hosts/{host_name}', until=LAST, check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-hosts:show')  # fmt: skip
def show(request: Request, host_name: str) -> dict[str, Any]:
    """Show what a host has, what is in use, and by which projects."""
    found = request.conductor.get_host_resources(request.context, host_name)
    rows = [
        ('(total)', found.total),
        ('(used_now)', found.used_now),
        ('(used_max)', found.used_max),
    ]
    rows += sorted(found.projects.items())
    return {'host': [_resource(host_name, project, amounts) for project, amounts in rows]}


def _resource(host: str, project: str, amounts: Amounts) -> dict[str, Any]:
    return {
        'resource': {
            'host': host,
            'project': project,
            'cpu': amounts.vcpus,
            'memory_mb': amounts.memory_mb,
            'disk_gb': amounts.disk_gb,
        }
    }


@operation('PUT', '/os-hosts/{host_name}', until=LAST, body=UPDATE, check=ADMIN,
           replaces=REPLACES, rule='os_compute_api:os-hosts:update')  # fmt: skip
def update(request: Request, host_name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Enable or disable a host, or put it into maintenance."""
    answer: dict[str, Any] = {'host': host_name}
    if 'maintenance_mode' in body:
        wanted = body['maintenance_mode'].lower() == 'enable'
        on = request.conductor.set_host_maintenance(request.context, host_name, wanted)
        answer['maintenance_mode'] = 'on_maintenance' if on else 'off_maintenance'
    if 'status' in body:
        answer['status'] = _set_enabled(request, host_name, body['status'].lower() == 'enable')
    return answer


def _set_enabled(request: Request, host: str, enabled: bool) -> str:
    found = request.conductor.list_services(request.context, host=host, binary='nova-compute')
    if not found:
        raise exception.ComputeHostNotFound(host=host)
    if not found[0].up:
        raise exception.ComputeServiceUnavailable(host=host)
    changed = request.conductor.update_service(request.context, found[0].uuid, disabled=not enabled)
    return 'disabled' if changed.disabled else 'enabled'


def _power(request: Request, host: str, action: str) -> dict[str, Any]:
    result = request.conductor.host_power_action(request.context, host, action)
    return {'host': host, 'power_action': result}


@operation('GET', '/os-hosts/{host_name}/startup', until=LAST, check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-hosts:start')  # fmt: skip
def startup(request: Request, host_name: str) -> dict[str, Any]:
    """Start a host."""
    return _power(request, host_name, 'startup')


@operation('GET', '/os-hosts/{host_name}/shutdown', until=LAST, check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-hosts:shutdown')  # fmt: skip
def shutdown(request: Request, host_name: str) -> dict[str, Any]:
    """Shut a host down."""
    return _power(request, host_name, 'shutdown')


@operation('GET', '/os-hosts/{host_name}/reboot', until=LAST, check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-hosts:reboot')  # fmt: skip
def reboot(request: Request, host_name: str) -> dict[str, Any]:
    """Reboot a host."""
    return _power(request, host_name, 'reboot')
