"""Volumes, passed on from Cinder with the user's token (up to 2.35)."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import OLD_OWNER, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.common.clients import cinder

LAST = '2.35'
Json = dict[str, Any]

LIST = params.query({name: params.values(params.NON_NEGATIVE) for name in ('limit', 'offset')})
REPLACES = ('os_compute_api:os-volumes', OLD_OWNER)
CREATE = params.wrapped(
    'volume',
    params.obj(
        {
            'volume_type': params.STRING,
            'metadata': {'type': 'object'},
            'snapshot_id': params.STRING,
            'size': {'type': ['integer', 'string'], 'pattern': '^[0-9]+$', 'minimum': 1},
            'availability_zone': params.STRING,
            'display_name': params.STRING,
            'display_description': params.STRING,
        },
        ['size'],
    ),
)


@operation('GET', '/os-volumes', until=LAST, query=LIST, replaces=REPLACES,
           rule='os_compute_api:os-volumes:list', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def index(request: Request) -> Json:
    """List volumes."""
    return _list(request)


@operation('GET', '/os-volumes/detail', until=LAST, query=LIST, replaces=REPLACES,
           rule='os_compute_api:os-volumes:detail', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def detail(request: Request) -> Json:
    """List volumes with details."""
    return _list(request)


@operation('GET', '/os-volumes/{volume_id}', until=LAST, query=params.ANY_QUERY, replaces=REPLACES,
           rule='os_compute_api:os-volumes:show', check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def show(request: Request, volume_id: str) -> Json:
    """Show a volume."""
    return {'volume': view(_client(request).show_volume(volume_id))}


@operation('POST', '/os-volumes', until=LAST, body=CREATE, replaces=REPLACES,
           rule='os_compute_api:os-volumes:create', check=PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def create(request: Request, body: Json) -> Json:
    """Create a volume."""
    asked, client = body['volume'], _client(request)
    snapshot_id = asked.get('snapshot_id')
    if snapshot_id is not None:
        snapshot_id = client.show_snapshot(snapshot_id)['id']
    created = client.create_volume(
        int(asked['size']),
        name=asked.get('display_name'),
        description=asked.get('display_description'),
        volume_type=asked.get('volume_type'),
        metadata=asked.get('metadata'),
        snapshot_id=snapshot_id,
        availability_zone=asked.get('availability_zone'),
    )
    return {'volume': view(created)}


@operation('DELETE', '/os-volumes/{volume_id}', until=LAST, success=202, replaces=REPLACES,
           rule='os_compute_api:os-volumes:delete', check=PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def delete(request: Request, volume_id: str) -> None:
    """Delete a volume."""
    _client(request).delete_volume(volume_id)


def _client(request: Request) -> cinder.Cinder:
    return cinder.client(request.conf, request.context)


def _list(request: Request) -> Json:
    found = _client(request).list_volumes()
    return {'volumes': [view(volume) for volume in params.window(request, found)]}


def view(volume: Json) -> Json:
    """Return a volume with the names that Nova gave it."""
    attachments = [_attachment(one) for one in volume.get('attachments') or ()]
    return {
        'id': volume['id'],
        'status': volume['status'],
        'size': volume['size'],
        'availabilityZone': volume.get('availability_zone'),
        'createdAt': volume['created_at'],
        # Of a volume that several servers have the first one alone is shown.
        'attachments': attachments[:1] or [{}],
        'displayName': volume.get('name'),
        'displayDescription': volume.get('description'),
        'volumeType': volume.get('volume_type'),
        'snapshotId': volume.get('snapshot_id'),
        'metadata': volume.get('metadata') or {},
    }


def _attachment(attachment: Json) -> Json:
    shown = {
        'id': attachment['volume_id'],
        'volumeId': attachment['volume_id'],
        'serverId': attachment['server_id'],
    }
    if attachment.get('device'):
        shown['device'] = attachment['device']
    return shown
