"""An image service: images are made by the test, read over HTTP."""

import hashlib
import uuid
from typing import Any

from kilonova.tests.fakes.server import Answer, FakeService, route


class FakeGlance(FakeService):
    """Glance v2 as far as the control plane asks it."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.data: dict[str, bytes] = {}
        self.page_size = 1000
        super().__init__()

    def add(self, name: str = 'image', data: bytes = b'\0' * 512, **fields: Any) -> str:
        """Add an active raw image; returns its id."""
        image_id = str(uuid.uuid4())
        self.data[image_id] = data
        self.images[image_id] = {
            'id': image_id,
            'name': name,
            'status': 'active',
            'visibility': 'public',
            'disk_format': 'raw',
            'container_format': 'bare',
            'size': len(data),
            'min_disk': 0,
            'min_ram': 0,
            'owner': 'admin',
            'protected': False,
            'tags': [],
            'checksum': hashlib.md5(data, usedforsecurity=False).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest(),
            'created_at': '2026-01-01T00:00:00Z',
            'updated_at': '2026-01-01T00:00:00Z',
            **fields,
        }
        return image_id

    @route('GET', '/')
    def versions(self, **_: Any) -> Answer:
        return self.describe('v2.17', '/v2/')

    @route('GET', '/v2/images')
    def index(self, query: dict[str, list[str]], **_: Any) -> Answer:
        words = {name: values[-1] for name, values in query.items()}
        found = [image for image in reversed(self.images.values()) if self._sees(image)]
        limit, marker = int(words.pop('limit', '25')), words.pop('marker', None)
        words.pop('sort', None)  # the newest first, as it is
        found = [image for image in found if all(_fits(image, *word) for word in words.items())]
        if marker is not None:
            ids = [image['id'] for image in found]
            if marker not in ids:
                page = '<html><h1>400 Bad Request</h1>\nNo image found with ID {}<br /></html>'
                return 400, page.format(marker).encode()
            found = found[ids.index(marker) + 1 :]
        limit = min(limit, self.page_size)
        body: dict[str, Any] = {'images': found[:limit]}
        if len(found) > limit:
            body['next'] = f'/v2/images?marker={found[limit - 1]["id"]}'
        return 200, body

    @route('GET', '/v2/images/{image_id}')
    def show(self, image_id: str, **_: Any) -> Answer:
        image = self.images.get(image_id)
        if image is None or not self._sees(image):
            return 404, {'message': 'no such image'}
        return 200, image

    @route('POST', '/v2/images')
    def create(self, body: Any, **_: Any) -> Answer:
        owner = self.caller.project or 'service'
        image_id = self.add(visibility='private', owner=owner)
        del self.data[image_id]
        unknown = {'status': 'queued', 'size': None, 'disk_format': None, 'container_format': None}
        empty = {'checksum': None, 'os_hash_algo': None, 'os_hash_value': None}
        self.images[image_id] |= unknown | empty | body
        return 201, self.images[image_id]

    @route('PUT', '/v2/images/{image_id}/file')
    def upload(self, image_id: str, body: bytes, **_: Any) -> Answer:
        image = self.images.get(image_id)
        if image is None:
            return 404, {'message': 'no such image'}
        self.data[image_id] = body
        image |= {
            'status': 'active',
            'size': len(body),
            'checksum': hashlib.md5(body, usedforsecurity=False).hexdigest(),
        }
        return 204, None

    @route('PATCH', '/v2/images/{image_id}')
    def patch(self, image_id: str, body: Any, **_: Any) -> Answer:
        status, image = self.show(image_id)
        if status != 200:
            return status, image
        if not self.caller.sees(image['owner']):
            return 403, {'message': 'not yours'}
        for operation in body:
            name = operation['path'].removeprefix('/').replace('~1', '/').replace('~0', '~')
            if operation['op'] == 'remove':
                del image[name]
            else:
                image[name] = operation['value']
        return 200, image

    @route('DELETE', '/v2/images/{image_id}')
    def delete(self, image_id: str, **_: Any) -> Answer:
        status, image = self.show(image_id)
        if status != 200:
            return status, image
        if image['protected'] or not self.caller.sees(image['owner']):
            return 403, {'message': 'not yours, or protected'}
        del self.images[image_id]
        return 204, None

    def _sees(self, image: dict[str, Any]) -> bool:
        return image['visibility'] == 'public' or self.caller.sees(image['owner'])

    @route('GET', '/v2/images/{image_id}/file')
    def download(self, image_id: str, **_: Any) -> Answer:
        data = self.data.get(image_id)
        return (200, data) if data is not None else (404, {'message': 'no such image'})


def _fits(image: dict[str, Any], name: str, wanted: str) -> bool:
    """Tell whether an attribute is as a filter wants it, with Glance's operators."""
    value = image.get(name)
    if wanted.startswith('in:'):
        return value in wanted[3:].split(',')
    if wanted.startswith('gte:'):
        return str(value) >= wanted[4:]
    return str(value) == wanted
