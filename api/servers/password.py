"""Administrators' passwords: made for new guests, changed in running ones."""

import secrets
from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup

# Without characters that look alike.
KINDS = ('23456789', 'ABCDEFGHJKLMNPQRSTUVWXYZ', 'abcdefghijkmnopqrstuvwxyz')


def generate(length: int) -> str:
    """Return a password that has of every kind of character if it is long enough."""
    chosen = [secrets.choice(kind) for kind in KINDS][:length]
    chosen += [secrets.choice(''.join(KINDS)) for _ in range(length - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return ''.join(chosen)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='changePassword',
    rule='os_compute_api:os-admin-password',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped(
        'changePassword', params.obj({'adminPass': {'type': 'string'}}, ['adminPass'])
    ),
    success=202,
)
def change(request: Request, server_id: str, body: dict[str, Any]) -> None:
    """Change the password of the administrator in a server."""
    server = lookup.get(request, server_id)
    password = body['changePassword']['adminPass']
    request.conductor.set_admin_password(request.context, server.uuid, password)
