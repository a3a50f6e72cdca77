"""Images of servers: snapshots and backups."""

from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from kilonova.api import image_metadata, params, policies, schema
from kilonova.api.faults import Fault
from kilonova.api.operation import Answer, operation
from kilonova.api.policies import SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import lookup, volume_image
from kilonova.common import exception
from kilonova.common.clients import glance, glance_snapshots
from kilonova.common.objects.server import Server

LOG = logging.getLogger(__name__)

Json = dict[str, Any]
BODY_SINCE = 45
LIMITED_UNTIL = 38
VOLUME_BACKED = SoftRule(
    'os_compute_api:servers:create_image:allow_volume_backed',
    policies.PROJECT_MEMBER_OR_ADMIN,
    'Create an image of a server that boots from a volume.',
)
BACKUP = {
    'backup_type': {'type': 'string'},
    'rotation': params.NON_NEGATIVE,
    'metadata': params.METADATA,
}
REQUIRED = ['name', 'backup_type', 'rotation']


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='createImage',
    rule='os_compute_api:servers:create_image',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    soft_rules=(VOLUME_BACKED,),
    body=params.wrapped(
        'createImage', params.obj({'name': params.NAME, 'metadata': params.METADATA}, ['name'])
    ),
    success=202,
)
def create_image(request: Request, server_id: str, body: Json) -> Answer:
    """Create an image of a server."""
    asked = body['createImage']
    server = lookup.get(request, server_id, 'block_devices')
    if server.boots_from_volume:
        return _answer(request, _of_volumes(request, server, asked))

    def accept(image_id: str) -> None:
        request.conductor.snapshot_server(request.context, server.uuid, image_id)

    return _answer(request, _make(request, server, asked, 'snapshot', {}, accept))


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='createBackup',
    rule='os_compute_api:os-create-backup',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=schema.ByVersion(
        {
            '2.0': params.wrapped(
                'createBackup', params.obj({'name': params.PADDED_NAME, **BACKUP}, REQUIRED)
            ),
            '2.1': params.wrapped(
                'createBackup', params.obj({'name': params.NAME, **BACKUP}, REQUIRED)
            ),
        }
    ),
    success=202,
)
def create_backup(request: Request, server_id: str, body: Json) -> Answer:
    """Create an image of a server, and keep only the newest few of its kind."""
    asked = body['createBackup']
    kind, rotation = asked['backup_type'], int(asked['rotation'])
    server = lookup.get(request, server_id, 'block_devices')
    if server.boots_from_volume:
        raise Fault(400, 'Backup is not supported for volume-backed instances.')

    def accept(image_id: str) -> None:
        request.conductor.backup_server(request.context, server.uuid, image_id, kind, rotation)

    image_id = _make(request, server, asked, 'backup', {'backup_type': kind}, accept)
    return _answer(request, image_id if rotation else None)


def _metadata(request: Request, asked: Json) -> dict[str, str]:
    """Return the image's properties that are asked for; newer versions leave limits to Glance."""
    metadata: dict[str, str] = asked.get('metadata', {})
    if metadata and request.version.minor <= LIMITED_UNTIL:
        image_metadata.check_quota(request, len(metadata))
    return metadata


def _of_volumes(request: Request, server: Server, asked: Json) -> str:
    request.can(VOLUME_BACKED.name, project_id=server.project_id, user_id=server.user_id)
    metadata = _metadata(request, asked)
    stands_still = request.conductor.snapshot_volume_backed_server(request.context, server.uuid)
    try:
        return volume_image.create(request, server, asked['name'].strip(), metadata)
    finally:
        if stands_still:
            _go_on(request, server)


def _go_on(request: Request, server: Server) -> None:
    """Let the guest go on; if that fails its host does it after a while."""
    try:
        request.conductor.volumes_are_snapshot(request.context, server.uuid)
    except exception.KilonovaError as error:
        LOG.warning('Server %s stands still for a while: %s', server.uuid, error)


def _make(
    request: Request,
    server: Server,
    asked: Json,
    kind: str,
    properties: dict[str, str],
    accept: Callable[[str], None],
) -> str:
    """Make the image's record and have it filled; a refusal leaves nothing behind."""
    metadata = _metadata(request, asked)
    image_id = make_record(request, server, asked['name'].strip(), kind, metadata | properties)
    try:
        accept(image_id)
    except exception.KilonovaError:
        glance.delete_image(request.conf, request.context, image_id)
        raise
    return image_id


def make_record(
    request: Request, server: Server, name: str, kind: str, properties: dict[str, str]
) -> str:
    """Make an image without bytes, of the user; return its id."""
    record = glance_snapshots.record_of(
        name,
        server.image,
        {
            'instance_uuid': server.uuid,
            'user_id': str(request.context.user_id),
            'image_type': kind,
            'base_image_ref': server.image.id,
            **properties,
        },
        request.conf.non_inheritable_image_properties,
    )
    record['min_disk'] = max(record['min_disk'], server.flavor.root_gb)
    return glance_snapshots.create(request.conf, request.context, record).id


def _answer(request: Request, image_id: str | None) -> Answer:
    if request.version.minor >= BODY_SINCE:
        return Answer({'image_id': image_id} if image_id else {})
    if image_id is None:
        return Answer()
    base = glance.endpoint(request.conf, request.context)
    url = params.with_prefix(base, request.conf.api.glance_link_prefix)
    return Answer(headers=[('Location', f'{url}/images/{image_id}')])
