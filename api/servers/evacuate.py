"""Make servers of a host that is down anew on other hosts."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion
from kilonova.api.servers import lookup, password
from kilonova.api.servers.resize import ACTION
from kilonova.common import exception

NAMED = {'host': params.HOST, 'adminPass': params.STRING}


def _body(properties: params.Schema, required: list[str] | None = None) -> params.Schema:
    return params.wrapped('evacuate', params.obj(properties, required))


BODY = ByVersion(
    {
        '2.0': _body({**NAMED, 'onSharedStorage': params.BOOLEAN}, ['onSharedStorage']),
        '2.14': _body(NAMED),
        '2.29': _body({**NAMED, 'force': params.BOOLEAN}),
        '2.68': _body(NAMED),
    }
)


@operation(
    'POST',
    ACTION,
    action='evacuate',
    rule='os_compute_api:os-evacuate',
    check=policies.ADMIN,
    target='resource',
    body=BODY,
    success=200,
)
def evacuate(request: Request, server_id: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Make a server of a host that is down anew on another host."""
    server, minor = lookup.get(request, server_id), request.version.minor
    wanted = body['evacuate']
    shared = minor < 14 and strutils.bool_from_string(wanted['onSharedStorage'])
    if shared and wanted.get('adminPass'):
        raise exception.Invalid("admin password can't be changed on existing disk")
    host = wanted.get('host')
    # Before there was a choice, a named host was taken as it was.
    force = strutils.bool_from_string(wanted.get('force', minor < 29))
    if force and host is None and minor >= 29:
        raise exception.Invalid("Can't force to a non-provided destination")
    chosen = wanted.get('adminPass') or password.generate(request.conf.password_length)
    request.conductor.evacuate_server(
        request.context, server.uuid, chosen, host, force, stopped=minor >= 95
    )
    if minor >= 14:
        return None
    return {'adminPass': chosen} if request.conf.api.enable_instance_password else {}
