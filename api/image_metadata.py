"""The properties of an image, passed on from Glance with the user's token (up to 2.38)."""

from typing import Any

from kilonova.api import images
from kilonova.api.faults import Fault
from kilonova.api.operation import not_found, operation
from kilonova.api.params import METADATA, wrapped
from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.clients import glance
from kilonova.common.objects.image import Image

LAST = '2.38'
PATH = '/images/{image_id}/metadata'
ALL = wrapped('metadata', METADATA)
ONE = wrapped('meta', {**METADATA, 'minProperties': 1, 'maxProperties': 1})
Json = dict[str, Any]


@operation('GET', PATH, until=LAST)
def index(request: Request, image_id: str) -> Json:
    """List the metadata of an image."""
    return {'metadata': images.metadata(_get(request, image_id))}


@operation('GET', PATH + '/{key}', until=LAST)
def show(request: Request, image_id: str, key: str) -> Json:
    """Show one item of the metadata of an image."""
    found = images.metadata(_get(request, image_id))
    if key not in found:
        raise not_found()
    return {'meta': {key: found[key]}}


@operation('POST', PATH, until=LAST, body=ALL)
def create(request: Request, image_id: str, body: Json) -> Json:
    """Add items to the metadata of an image."""
    image = _get(request, image_id)
    return {'metadata': images.metadata(_change(request, image, body['metadata']))}


@operation('PUT', PATH, until=LAST, body=ALL)
def update_all(request: Request, image_id: str, body: Json) -> Json:
    """Replace the metadata of an image."""
    image = _get(request, image_id)
    gone = dict.fromkeys(image.properties.keys() - body['metadata'].keys())
    return {'metadata': images.metadata(_change(request, image, {**gone, **body['metadata']}))}


@operation('PUT', PATH + '/{key}', until=LAST, body=ONE)
def update(request: Request, image_id: str, key: str, body: Json) -> Json:
    """Set one item of the metadata of an image."""
    if key not in body['meta']:
        raise Fault(400, 'Request body and URI mismatch')
    _change(request, _get(request, image_id), body['meta'])
    return {'meta': body['meta']}


@operation('DELETE', PATH + '/{key}', until=LAST, success=204)
def delete(request: Request, image_id: str, key: str) -> None:
    """Remove one item from the metadata of an image."""
    image = _get(request, image_id)
    if key not in image.properties:
        raise Fault(404, 'Invalid metadata key')
    glance.update_properties(request.conf, request.context, image, {key: None})


def _get(request: Request, image_id: str) -> Image:
    return glance.get_image(request.conf, request.context, image_id)


def _change(request: Request, image: Image, changes: dict[str, str | None]) -> Image:
    """Set and remove properties.  Raises LimitExceeded when there would be too many."""
    left = {name for name in image.properties if changes.get(name, '') is not None}
    added = {name for name, value in changes.items() if value is not None}
    check_quota(request, len(left | added))
    return glance.update_properties(request.conf, request.context, image, changes)


def check_quota(request: Request, count: int) -> None:
    project_id = str(request.context.project_id)
    limits = request.conductor.get_quotas(request.context, project_id).limits
    if 0 <= limits['metadata_items'] < count:
        raise exception.LimitExceeded('Image metadata limit exceeded')
