"""Shares of the file system service that servers use."""

import uuid
from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup
from kilonova.common import exception
from kilonova.common.clients import manila
from kilonova.common.objects.share import Share

PATH = '/servers/{server_id}/shares'
SINCE = '2.97'
RULE = 'os_compute_api:os-server-shares:'
PROTOCOLS = ('NFS', 'CEPHFS')
CREATE = params.wrapped(
    'share',
    params.obj(
        {
            'share_id': params.UUID,
            'tag': {
                'type': 'string',
                'minLength': 1,
                'maxLength': 255,
                'pattern': '^[a-zA-Z0-9-]*$',
            },
        },
        ['share_id'],
    ),
)


def _brief(share: Share) -> dict[str, Any]:
    return {'share_id': share.share_id, 'status': share.status, 'tag': share.tag}


def _full(request: Request, share: Share) -> dict[str, Any]:
    """Administrators see where a share is."""
    if not request.context.is_admin:
        return _brief(share)
    return {'uuid': share.uuid, 'export_location': share.export_location, **_brief(share)}


@operation('GET', PATH, since=SINCE, query=params.NO_QUERY, target='resource',
           rule=RULE + 'index', check=policies.PROJECT_READER_OR_ADMIN)  # fmt: skip
def index(request: Request, server_id: str) -> dict[str, Any]:
    """List the shares of a server."""
    server = lookup.get(request, server_id)
    return {'shares': [_brief(share) for share in server.shares]}


@operation('GET', PATH + '/{share_id}', since=SINCE, query=params.NO_QUERY, target='resource',
           rule=RULE + 'show', check=policies.PROJECT_READER_OR_ADMIN)  # fmt: skip
def show(request: Request, server_id: str, share_id: str) -> dict[str, Any]:
    """Show a share of a server."""
    server = lookup.get(request, server_id)
    for share in server.shares:
        if share.share_id == share_id:
            return {'share': _full(request, share)}
    raise exception.ShareNotFound(share_id=share_id)


@operation('POST', PATH, since=SINCE, body=CREATE, success=201, target='resource',
           rule=RULE + 'create', check=policies.PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def create(request: Request, server_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Attach a share to a server that is stopped."""
    server = lookup.get(request, server_id)
    asked = body['share']
    share = _usable(request, asked['share_id'])
    share.tag = asked.get('tag') or share.share_id
    return {'share': _full(request, request.conductor.attach_share(
        request.context, server.uuid, share))}  # fmt: skip


def _usable(request: Request, share_id: str) -> Share:
    """Ask Manila for a share as the user sees it, and see whether a server can use it."""
    client = manila.client(request.conf, request.context)
    found = client.show_share(share_id)
    if found.get('status') != 'available':
        raise exception.ShareStatusIncorrect(share_id=share_id, status=found.get('status'))
    protocol = str(found.get('share_proto', '')).upper()
    if protocol not in PROTOCOLS:
        raise exception.ShareProtocolNotSupported(share_proto=protocol)
    return Share(
        uuid=str(uuid.uuid4()),
        share_id=share_id,
        tag='',
        export_location=client.export_location(share_id),
        protocol=protocol,
    )


@operation('DELETE', PATH + '/{share_id}', since=SINCE, success=200, target='resource',
           rule=RULE + 'delete', check=policies.PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def delete(request: Request, server_id: str, share_id: str) -> None:
    """Detach a share from a server that is stopped."""
    server = lookup.get(request, server_id)
    request.conductor.detach_share(request.context, server.uuid, share_id)
