"""Volumes of servers: list, show, attach, update or swap, detach."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.params import obj
from kilonova.api.policies import (
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
    SERVICE_OR_ADMIN,
    SoftRule,
)
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.api.servers import boot_source, lookup, tags
from kilonova.common import exception
from kilonova.common.clients import cinder
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server

Json = dict[str, Any]

PATH = '/servers/{server_id}/os-volume_attachments'
ONE = PATH + '/{volume_id}'
RULE = 'os_compute_api:os-volumes-attachments'
SWAP = SoftRule(f'{RULE}:swap', SERVICE_OR_ADMIN, 'Let a server go on with another volume.')
UPDATE = SoftRule(f'{RULE}:update', PROJECT_MEMBER_OR_ADMIN, 'Change a volume attachment.')

LIST = params.query_since_275(
    {name: params.values(params.NON_NEGATIVE) for name in ('limit', 'offset')}
)
_DEVICE: Schema = {
    'type': ['string', 'null'],
    'pattern': '(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$',
}
_VOLUME: Schema = {'volumeId': params.UUID}
_ATTACH: Schema = {**_VOLUME, 'device': _DEVICE}
_TAGGED: Schema = {**_ATTACH, 'tag': tags.TAG}
_WHOLE: Schema = {**_TAGGED, 'delete_on_termination': params.BOOLEAN}


def _body(fields: Schema) -> Schema:
    return params.wrapped('volumeAttachment', obj(fields, ['volumeId']))


CREATE = ByVersion({'2.0': _body(_ATTACH), '2.49': _body(_TAGGED), '2.79': _body(_WHOLE)})
CHANGE = ByVersion(
    {
        '2.0': _body(_VOLUME),
        '2.85': _body({**_WHOLE, 'serverId': params.UUID, 'id': params.UUID}),
    }
)


@operation('GET', PATH, query=LIST, rule=f'{RULE}:index', check=PROJECT_READER_OR_ADMIN,
           target='resource')  # fmt: skip
def index(request: Request, server_id: str) -> Json:
    """List a server's volumes."""
    server = lookup.get(request, server_id, 'block_devices')
    found = [device for device in server.block_devices if device.volume_id]
    shown = [view(request, server, device) for device in params.window(request, found)]
    return {'volumeAttachments': shown}


@operation('GET', ONE, query=params.ANY_QUERY, rule=f'{RULE}:show', check=PROJECT_READER_OR_ADMIN,
           target='resource')  # fmt: skip
def show(request: Request, server_id: str, volume_id: str) -> Json:
    """Show one of a server's volumes."""
    server = lookup.get(request, server_id, 'block_devices')
    return {'volumeAttachment': view(request, server, _find(server, volume_id))}


def _attach(request: Request, server_id: str, body: Json) -> tuple[Server, BlockDevice]:
    """Attach a volume to a server."""
    server = lookup.get(request, server_id)
    if request.version.minor < 20 and server.vm_state in ('shelved', 'shelved_offloaded'):
        raise exception.InstanceInvalidState(
            method='attach_volume',
            instance_uuid=server.uuid,
            attr='vm_state',
            state=server.vm_state,
        )
    asked = body['volumeAttachment']
    device = _new_device(request, server, asked['volumeId'])
    device.device_name = asked.get('device')
    device.tag = asked.get('tag')
    device.delete_on_termination = _boolean(asked.get('delete_on_termination'))
    return server, request.conductor.attach_volume(request.context, server.uuid, device)


def _new_device(request: Request, server: Server, volume_id: str) -> BlockDevice:
    """Look up what is to be attached.  Raises VolumeNotFound, InvalidVolume."""
    volume = cinder.client(request.conf, request.context).show_volume(volume_id)
    multiattach = bool(volume.get('multiattach'))
    if multiattach and request.version.minor < boot_source.MULTIATTACH_SINCE:
        raise exception.MultiattachNotSupportedOldMicroversion()
    zone = volume.get('availability_zone')
    if not request.conf.cinder.cross_az_attach and zone != server.availability_zone:
        raise exception.InvalidVolume(
            reason=f'Instance {server.uuid} and volume {volume_id} are not in the same '
            f'availability_zone. Instance is in {server.availability_zone}. Volume is in {zone}'
        )
    return BlockDevice(
        source_type='volume',
        destination_type='volume',
        volume_id=volume_id,
        volume_size=volume['size'],
        multiattach=multiattach,
    )


@operation('POST', PATH, until='2.100', body=CREATE, rule=f'{RULE}:create', target='resource',
           check=PROJECT_MEMBER_OR_ADMIN)  # fmt: skip
def attach(request: Request, server_id: str, body: Json) -> Json:
    """Attach a volume to a server."""
    server, device = _attach(request, server_id, body)
    minor = min(request.version.minor, 88)  # the ids of 2.89 are not in this answer
    return {'volumeAttachment': _render(server, device, minor)}


