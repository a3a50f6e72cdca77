"""Change a server's name and other plain attributes."""

from typing import Any

from kilonova.api import params, policies
from kilonova.api.faults import Fault
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import fields, lookup, view
from kilonova.common.objects.image import Image

Json = dict[str, Any]

# name in the body, schema, first minor version, last
_FIELDS: list[tuple[str, params.Schema, int, int]] = [
    ('name', params.PADDED_NAME, 0, 0),
    ('name', params.NAME, 1, view.NEWEST),
    ('OS-DCF:diskConfig', fields.DISK_CONFIG, 0, view.NEWEST),
    ('accessIPv4', fields.IPV4, 0, view.NEWEST),
    ('accessIPv6', fields.IPV6, 0, view.NEWEST),
    ('description', fields.DESCRIPTION, 19, view.NEWEST),
    ('hostname', fields.HOSTNAME_290, 90, 93),
    ('hostname', fields.HOSTNAME_294, 94, view.NEWEST),
    (
        'pinned_availability_zone',
        {'oneOf': [{'type': 'string', 'minLength': 1, 'maxLength': 255}, {'type': 'null'}]},
        104,
        view.NEWEST,
    ),
]
_RANGES = (
    ('2.0', '2.0'),
    ('2.1', '2.18'),
    ('2.19', '2.89'),
    ('2.90', '2.93'),
    ('2.94', '2.103'),
    ('2.104', None),
)


def body_schema(minor: int) -> params.Schema:
    """Return the body's schema of one version."""
    known = {name: one for name, one, since, until in _FIELDS if since <= minor <= until}
    return params.wrapped('server', params.obj(known))


def update(request: Request, server_id: str, body: Json) -> Json:
    """Update a server."""
    server = lookup.get(request, server_id)
    changes = changes_of(body['server'], server.image)
    if 'pinned_availability_zone' in body['server']:
        changes['requested_zone'] = _pin(body['server'], server.availability_zone)
    expand = lookup.shown(request)
    if request.version.minor >= 75 and view.wants_host_status(request):
        expand.append('host_status')
    updated = request.conductor.update_server(request.context, server.uuid, changes, expand)
    return {'server': view.renderer(request, 'update')(updated)}


def changes_of(asked: Json, image: Image) -> Json:
    """Return what changes in the server's record, by the record's names."""
    changes: Json = {}
    if 'name' in asked:
        changes['name'] = asked['name'].strip()
    if 'description' in asked:
        changes['description'] = (asked['description'] or '').strip() or None
    if 'hostname' in asked:
        changes['hostname'] = asked['hostname']
    automatic = fields.automatic_disk(asked, image)
    if automatic is not None:
        changes['auto_disk_config'] = automatic
    if 'accessIPv4' in asked:
        changes['access_ip_v4'] = asked['accessIPv4']
    if 'accessIPv6' in asked:
        changes['access_ip_v6'] = fields.short_ipv6(asked['accessIPv6'])
    return changes


def _pin(asked: Json, zone: str | None) -> str | None:
    """Only unpinning, or pinning to the zone where the server is, needs no move."""
    pinned: str | None = asked['pinned_availability_zone']
    if pinned is not None and pinned != zone:
        raise Fault(
            409,
            f"Server can only be pinned to its current availability zone '{zone}', but "
            f"'{pinned}' was requested.",
        )
    return pinned


for _since, _until in _RANGES:
    operation(
        'PUT',
        '/servers/{server_id}',
        since=_since,
        until=_until,
        rule='os_compute_api:servers:update',
        check=policies.PROJECT_MEMBER_OR_ADMIN,
        target='resource',
        soft_rules=view.RULES,
        body=body_schema(int(_since.split('.')[1])),
    )(update)
