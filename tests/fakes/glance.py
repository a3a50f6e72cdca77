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

    @route('GET', '/v2/images/{image_id}')
    def show(self, image_id: str, **_: Any) -> Answer:
        image = self.images.get(image_id)
        return (200, image) if image else (404, {'message': 'no such image'})

    @route('GET', '/v2/images/{image_id}/file')
    def download(self, image_id: str, **_: Any) -> Answer:
        data = self.data.get(image_id)
        return (200, data) if data is not None else (404, {'message': 'no such image'})
