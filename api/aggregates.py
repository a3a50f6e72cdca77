"""Host aggregates."""

import math
import re
from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.params import obj, wrapped
from kilonova.api.policies import ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.common import exception
from kilonova.common.objects.host import Aggregate


def _zone(form: str) -> Schema:
    zone = {'type': 'string', 'format': form, 'minLength': 1, 'maxLength': 255}
    return {'availability_zone': {'oneOf': [zone, {'type': 'null'}]}}


_ZONE, _PADDED_ZONE = _zone('az_name'), _zone('az_name_with_leading_trailing_spaces')
CREATE = ByVersion(
    {
        '2.0': wrapped('aggregate', obj({'name': params.PADDED_NAME, **_PADDED_ZONE}, ['name'])),
        '2.1': wrapped('aggregate', obj({'name': params.NAME, **_ZONE}, ['name'])),
    }
)


def _update(zone: Schema) -> Schema:
    either = [{'required': ['name']}, {'required': ['availability_zone']}]
    return wrapped('aggregate', obj({'name': params.PADDED_NAME, **zone}, anyOf=either))


UPDATE = ByVersion({'2.0': _update(_PADDED_ZONE), '2.1': _update(_ZONE)})
HOST = obj({'host': params.HOST}, ['host'])
METADATA = obj(
    {
        'metadata': {
            'type': 'object',
            'patternProperties': {
                '^[a-zA-Z0-9-_:. ]{1,255}$': {'type': ['string', 'null'], 'maxLength': 255}
            },
            'additionalProperties': False,
        }
    },
    ['metadata'],
)
# Metadata that schedulers take for a number.
NUMBER = re.compile(r'\w+_weight_multiplier|max_(io_ops|instances)_per_host')
# What cannot be done to an aggregate as it is: a conflict for hosts, a bad request for the rest.
REFUSED: dict[type[Exception], int] = {exception.InvalidAggregateAction: 400}


def _brief(request: Request, aggregate: Aggregate) -> dict[str, Any]:
    body: dict[str, Any] = {
        'id': aggregate.id,
        'name': aggregate.name,
        'availability_zone': aggregate.availability_zone,
        'created_at': aggregate.created_at,
        'updated_at': aggregate.updated_at,
        'deleted': False,
        'deleted_at': None,
    }
    if request.version >= (2, 41):
        body['uuid'] = aggregate.uuid
    return body


def _full(request: Request, aggregate: Aggregate) -> dict[str, Any]:
    body = _brief(request, aggregate)
    body['hosts'] = aggregate.hosts
    body['metadata'] = aggregate.metadata
    return body


def to_number(aggregate_id: str) -> int:
    """Read an aggregate's id; a negative one is a number that no aggregate has.  Raises Invalid, AggregateNotFound."""
    if not re.fullmatch('-?[0-9]+', aggregate_id):
        raise exception.Invalid('Invalid input received: id must be an integer')
    if len(aggregate_id) > 9:  # more than the database can look for
        raise exception.AggregateNotFound(aggregate_id=aggregate_id)
    return int(aggregate_id)


@operation('GET', '/os-aggregates', query=params.QUERY_LESS,
           rule='os_compute_api:os-aggregates:index', check=ADMIN)  # fmt: skip
def index(request: Request) -> dict[str, Any]:
    """List aggregates."""
    found = request.conductor.list_aggregates(request.context)
    return {'aggregates': [_full(request, one) for one in found]}


@operation('POST', '/os-aggregates', body=CREATE, errors=REFUSED,
           rule='os_compute_api:os-aggregates:create', check=ADMIN)  # fmt: skip
def create(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """Create an aggregate."""
    asked = body['aggregate']
    zone = asked.get('availability_zone')
    aggregate = request.conductor.create_aggregate(
        request.context, asked['name'].strip(), zone.strip() if zone else None
    )
    return {'aggregate': _brief(request, aggregate)}


@operation('GET', '/os-aggregates/{aggregate_id}', query=params.QUERY_LESS,
           rule='os_compute_api:os-aggregates:show', check=ADMIN)  # fmt: skip
def show(request: Request, aggregate_id: str) -> dict[str, Any]:
    """Show an aggregate."""
    found = request.conductor.get_aggregate(request.context, to_number(aggregate_id))
    return {'aggregate': _full(request, found)}


@operation('PUT', '/os-aggregates/{aggregate_id}', body=UPDATE, errors=REFUSED,
           rule='os_compute_api:os-aggregates:update', check=ADMIN)  # fmt: skip
def update(request: Request, aggregate_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change an aggregate's name or availability zone."""
    changes = {name: value.strip() if value else value for name, value in body['aggregate'].items()}
    changed = request.conductor.update_aggregate(request.context, to_number(aggregate_id), changes)
    return {'aggregate': _full(request, changed)}


@operation('DELETE', '/os-aggregates/{aggregate_id}', errors=REFUSED,
           rule='os_compute_api:os-aggregates:delete', check=ADMIN)  # fmt: skip
def delete(request: Request, aggregate_id: str) -> None:
    """Delete an aggregate."""
    request.conductor.delete_aggregate(request.context, to_number(aggregate_id))


@operation('POST', '/os-aggregates/{aggregate_id}/action', action='add_host',
           body=wrapped('add_host', HOST),
           rule='os_compute_api:os-aggregates:add_host', check=ADMIN)  # fmt: skip
def add_host(request: Request, aggregate_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Add a host to an aggregate."""
    changed = request.conductor.add_aggregate_host(
        request.context, to_number(aggregate_id), body['add_host']['host']
    )
    return {'aggregate': _full(request, changed)}


@operation('POST', '/os-aggregates/{aggregate_id}/action', action='remove_host',
           body=wrapped('remove_host', HOST),
           rule='os_compute_api:os-aggregates:remove_host', check=ADMIN)  # fmt: skip
def remove_host(request: Request, aggregate_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Remove a host from an aggregate."""
    changed = request.conductor.remove_aggregate_host(
        request.context, to_number(aggregate_id), body['remove_host']['host']
    )
    return {'aggregate': _full(request, changed)}


@operation('POST', '/os-aggregates/{aggregate_id}/action', action='set_metadata',
           body=wrapped('set_metadata', METADATA), errors=REFUSED,
           rule='os_compute_api:os-aggregates:set_metadata', check=ADMIN)  # fmt: skip
def set_metadata(request: Request, aggregate_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Set, change or (with null) remove metadata of an aggregate."""
    number, metadata = to_number(aggregate_id), body['set_metadata']['metadata']
    _check_numbers(metadata)
    changed = request.conductor.set_aggregate_metadata(request.context, number, metadata)
    return {'aggregate': _full(request, changed)}


def _check_numbers(metadata: dict[str, str | None]) -> None:
    """Refuse what a scheduler would only warn of each time, and go without."""
    for key, value in metadata.items():
        if value is None or not NUMBER.fullmatch(key):
            continue
        try:
            fine = math.isfinite(float(value))
        except ValueError:
            fine = False
        if not fine:
            raise exception.Invalid(f"Aggregate metadata {key}: '{value}' is not a number.")
