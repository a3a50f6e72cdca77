"""Snapshots of volumes, passed on from Cinder with the user's token (up to 2.35)."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.volumes import LAST, LIST, REPLACES
from kilonova.common import exception
from kilonova.common.clients import cinder

Json = dict[str, Any]

RULE = 'os_compute_api:os-volumes:snapshots'
CREATE = params.wrapped(
    'snapshot',
    params.obj(
        {
            'volume_id': params.STRING,
            'force': params.BOOLEAN,
            'display_name': params.STRING,
            'display_description': params.STRING,
        },
        ['volume_id'],
    ),
)


@operation('GET', '/os-snapshots', until=LAST, query=LIST, replaces=REPLACES,
           rule=f'{RULE}:list', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def index(request: Request) -> Json:
    """List snapshots."""
    return _list(request)


@operation('GET', '/os-snapshots/detail', until=LAST, query=LIST, replaces=REPLACES,
           rule=f'{RULE}:detail', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def detail(request: Request) -> Json:
    """List snapshots with details."""
    return _list(request)


@operation('GET', '/os-snapshots/{snapshot_id}', until=LAST, query=params.ANY_QUERY,
           replaces=REPLACES, rule=f'{RULE}:show', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def show(request: Request, snapshot_id: str) -> Json:
    """Show a snapshot."""
    return {'snapshot': view(_client(request).show_snapshot(snapshot_id))}


@operation('POST', '/os-snapshots', until=LAST, body=CREATE, replaces=REPLACES,
           errors={exception.VolumeNotFound: 400},
           rule=f'{RULE}:create', check=PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def create(request: Request, body: Json) -> Json:
    """Create a snapshot."""
    asked = body['snapshot']
    created = _client(request).create_snapshot(
        asked['volume_id'],
        asked.get('display_name'),
        asked.get('display_description'),
        force=strutils.bool_from_string(asked.get('force', False)),
    )
    return {'snapshot': view(created)}


@operation('DELETE', '/os-snapshots/{snapshot_id}', until=LAST, success=202, replaces=REPLACES,
           rule=f'{RULE}:delete', check=PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def delete(request: Request, snapshot_id: str) -> None:
    """Delete a snapshot."""
    _client(request).delete_snapshot(snapshot_id)


def _client(request: Request) -> cinder.Cinder:
    return cinder.client(request.conf, request.context)


def _list(request: Request) -> Json:
    found = _client(request).list_snapshots()
    return {'snapshots': [view(snapshot) for snapshot in params.window(request, found)]}


def view(snapshot: Json) -> Json:
    """Return a snapshot with the names that Nova gave it."""
    return {
        'id': snapshot['id'],
        'volumeId': snapshot['volume_id'],
        'status': snapshot['status'],
        'size': snapshot['size'],
        'createdAt': snapshot['created_at'],
        'displayName': snapshot.get('name'),
        'displayDescription': snapshot.get('description'),
    }
