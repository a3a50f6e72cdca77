"""Images that are made of servers: their records, their bytes, and how many are kept."""

from typing import Any

from oslo_config import cfg

from kilonova.common import context as ctx
from kilonova.common.clients import glance, keystone
from kilonova.common.objects.image import Image

PATCH = 'application/openstack-images-v2.1-json-patch'
PAGE = 100


def create(conf: cfg.ConfigOpts, context: ctx.RequestContext, record: dict[str, Any]) -> Image:
    """Create an image without bytes, as the user.  Raises Invalid, LimitExceeded."""
    client = glance.adapter(conf, context)
    answer = keystone.request(client, 'POST', '/v2/images', json=record)
    if answer.status_code != 201:
        raise glance.refused(answer)
    keystone.content(client, answer, 'status', str)
    return glance.from_glance(answer.json())


def upload(conf: cfg.ConfigOpts, image_id: str, path: str, disk_format: str) -> None:
    """Send a file's bytes, as the service.  Raises ImageNotFound, FellowServiceError."""
    client = glance.adapter(conf)
    patch = [
        {'op': 'add', 'path': '/disk_format', 'value': disk_format},
        {'op': 'add', 'path': '/container_format', 'value': 'bare'},
    ]
    answer = keystone.request(
        client, 'PATCH', f'/v2/images/{image_id}', json=patch, headers={'Content-Type': PATCH}
    )
    if answer.status_code != 200:
        raise glance.refused(answer, image_id)
    with open(path, 'rb') as stream:
        answer = keystone.request(
            client,
            'PUT',
            f'/v2/images/{image_id}/file',
            data=stream,
            headers={'Content-Type': 'application/octet-stream'},
        )
    if answer.status_code != 204:
        raise glance.refused(answer, image_id)


def fill_with_nothing(conf: cfg.ConfigOpts, context: ctx.RequestContext, image_id: str) -> None:
    """Let an image be active whose content is elsewhere, as the user.

    Glance looks at the content of all formats but raw, and finds no header in nothing.
    """
    client = glance.adapter(conf, context)
    patch = [
        {'op': 'add', 'path': '/disk_format', 'value': 'raw'},
        {'op': 'add', 'path': '/container_format', 'value': 'bare'},
    ]
    answer = keystone.request(
        client, 'PATCH', f'/v2/images/{image_id}', json=patch, headers={'Content-Type': PATCH}
    )
    if answer.status_code == 200:
        answer = keystone.request(
            client,
            'PUT',
            f'/v2/images/{image_id}/file',
            data=b'',
            headers={'Content-Type': 'application/octet-stream'},
        )
    if answer.status_code != 204:
        raise glance.refused(answer, image_id)


def discard(conf: cfg.ConfigOpts, image_id: str) -> None:
    """Delete an image, as the service; one that is gone is as good."""
    answer = keystone.request(glance.adapter(conf), 'DELETE', f'/v2/images/{image_id}')
    if answer.status_code not in (204, 404):
        raise glance.refused(answer, image_id)


def keep_newest(conf: cfg.ConfigOpts, project_id: str, filters: dict[str, str], count: int) -> int:
    """Delete a project's images that fit all but for the newest ``count``; return how many."""
    client = glance.adapter(conf)
    query = {**filters, 'owner': project_id, 'sort': 'created_at:desc', 'limit': str(PAGE)}
    answer = keystone.request(client, 'GET', '/v2/images', params=query)
    if answer.status_code != 200:
        raise glance.refused(answer)
    old = keystone.content(client, answer, 'images', keystone.Jsons)[count:]
    for image in old:
        discard(conf, str(image['id']))
    return len(old)


def record_of(
    name: str, source: Image, properties: dict[str, str], not_inherited: list[str]
) -> dict[str, Any]:
    """Return the record of an image that is made of one that ``source`` was booted as.

    ``properties`` win; what Glance keeps for itself and what is in ``not_inherited`` stays out.
    """
    inherited = {
        key: str(value)
        for key, value in source.properties.items()
        if key not in not_inherited
        and not key.startswith(('os_glance_', 'img_signature'))
        and isinstance(value, str | int | float | bool)
    }
    return {
        **inherited,
        **properties,
        'name': name,
        'visibility': 'private',
        'min_ram': source.min_ram,
        'min_disk': source.min_disk,
    }
