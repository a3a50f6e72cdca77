"""The daemons of the cloud: list, enable and disable, force down, delete."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params
from kilonova.api.operation import not_found, operation
from kilonova.api.params import obj, values
from kilonova.api.policies import ADMIN, OLD_ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema, is_uuid
from kilonova.common import exception
from kilonova.common.objects.host import Service

REPLACES = ('os_compute_api:os-services', OLD_ADMIN)
LIST = ByVersion(
    {
        '2.0': params.query({'host': values(params.STRING), 'binary': values(params.STRING)}),
        '2.75': params.query(
            {'host': values(params.STRING), 'binary': values(params.STRING)}, more=False
        ),
    }
)
_TEXT: Schema = {'type': 'string', 'minLength': 1, 'maxLength': 255}
_BY_HOST: Schema = {'host': params.HOST, 'binary': _TEXT, 'disabled_reason': _TEXT}
_FORCED_DOWN: Schema = {'forced_down': params.BOOLEAN}
UPDATE = ByVersion(
    {
        '2.0': obj(_BY_HOST, ['host', 'binary']),
        '2.11': obj({**_BY_HOST, **_FORCED_DOWN}, ['host', 'binary']),
        '2.53': obj(
            {
                'status': {'type': 'string', 'enum': ['enabled', 'disabled']},
                'disabled_reason': _TEXT,
                **_FORCED_DOWN,
            }
        ),
    }
)
# The APIs keep a record of themselves, which is no service that could be disabled.
HIDDEN = ('nova-osapi_compute', 'nova-metadata')


def _view(request: Request, service: Service) -> dict[str, Any]:
    if service.unreachable:
        return {'binary': service.binary, 'host': service.host, 'status': 'UNKNOWN'}
    body: dict[str, Any] = {
        'id': service.uuid if request.version >= (2, 53) else service.id,
        'binary': service.binary,
        'host': service.host,
        'zone': service.availability_zone or 'internal',
        'status': 'disabled' if service.disabled else 'enabled',
        'state': 'up' if service.up else 'down',
        'updated_at': service.last_seen_up or service.updated_at,
        'disabled_reason': service.disabled_reason,
    }
    if request.version >= (2, 11):
        body['forced_down'] = service.forced_down
    return body


@operation('GET', '/os-services', query=LIST, rule='os_compute_api:os-services:list',
           check=ADMIN, replaces=REPLACES)  # fmt: skip
def index(request: Request) -> dict[str, Any]:
    """List services."""
    found = request.conductor.list_services(
        request.context,
        host=request.query.one('host'),
        binary=request.query.one('binary'),
        unreachable=request.version >= (2, 69),
    )
    return {'services': [_view(request, one) for one in found if one.binary not in HIDDEN]}


@operation('PUT', '/os-services/{what}', until='2.52', body=UPDATE,
           rule='os_compute_api:os-services:update', check=ADMIN, replaces=REPLACES)  # fmt: skip
def update_by_host(request: Request, what: str, body: dict[str, Any]) -> dict[str, Any]:
    """Enable, disable or force down a service, named by host and binary."""
    changes = _changes_by_host(request, what, body)
    host, binary = body['host'], body['binary']
    _require_compute(binary)
    found = request.conductor.list_services(request.context, host=host, binary=binary)
    if not found:
        raise exception.NotFound(f'Could not find binary {binary} on host {host}.')
    changed = request.conductor.update_service(request.context, found[0].uuid, **changes)
    answer: dict[str, Any] = {'host': host, 'binary': binary}
    if what == 'force-down':
        answer['forced_down'] = changed.forced_down
    else:
        answer['status'] = 'disabled' if changed.disabled else 'enabled'
    if what == 'disable-log-reason':
        answer['disabled_reason'] = changed.disabled_reason
    return {'service': answer}


def _changes_by_host(request: Request, what: str, body: dict[str, Any]) -> dict[str, Any]:
    if what == 'enable':
        return {'disabled': False}
    if what == 'disable':
        return {'disabled': True}
    if what == 'disable-log-reason':
        if 'disabled_reason' not in body:
            raise exception.Invalid('Missing disabled reason field')
        return {'disabled': True, 'disabled_reason': body['disabled_reason']}
    if what == 'force-down' and request.version >= (2, 11):
        if 'forced_down' not in body:
            raise exception.Invalid('Missing forced_down field')
        return {'forced_down': strutils.bool_from_string(body['forced_down'])}
    raise not_found()


@operation('PUT', '/os-services/{service_id}', since='2.53', body=UPDATE,
           rule='os_compute_api:os-services:update', check=ADMIN, replaces=REPLACES)  # fmt: skip
def update(request: Request, service_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Enable, disable or force down a compute service."""
    _require_uuid(service_id)
    changes = _changes(body)
    service = request.conductor.get_service(request.context, service_id)
    _require_compute(service.binary)
    changed = request.conductor.update_service(request.context, service_id, **changes)
    return {'service': _view(request, changed)}


def _require_compute(binary: str) -> None:
    if binary != 'nova-compute':
        raise exception.Invalid(
            f'Updating a {binary} service is not supported. '
            'Only nova-compute services can be updated.'
        )


def _changes(body: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if 'disabled_reason' in body and body.get('status') != 'disabled':
        raise exception.Invalid("Specifying 'disabled_reason' when status is 'enabled' is invalid.")
    if 'status' in body:
        changes['disabled'] = body['status'] == 'disabled'
        if 'disabled_reason' in body:
            changes['disabled_reason'] = body['disabled_reason']
    if 'forced_down' in body:
        changes['forced_down'] = strutils.bool_from_string(body['forced_down'])
    if not changes:
        raise exception.Invalid(
            "No updates were requested. Fields 'status' or 'forced_down' should be specified."
        )
    return changes


@operation('DELETE', '/os-services/{service_id}', success=204,
           rule='os_compute_api:os-services:delete', check=ADMIN, replaces=REPLACES)  # fmt: skip
def delete(request: Request, service_id: str) -> None:
    """Delete a service."""
    if request.version >= (2, 53):
        _require_uuid(service_id)
    elif not (service_id.isascii() and service_id.isdecimal() and len(service_id) < 10):
        raise exception.Invalid(f'Service id must be an integer, not {service_id}')
    request.conductor.delete_service(request.context, service_id)


def _require_uuid(service_id: str) -> None:
    if not is_uuid(service_id):
        raise exception.Invalid(f'Invalid uuid {service_id}')
