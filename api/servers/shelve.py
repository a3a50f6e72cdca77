"""Put servers away for a while."""

from typing import Any

from kilonova.api import params, policies, schema
from kilonova.api.faults import Fault
from kilonova.api.operation import operation
from kilonova.api.policies import SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import create_image, lookup
from kilonova.common import exception
from kilonova.common.clients import glance
from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Server

Json = dict[str, Any]
TO_HOST = SoftRule(
    'os_compute_api:os-shelve:unshelve_to_host', policies.ADMIN, 'Unshelve a server to a host.'
)
SHELVED_IMAGE = 'shelved_image_id'


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='shelve',
    rule='os_compute_api:os-shelve:shelve',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=params.wrapped('shelve', {}),
    success=202,
)
def shelve(request: Request, server_id: str, body: Json) -> None:
    """Shelve a server."""
    server = lookup.get(request, server_id, 'block_devices')
    if server.boots_from_volume:
        request.conductor.shelve_server(request.context, server.uuid)
        return
    name = f'{server.name}-shelved'
    image_id = create_image.make_record(request, server, name, 'snapshot', {})
    try:
        request.conductor.shelve_server(request.context, server.uuid, image_id)
    except exception.KilonovaError:
        glance.delete_image(request.conf, request.context, image_id)
        raise


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='shelveOffload',
    rule='os_compute_api:os-shelve:shelve_offload',
    check=policies.ADMIN,
    target='resource',
    body=params.wrapped('shelveOffload', {}),
    success=202,
)
def shelve_offload(request: Request, server_id: str, body: Json) -> None:
    """Take a shelved server off its host."""
    server = lookup.get(request, server_id)
    request.conductor.shelve_offload_server(request.context, server.uuid)


_ZONE = {'availability_zone': params.NAME}
UNSHELVE = schema.ByVersion(
    {
        '2.1': params.wrapped('unshelve', {}),
        '2.77': params.wrapped(
            'unshelve',
            {**params.obj(_ZONE, ['availability_zone']), 'type': ['object', 'null']},
        ),
        '2.91': params.wrapped(
            'unshelve',
            {
                **params.obj(
                    {'availability_zone': {'type': ['string', 'null']}, 'host': params.STRING}
                ),
                'type': ['object', 'null'],
            },
        ),
    }
)


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='unshelve',
    rule='os_compute_api:os-shelve:unshelve',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    soft_rules=(TO_HOST,),
    body=UNSHELVE,
    success=202,
)
def unshelve(request: Request, server_id: str, body: Json) -> None:
    """Bring a shelved server back."""
    asked = body['unshelve'] if request.version.minor >= 77 else None
    server = lookup.get(request, server_id)
    changes: dict[str, str | None] = dict(asked or {})
    if 'host' in changes:
        request.can(TO_HOST.name)
    try:
        request.conductor.unshelve_server(
            request.context, server.uuid, _image(request, server), changes
        )
    except exception.ComputeHostNotFound as error:
        raise Fault(400, error.message) from error


def _image(request: Request, server: Server) -> Image | None:
    """Return the image that the server's disk was sent to."""
    image_id = server.system_metadata.get(SHELVED_IMAGE)
    if image_id is None or server.host is not None:
        return None
    try:
        return glance.get_image(request.conf, request.context, image_id)
    except exception.ImageNotFound as error:
        raise Fault(400, f'The image {image_id} of the shelved server is gone.') from error
