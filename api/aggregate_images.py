"""Images that the hosts of an aggregate fetch before servers need them."""

from typing import Any

from kilonova.api import aggregates, params
from kilonova.api.operation import operation
from kilonova.api.params import array, obj
from kilonova.api.policies import ADMIN
from kilonova.api.request import Request
from kilonova.common import exception
from kilonova.common.clients import glance

CACHE = obj({'cache': array(obj({'id': params.UUID}, ['id']), minItems=1)}, ['cache'])


@operation('POST', '/os-aggregates/{aggregate_id}/images', since='2.81', body=CACHE, success=202,
           rule='compute:aggregates:images', check=ADMIN)  # fmt: skip
def cache(request: Request, aggregate_id: str, body: dict[str, Any]) -> None:
    """Have the hosts of an aggregate fetch images into their caches."""
    images = [one['id'] for one in body['cache']]
    if len(set(images)) != len(images):
        raise exception.Invalid('Duplicate images in request')
    number = aggregates.to_number(aggregate_id)
    for image in images:
        try:
            glance.get_image(request.conf, request.context, image)
        except exception.ImageNotFound as error:
            raise exception.Invalid(error.message) from error
    request.conductor.cache_images(request.context, number, images)
