"""Snapshots of volumes that Cinder cannot take without the guest's hypervisor."""

import json
from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import SERVICE_OR_ADMIN
from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.objects.work import SnapshotVolume

Json = dict[str, Any]

RULE = 'os_compute_api:os-assisted-volume-snapshots'
_TEXT = {'type': 'string', 'minLength': 1}
CREATE = params.wrapped(
    'snapshot',
    params.obj(
        {
            'volume_id': _TEXT,
            'create_info': params.obj(
                {
                    'snapshot_id': _TEXT,
                    'type': {'type': 'string', 'enum': ['qcow2']},
                    'new_file': _TEXT,
                    'id': _TEXT,
                },
                ['snapshot_id', 'type', 'new_file'],
            ),
        },
        ['volume_id', 'create_info'],
    ),
)
DELETE = params.query_since_275({'delete_info': params.values(params.STRING)})
# A volume that no server has, or a server in the wrong state, is a mistake of the caller's.
_MISTAKES: dict[type[Exception], int] = {
    exception.VolumeBDMNotFound: 400,
    exception.InstanceInvalidState: 400,
    exception.InstanceNotReady: 400,
    exception.Conflict: 400,
}


@operation('POST', '/os-assisted-volume-snapshots', body=CREATE, errors=_MISTAKES,
           rule=f'{RULE}:create', check=SERVICE_OR_ADMIN)  # fmt: skip
def create(request: Request, body: Json) -> Json:
    """Take a snapshot of a volume that a server has."""
    asked = body['snapshot']
    info = asked['create_info']
    work = SnapshotVolume(asked['volume_id'], info['snapshot_id'], info)
    request.conductor.assist_volume_snapshot(request.context, work)
    return {'snapshot': {'id': info.get('id'), 'volumeId': asked['volume_id']}}


@operation('DELETE', '/os-assisted-volume-snapshots/{snapshot_id}', query=DELETE, success=204,
           errors=_MISTAKES, rule=f'{RULE}:delete', check=SERVICE_OR_ADMIN)  # fmt: skip
def delete(request: Request, snapshot_id: str) -> None:
    """Remove a snapshot that was taken so."""
    info = _info(request)
    work = SnapshotVolume(info['volume_id'], snapshot_id, info, delete=True)
    request.conductor.assist_volume_snapshot(request.context, work)


def _info(request: Request) -> Json:
    try:
        info = json.loads(request.query.one('delete_info') or '')
    except (ValueError, RecursionError) as error:
        raise exception.Invalid(f'delete_info: {error}') from error
    if not isinstance(info, dict) or not isinstance(info.get('volume_id'), str):
        raise exception.Invalid("'volume_id'")
    return info