@operation('POST', PATH, since='2.101', body=CREATE, rule=f'{RULE}:create', target='resource',
           check=PROJECT_MEMBER_OR_ADMIN, success=202)  # fmt: skip
def attach_later(request: Request, server_id: str, body: Json) -> None:
    """Attach a volume to a server."""
    _attach(request, server_id, body)


@operation('PUT', ONE, body=CHANGE, success=202, target='resource', soft_rules=(SWAP, UPDATE))
def update(request: Request, server_id: str, volume_id: str, body: Json) -> None:
    """Change an attachment, or swap its volume."""
    asked = body['volumeAttachment']
    server = _authorized(request, server_id, volume_id, asked['volumeId'])
    device = _find(server, volume_id)
    if request.version.minor >= 85:
        _check_unchanged(server, device, asked)
        if 'delete_on_termination' in asked:
            request.conductor.update_volume_attachment(
                request.context, server.uuid, volume_id, _boolean(asked['delete_on_termination'])
            )
    if request.version.minor < 85 or volume_id != asked['volumeId']:
        _swap(request, server, device, asked['volumeId'])


def _authorized(request: Request, server_id: str, volume_id: str, wanted: str) -> Server:
    """Return the server; Cinder swaps volumes of servers of all projects."""
    swaps = request.version.minor < 85 or volume_id != wanted
    may_swap = request.allows(SWAP.name)
    project = None if swaps and may_swap else lookup.visible_project(request)
    uuid = lookup.checked(server_id)
    server = request.conductor.get_server(request.context, uuid, project, ['block_devices'])
    request.authorize(project_id=server.project_id, user_id=server.user_id)
    if swaps:
        request.can(SWAP.name)
    else:
        request.can(UPDATE.name, project_id=server.project_id, user_id=server.user_id)
    return server


def _check_unchanged(server: Server, device: BlockDevice, asked: Json) -> None:
    present = {
        'id': device.volume_id,
        'serverId': server.uuid,
        'device': device.device_name,
        'tag': device.tag,
    }
    for name, value in present.items():
        if name in asked and asked[name] != value:
            raise exception.Invalid(f'The {name} property is not mutable')


def _swap(request: Request, server: Server, device: BlockDevice, new_id: str) -> None:
    client = cinder.client(request.conf, request.context)
    old = client.show_volume(device.volume_id or '')
    try:
        new = client.show_volume(new_id)
    except exception.VolumeNotFound as error:
        raise exception.Invalid(error.message) from error
    if all(one.get('server_id') != server.uuid for one in old['attachments']):
        raise exception.InvalidVolume(reason='Old volume is attached to a different instance.')
    if new['attachments']:
        raise exception.InvalidVolume(reason='New volume must be detached in order to swap.')
    if int(new['size']) < int(old['size']):
        raise exception.InvalidVolume(reason='New volume must be the same size or larger.')
    if len(old['attachments']) > 1:
        raise exception.MultiattachSwapVolumeNotSupported()
    wanted = BlockDevice(
        destination_type='volume',
        volume_id=new_id,
        volume_size=new['size'],
        multiattach=bool(new.get('multiattach')),
    )
    migration = old.get('migration_status') == 'migrating'
    request.conductor.swap_volume(
        request.context, server.uuid, device.volume_id or '', wanted, migration
    )


@operation('DELETE', ONE, success=202, rule=f'{RULE}:delete', check=PROJECT_MEMBER_OR_ADMIN,
           target='resource')  # fmt: skip
def detach(request: Request, server_id: str, volume_id: str) -> None:
    """Detach a volume from a server."""
    server = lookup.get(request, server_id, 'block_devices')
    _find(server, volume_id)
    request.conductor.detach_volume(request.context, server.uuid, volume_id)


def _boolean(value: Any) -> bool:
    return strutils.bool_from_string(value) if value is not None else False


def _find(server: Server, volume_id: str) -> BlockDevice:
    for device in server.block_devices:
        if device.volume_id == volume_id:
            return device
    raise exception.VolumeBDMNotFound(
        f'Instance {server.uuid} is not attached to volume {volume_id}'
    )


def view(request: Request, server: Server, device: BlockDevice) -> Json:
    """Return an attachment as it is shown at the request's version."""
    return _render(server, device, request.version.minor)


def _render(server: Server, device: BlockDevice, minor: int) -> Json:
    shown: Json = {} if minor >= 89 else {'id': device.volume_id}
    shown |= {
        'volumeId': device.volume_id,
        'serverId': server.uuid,
        'device': device.device_name,
    }
    if minor >= 70:
        shown['tag'] = device.tag
    if minor >= 79:
        shown['delete_on_termination'] = device.delete_on_termination
    if minor >= 89:
        shown |= {'attachment_id': device.attachment_id, 'bdm_uuid': device.uuid}
    return shown
