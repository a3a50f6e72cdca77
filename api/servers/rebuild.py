"""Make a server anew, of the same or another image."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params, policies
from kilonova.api.faults import Fault
from kilonova.api.operation import Answer, operation
from kilonova.api.policies import SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import create_schema, fields, lookup, password, update, view
from kilonova.api.servers.create import ZERO_DISK
from kilonova.api.servers.view import NEWEST
from kilonova.common import exception
from kilonova.common.clients import cinder, glance
from kilonova.common.objects.block_device import root
from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Rebuild, Server

Json = dict[str, Any]
RULE = 'os_compute_api:servers:rebuild'
CERTIFICATES = SoftRule(
    f'{RULE}:trusted_certs',
    policies.PROJECT_MEMBER_OR_ADMIN,
    'Rebuild a server with trusted certificates.',
)
_KEY_NAME = {'oneOf': [{'type': 'string', 'minLength': 1, 'maxLength': 255}, {'type': 'null'}]}
_USER_DATA = {'type': ['string', 'null'], 'format': 'base64', 'maxLength': 65535}

# name in the body, schema, first minor version, last
REIMAGE_SINCE = 93
_FIELDS: list[tuple[str, params.Schema, int, int]] = [
    ('name', params.PADDED_NAME, 0, 0),
    ('name', params.NAME, 1, NEWEST),
    ('imageRef', params.UUID, 0, NEWEST),
    ('adminPass', params.STRING, 0, NEWEST),
    ('metadata', params.METADATA, 0, NEWEST),
    ('preserve_ephemeral', params.BOOLEAN, 0, NEWEST),
    ('OS-DCF:diskConfig', fields.DISK_CONFIG, 0, NEWEST),
    ('accessIPv4', fields.IPV4, 0, NEWEST),
    ('accessIPv6', fields.IPV6, 0, NEWEST),
    ('personality', create_schema.PERSONALITY, 0, 56),
    ('description', fields.DESCRIPTION, 19, NEWEST),
    ('key_name', _KEY_NAME, 54, NEWEST),
    ('user_data', _USER_DATA, 57, NEWEST),
    ('trusted_image_certificates', create_schema.CERTIFICATES, 63, NEWEST),
    ('hostname', fields.HOSTNAME_290, 90, 93),
    ('hostname', fields.HOSTNAME_294, 94, NEWEST),
]
_RANGES = (
    ('2.0', '2.0'),
    ('2.1', '2.18'),
    ('2.19', '2.53'),
    ('2.54', '2.56'),
    ('2.57', '2.62'),
    ('2.63', '2.89'),
    ('2.90', '2.93'),
    ('2.94', None),
)


def body_schema(minor: int) -> params.Schema:
    """Return the body's schema of one version."""
    known = {name: one for name, one, since, until in _FIELDS if since <= minor <= until}
    return params.wrapped('rebuild', params.obj(known, ['imageRef']))


def rebuild(request: Request, server_id: str, body: Json) -> Answer:
    """Rebuild a server."""
    asked = body['rebuild']
    server = lookup.get(request, server_id, 'block_devices')
    if asked.get('trusted_image_certificates'):
        request.can(CERTIFICATES.name)
    image = _image(request, asked['imageRef'])
    reimage = _reimages(request, server, image)
    chosen = asked.get('adminPass') or password.generate(request.conf.password_length)
    wanted = Rebuild(
        image=image,
        admin_password=chosen,
        personality=create_schema.personality(asked),
        preserve_ephemeral=strutils.bool_from_string(asked.get('preserve_ephemeral')),
        changes=_changes(asked, image),
        zero_disk_allowed=request.allows(ZERO_DISK.name),
        reimage=reimage,
    )
    try:
        rebuilt = request.conductor.rebuild_server(request.context, server.uuid, wanted)
    except exception.KeypairNotFound as error:
        raise Fault(400, 'Invalid key_name provided.') from error
    shown = _view(request, rebuilt)
    if request.conf.api.enable_instance_password:
        shown['adminPass'] = chosen
    location = params.links(request, 'servers', server.uuid)[0]['href']
    return Answer({'server': shown}, headers=[('Location', location)])


def _image(request: Request, image_id: str) -> Image:
    try:
        return glance.get_bootable_image(request.conf, request.context, image_id)
    except exception.ImageNotFound as error:
        raise Fault(400, 'Cannot find image for rebuild') from error


def _reimages(request: Request, server: Server, image: Image) -> bool:
    """Tell whether a volume gets the image's content; an older client may only keep it."""
    disk = root(server.block_devices)
    if disk is None or not disk.is_volume:
        return False
    if request.version.minor >= REIMAGE_SINCE:
        return True
    volume = cinder.client(request.conf, request.context).show_volume(disk.volume_id or '')
    present = (volume.get('volume_image_metadata') or {}).get('image_id')
    if present != image.id:
        raise Fault(400, 'Unable to rebuild with a different image for a volume-backed server.')
    return False


def _changes(asked: Json, image: Image) -> Json:
    """Return what changes in the server's record, by the record's names."""
    changes = update.changes_of(asked, image)
    for name in ('metadata', 'key_name', 'user_data', 'trusted_image_certificates'):
        if name in asked:
            changes[name] = asked[name]
    return changes


def _view(request: Request, server: Server) -> Json:
    shown = view.renderer(request, 'update')(server)
    minor = request.version.minor
    shown.pop('OS-EXT-SRV-ATTR:user_data', None)
    if minor >= 54:
        shown['key_name'] = server.key_name
    if minor >= 57:
        shown['user_data'] = server.user_data
    return shown


for _since, _until in _RANGES:
    operation(
        'POST',
        '/servers/{server_id}/action',
        action='rebuild',
        since=_since,
        until=_until,
        rule=RULE,
        check=policies.PROJECT_MEMBER_OR_ADMIN,
        target='resource',
        soft_rules=(CERTIFICATES, ZERO_DISK, *view.RULES),
        body=body_schema(int(_since.split('.')[1])),
        success=202,
    )(rebuild)
