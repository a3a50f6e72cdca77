"""Images: what is known of one before a server is built from it, and what the API passes on."""

import datetime
import html
import re
from typing import Any

import requests
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
_PATCH = 'application/openstack-images-v2.1-json-patch'


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
    keystone.content(client, answer, 'status', str)
    return from_glance(answer.json())


def get_bootable_image(conf: cfg.ConfigOpts, context: ctx.RequestContext, image_id: str) -> Image:
    """Return an image that a server can be built from.  Raises ImageNotFound, ImageNotActive."""
    image = get_image(conf, context, image_id)
    if image.status != 'active':
        raise exception.ImageNotActive(image_id=image_id)
    return image


def list_images(
    conf: cfg.ConfigOpts,
    context: ctx.RequestContext,
    filters: dict[str, str],
    limit: int,
    marker: str | None = None,
) -> list[Image]:
    """Return at most ``limit`` images that the user sees, newest first.

    Filters are Glance's own.  Raises Invalid with Glance's words when it refuses one.
    """
    client = adapter(conf, context)
    found: list[Image] = []
    while len(found) < limit:
        query = {**filters, 'limit': str(limit - len(found))}
        if marker is not None:
            query['marker'] = marker
        answer = keystone.request(client, 'GET', '/v2/images', params=query)
        if answer.status_code != 200:
            raise refused(answer)
        page = keystone.content(client, answer, 'images', keystone.Jsons)
        found += [from_glance(image) for image in page]
        # Glance gives less than was asked for where its own limit is lower.
        if not page or not answer.json().get('next'):
            break
        marker = page[-1]['id']
    return found


def update_properties(
    conf: cfg.ConfigOpts,
    context: ctx.RequestContext,
    image: Image,
    changes: dict[str, str | None],
) -> Image:
    """Set properties, or remove those that are None; return the image as it is then.

    Raises ImageNotFound, ImageNotAuthorized, Invalid for what is no property.
    """
    reserved = sorted(_BASE & changes.keys())
    if reserved:
        raise exception.Invalid(f'{", ".join(reserved)}: an attribute of images, no property')
    if not changes:
        return image
    patch = [_operation(name, value) for name, value in changes.items()]
    client = adapter(conf, context)
    answer = keystone.request(
        client, 'PATCH', f'/v2/images/{image.id}', json=patch, headers={'Content-Type': _PATCH}
    )
    if answer.status_code != 200:
        raise refused(answer, image.id)
    keystone.content(client, answer, 'status', str)
    return from_glance(answer.json())


def _operation(name: str, value: str | None) -> dict[str, str]:
    path = '/' + name.replace('~', '~0').replace('/', '~1')
    if value is None:
        return {'op': 'remove', 'path': path}
    return {'op': 'add', 'path': path, 'value': value}


def delete_image(conf: cfg.ConfigOpts, context: ctx.RequestContext, image_id: str) -> None:
    """Raises ImageNotFound, ImageNotAuthorized (also for one that is protected or in use)."""
    if not uuidutils.is_uuid_like(image_id):
        raise exception.ImageNotFound(image_id=image_id)
    answer = keystone.request(adapter(conf, context), 'DELETE', f'/v2/images/{image_id}')
    if answer.status_code == 409:
        raise exception.ImageNotAuthorized(f'Image {image_id} is in use and cannot be deleted.')
    if answer.status_code != 204:
        raise refused(answer, image_id)


def endpoint(conf: cfg.ConfigOpts, context: ctx.RequestContext) -> str:
    """Return Glance's URL, for links."""
    client = adapter(conf, context)
    found = client.endpoint_override or client.get_endpoint()
    if not found:
        raise exception.FellowServiceError(service='image', reason='EndpointNotFound')
    return str(found).rstrip('/')


def refused(answer: requests.Response, image_id: str = '') -> exception.KilonovaError:
    """Return the error for a 4xx or 5xx answer of Glance."""
    if answer.status_code == 404:
        return exception.ImageNotFound(image_id=image_id)
    if answer.status_code == 403:
        return exception.ImageNotAuthorized(image_id=image_id)
    if answer.status_code == 413:
        return exception.LimitExceeded('Image metadata limit exceeded')
    if answer.status_code in (400, 409, 415):
        return exception.Invalid(f'The image service refused the request: {_words(answer)}')
    return exception.FellowServiceError(service='image', reason=f'HTTP {answer.status_code}')


def _words(answer: requests.Response) -> str:
    """Return what Glance says, out of the page of HTML that it says it in."""
    text = html.unescape(re.sub(r'<(title|h1)>.*?</\1>|<[^>]*>', ' ', answer.text))
    return ' '.join(text.split())[:200]


def from_glance(body: dict[str, Any]) -> Image:
    """Turn Glance's JSON into ours: its own attributes apart from the properties."""
    values = {name: body[name] for name in _SAME if body.get(name) is not None}
    values.update({name: body.get(name) or 0 for name in _NUMBERS})
    values.update({name: _time(body.get(name)) for name in _TIMES})
    properties = {name: value for name, value in body.items() if name not in _BASE}
    return Image(properties=properties, **values)


def _time(value: str | None) -> datetime.datetime | None:
    return timeutils.normalize_time(timeutils.parse_isotime(value)) if value else None
