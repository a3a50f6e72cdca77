"""Help for servers in trouble: rescue mode, crash dumps."""

from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup, password
from kilonova.common import exception
from kilonova.common.clients import glance

RESCUE = params.obj({'adminPass': {'type': 'string'}, 'rescue_image_ref': params.UUID})
VOLUME_BACKED_SINCE = 87


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='rescue',
    rule='os_compute_api:os-rescue',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('rescue', {**RESCUE, 'type': ['object', 'null']}),
)
def rescue(request: Request, server_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Boot a server from a rescue image."""
    asked = body['rescue'] or {}
    server = lookup.get(request, server_id)
    image_id = asked.get('rescue_image_ref')
    if image_id is not None:
        _check_image(request, image_id)
    chosen = asked.get('adminPass') or password.generate(request.conf.password_length)
    request.conductor.rescue_server(
        request.context,
        server.uuid,
        chosen,
        image_id,
        request.version.minor >= VOLUME_BACKED_SINCE,
    )
    return {'adminPass': chosen} if request.conf.api.enable_instance_password else {}


def _check_image(request: Request, image_id: str) -> None:
    try:
        glance.get_bootable_image(request.conf, request.context, image_id)
    except (exception.ImageNotFound, exception.ImageNotActive) as error:
        raise exception.UnsupportedRescueImage(image=image_id) from error


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='unrescue',
    rule='os_compute_api:os-unrescue',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    replaces=('os_compute_api:os-rescue', policies.OLD_OWNER),
    target='resource',
    body=params.wrapped('unrescue', {}),
    success=202,
)
def unrescue(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Boot a rescued server from its own disk again."""
    server = lookup.get(request, server_id)
    request.conductor.unrescue_server(request.context, server.uuid)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='trigger_crash_dump',
    since='2.17',
    rule='os_compute_api:servers:trigger_crash_dump',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('trigger_crash_dump', {'type': 'null'}),
    success=202,
)
def trigger_crash_dump(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Let the kernel of a server write a crash dump."""
    server = lookup.get(request, server_id)
    request.conductor.trigger_crash_dump(request.context, server.uuid)
