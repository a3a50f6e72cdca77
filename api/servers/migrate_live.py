"""Move running servers to other hosts."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, PROJECT_MANAGER_OR_ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion
from kilonova.api.servers import lookup
from kilonova.api.servers.resize import ACTION, HOST_OR_NONE
from kilonova.common import exception

RULE = 'os_compute_api:os-migrate-server:migrate_live'
HOST = f'{RULE}:host'
AUTO = {**params.BOOLEAN, 'enum': [*params.BOOLEAN['enum'], 'auto']}
NAMED = {'block_migration': AUTO, 'host': HOST_OR_NONE}
REQUIRED = ['block_migration', 'host']
OLD = {
    'block_migration': params.BOOLEAN,
    'disk_over_commit': params.BOOLEAN,
    'host': HOST_OR_NONE,
}


def _body(properties: params.Schema, required: list[str]) -> params.Schema:
    return params.wrapped('os-migrateLive', params.obj(properties, required))


BODY = ByVersion(
    {
        '2.0': _body(OLD, [*REQUIRED, 'disk_over_commit']),
        '2.25': _body(NAMED, REQUIRED),
        '2.30': _body({**NAMED, 'force': params.BOOLEAN}, REQUIRED),
        '2.68': _body(NAMED, REQUIRED),
    }
)


@operation(
    'POST',
    ACTION,
    action='os-migrateLive',
    rule=RULE,
    check=PROJECT_MANAGER_OR_ADMIN,
    target='resource',
    soft_rules=(SoftRule(HOST, ADMIN, 'Move a running server to a host by name.', (RULE, ADMIN)),),
    body=BODY,
    success=202,
    errors={exception.ComputeHostNotFound: 400},
)
def migrate_live(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Move a running server to another host."""
    server, minor = lookup.get(request, server_id), request.version.minor
    wanted = body['os-migrateLive']
    host, block = wanted['host'], wanted['block_migration']
    if host is not None:
        request.can(HOST, project_id=server.project_id, user_id=server.user_id)
    # Before there was a choice, a named host was taken as it was.
    force = strutils.bool_from_string(wanted.get('force', minor < 30))
    if force and host is None and minor >= 30:
        raise exception.Invalid("Can't force to a non-provided destination")
    request.conductor.live_migrate_server(
        request.context,
        server.uuid,
        host,
        None if block == 'auto' else strutils.bool_from_string(block, strict=True),
        strutils.bool_from_string(wanted.get('disk_over_commit', False)),
        force,
        wait=minor < 34,
    )
