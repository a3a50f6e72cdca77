"""Give servers another flavor or another host; confirm that, or go back."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import (
    ADMIN,
    NOBODY,
    PROJECT_MANAGER_OR_ADMIN,
    PROJECT_MEMBER_OR_ADMIN,
    SoftRule,
)
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion
from kilonova.api.servers import fields, lookup
from kilonova.api.servers.create import ZERO_DISK
from kilonova.common import exception

ACTION = '/servers/{server_id}/action'
CROSS_CELL = SoftRule(
    'compute:servers:resize:cross_cell',
    NOBODY,
    'Resize a server into another cell.  Allowing it changes nothing: a server stays in its cell.',
)
MIGRATE_HOST = 'os_compute_api:os-migrate-server:migrate:host'
RESIZE = params.wrapped(
    'resize',
    params.obj(
        {
            'flavorRef': {'type': ['string', 'integer'], 'minLength': 1},
            'OS-DCF:diskConfig': fields.DISK_CONFIG,
        },
        ['flavorRef'],
    ),
)
HOST_OR_NONE = {**params.HOST, 'type': ['string', 'null']}
_MIGRATE = {'type': ['object', 'null'], 'properties': {'host': HOST_OR_NONE}}
MIGRATE = ByVersion(
    {
        '2.0': params.wrapped('migrate', {}),
        '2.56': params.wrapped('migrate', {**_MIGRATE, 'additionalProperties': False}),
    }
)


@operation(
    'POST',
    ACTION,
    action='resize',
    rule='os_compute_api:servers:resize',
    check=PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    soft_rules=(CROSS_CELL, ZERO_DISK),
    body=RESIZE,
    success=202,
    errors={exception.FlavorNotFound: 400},
)
def resize(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Resize a server."""
    server = lookup.get(request, server_id)
    wanted = body['resize']
    request.conductor.resize_server(
        request.context,
        server.uuid,
        str(wanted['flavorRef']),
        fields.automatic_disk(wanted, server.image),
        request.allows(ZERO_DISK.name),
    )


@operation(
    'POST',
    ACTION,
    action='confirmResize',
    rule='os_compute_api:servers:confirm_resize',
    check=PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('confirmResize', {}),
    success=204,
)
def confirm_resize(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Confirm the resize of a server."""
    server = lookup.get(request, server_id)
    request.conductor.confirm_resize(request.context, server.uuid)


@operation(
    'POST',
    ACTION,
    action='revertResize',
    rule='os_compute_api:servers:revert_resize',
    check=PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('revertResize', {}),
    success=202,
)
def revert_resize(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Take the resize of a server back."""
    server = lookup.get(request, server_id)
    request.conductor.revert_resize(request.context, server.uuid)


@operation(
    'POST',
    ACTION,
    action='migrate',
    rule='os_compute_api:os-migrate-server:migrate',
    check=PROJECT_MANAGER_OR_ADMIN,
    target='resource',
    soft_rules=(
        SoftRule(MIGRATE_HOST, ADMIN, 'Migrate a server to a host by name.'),
        CROSS_CELL,
        ZERO_DISK,
    ),
    body=MIGRATE,
    success=202,
    errors={exception.ComputeHostNotFound: 400},
)
def migrate(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Migrate a server to another host."""
    server = lookup.get(request, server_id)
    wanted = body['migrate'] if request.version.minor >= 56 else None
    host = (wanted or {}).get('host')
    if host is not None:
        request.can(MIGRATE_HOST, project_id=server.project_id, user_id=server.user_id)
    request.conductor.migrate_server(request.context, server.uuid, host)
