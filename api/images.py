"""Images, passed on from Glance with the user's token (up to 2.35)."""

import datetime
import json
from typing import Any

from oslo_utils import strutils

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.common.clients import glance
from kilonova.common.objects.image import Image

LAST = '2.35'
Json = dict[str, Any]

_NUMBER = params.values({**params.NON_NEGATIVE, 'minimum': 1})
# our parameter -> Glance's
_FILTERS = {
    'name': 'name',
    'status': 'status',
    'changes-since': 'updated_at',
    'server': 'instance_uuid',
    'type': 'image_type',
    'minRam': 'min_ram',
    'minDisk': 'min_disk',
}
_PROPERTY = 'property-'
QUERY = params.query(
    {
        **{name: {} for name in (*_FILTERS, 'marker')},
        **{name: _NUMBER for name in ('limit', 'page_size', 'offset')},
    }
) | {'patternProperties': {f'^{_PROPERTY}.*$': {}}}

# Glance's status -> ours
_STATUS = {
    'queued': 'SAVING',
    'saving': 'SAVING',
    'active': 'ACTIVE',
    'killed': 'ERROR',
    'deleted': 'DELETED',
    'pending_delete': 'DELETED',
}
_PROGRESS = {'queued': 25, 'saving': 50, 'active': 100}
# Properties that Glance keeps as text.
_JSON = ('mappings', 'block_device_mapping')


@operation('GET', '/images', until=LAST, query=QUERY)
def index(request: Request) -> Json:
    """List images."""
    return _list(request, 'images', View(request).brief)


@operation('GET', '/images/detail', until=LAST, query=QUERY)
def detail(request: Request) -> Json:
    """List images with details."""
    return _list(request, 'images/detail', View(request).full)


@operation('GET', '/images/{image_id}', until=LAST, query=params.ANY_QUERY)
def show(request: Request, image_id: str) -> Json:
    """Show an image."""
    image = glance.get_image(request.conf, request.context, image_id)
    return {'image': View(request).full(image)}


@operation('DELETE', '/images/{image_id}', until=LAST, success=204)
def delete(request: Request, image_id: str) -> None:
    """Delete an image."""
    glance.delete_image(request.conf, request.context, image_id)


def _list(request: Request, collection: str, render: Any) -> Json:
    limit, marker = params.limit_and_marker(request)
    found = glance.list_images(request.conf, request.context, _filters(request), limit, marker)
    body: Json = {'images': [render(image) for image in found]}
    links = params.next_page(request, collection, [image.id for image in found])
    if links:
        body['images_links'] = links
    return body


def _filters(request: Request) -> dict[str, str]:
    """Translate the filters that were asked for into Glance's."""
    found = {}
    for name in request.query:
        value = str(request.query.one(name))
        if name.startswith(_PROPERTY):
            found[name.removeprefix(_PROPERTY)] = value
        elif name in _FILTERS:
            found[_FILTERS[name]] = _value(name, value)
    return found


def _value(name: str, value: str) -> str:
    if name == 'status':
        known = [theirs for theirs, ours in _STATUS.items() if ours == value.upper()]
        return 'in:' + ','.join(known) if known else value.lower()
    if name == 'changes-since':
        return f'gte:{value}'
    if name == 'server':
        # It may be the server's URL.
        return value.rpartition('/')[2]
    return value


class View:
    """Images as JSON; the links' beginnings are worked out once."""

    def __init__(self, request: Request) -> None:
        self._links = params.Links(request, 'images')
        self._servers = params.Links(request, 'servers')
        base = glance.endpoint(request.conf, request.context)
        self._alternate = params.with_prefix(base, request.conf.api.glance_link_prefix)

    def brief(self, image: Image) -> Json:
        alternate = {
            'rel': 'alternate',
            'type': 'application/vnd.openstack.image',
            'href': f'{self._alternate}/images/{image.id}',
        }
        return {
            'id': image.id,
            'name': image.name,
            'links': [*self._links.of(image.id), alternate],
        }

    def full(self, image: Image) -> Json:
        shown = self.brief(image) | {
            'minRam': image.min_ram,
            'minDisk': image.min_disk,
            'metadata': metadata(image),
            'created': _isotime(image.created_at),
            'updated': _isotime(image.updated_at),
            'status': _STATUS.get(image.status, 'UNKNOWN'),
            'progress': _PROGRESS.get(image.status, 0),
            'OS-EXT-IMG-SIZE:size': image.size,
        }
        server = image.properties.get('instance_uuid')
        if server:
            shown['server'] = {'id': server, 'links': self._servers.of(server)}
        automatic = image.properties.get('auto_disk_config')
        if automatic is not None:
            shown['OS-DCF:diskConfig'] = (
                'AUTO' if strutils.bool_from_string(automatic) else 'MANUAL'
            )
        return shown


def metadata(image: Image) -> Json:
    """Return an image's properties; two of them are lists that Glance keeps as text."""
    return {name: _decoded(name, value) for name, value in image.properties.items()}


def _decoded(name: str, value: Any) -> Any:
    if name not in _JSON or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _isotime(when: datetime.datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec='seconds') + 'Z'
