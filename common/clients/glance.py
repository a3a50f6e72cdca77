"""Images: what the API has to know of one before a server is built from it."""

import datetime
from typing import Any

from keystoneauth1 import adapter as ks_adapter
from oslo_config import cfg
from oslo_utils import timeutils, uuidutils

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.clients import keystone
from kilonova.common.objects.image import Image

# What Glance itself says of an image; everything else in its answer is a property.
_SAME = (
    'id',
    'name',
    'status',
    'visibility',
    'owner',
    'protected',
    'virtual_size',
    'disk_format',
    'container_format',
    'checksum',
    'os_hash_algo',
    'os_hash_value',
    'tags',
)
_NUMBERS = ('size', 'min_disk', 'min_ram')
_TIMES = ('created_at', 'updated_at')
_IGNORED = ('file', 'self', 'schema', 'direct_url', 'locations', 'os_hidden', 'stores')
_BASE = frozenset((*_SAME, *_NUMBERS, *_TIMES, *_IGNORED))


def adapter(conf: cfg.ConfigOpts, context: ctx.RequestContext | None = None) -> ks_adapter.Adapter:
    """Return an adapter for Glance, at the first of ``[glance]api_servers`` if there are any."""
    client = keystone.adapter(conf, 'glance', context)
    if conf.glance.api_servers:
        client.endpoint_override = conf.glance.api_servers[0]
    return client


def get_image(conf: cfg.ConfigOpts, context: ctx.RequestContext, image_id: str) -> Image:
    """Return one image as the user sees it.  Raises ImageNotFound."""
    if not uuidutils.is_uuid_like(image_id):  # it becomes part of a URL
        raise exception.ImageNotFound(image_id=image_id)
    client = adapter(conf, context)
    answer = keystone.request(client, 'GET', f'/v2/images/{image_id}')
    if answer.status_code in (401, 403, 404):
        raise exception.ImageNotFound(image_id=image_id)
    if answer.status_code != 200:
        raise exception.FellowServiceError(service='image', reason=f'HTTP {answer.status_code}')
    keystone.content(client, answer, 'status')
    return from_glance(answer.json())


def get_bootable_image(conf: cfg.ConfigOpts, context: ctx.RequestContext, image_id: str) -> Image:
    """Return an image that a server can be built from.  Raises ImageNotFound, ImageNotActive."""
    image = get_image(conf, context, image_id)
    if image.status != 'active':
        raise exception.ImageNotActive(image_id=image_id)
    return image


def from_glance(body: dict[str, Any]) -> Image:
    """Turn Glance's JSON into ours: its own attributes apart from the properties."""
    values = {name: body[name] for name in _SAME if body.get(name) is not None}
    values.update({name: body.get(name) or 0 for name in _NUMBERS})
    values.update({name: _time(body.get(name)) for name in _TIMES})
    properties = {name: value for name, value in body.items() if name not in _BASE}
    return Image(properties=properties, **values)


def _time(value: str | None) -> datetime.datetime | None:
    return timeutils.normalize_time(timeutils.parse_isotime(value)) if value else None
