"""Images from Glance, streamed to a file and verified on the way."""

import hashlib
import hmac
import os
import time
from typing import Any, BinaryIO

import requests
from keystoneauth1 import adapter as ks_adapter
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.clients import glance, keystone
from kilonova.common.objects.image import Image
from kilonova.compute.virt.driver import ImageSource

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20
RETRY_PAUSE = 1.0


class GlanceImages(ImageSource):
    """Reads as the user; as the service when the user's token is not accepted any more."""

    def __init__(
        self, conf: cfg.ConfigOpts, context: ctx.RequestContext, known: Image | None = None
    ) -> None:
        self._conf, self._context, self._known = conf, context, known

    def describe(self, image_id: str) -> Image:
        known = self._known
        if known is not None and known.id == image_id and known.disk_format:
            return known
        return glance.get_image(self._conf, self._context, image_id)

    def download(self, image_id: str, path: str) -> None:
        image = self._to_verify(image_id)
        for attempt in range(self._conf.glance.num_retries + 1):
            if attempt:
                time.sleep(RETRY_PAUSE * attempt)
            try:
                return self._download(image, path)
            except exception.FellowServiceError as error:
                LOG.warning('Image %s, try %s: %s', image_id, attempt + 1, error)
                failure = error
        raise failure

    def _to_verify(self, image_id: str) -> Image:
        """Return what the image's bytes must be like."""
        known = self._known
        if known is not None and known.id == image_id and known.size and _hash_of(known):
            return known
        return glance.get_image(self._conf, self._context, image_id)

    def _download(self, image: Image, path: str) -> None:
        with self._open(image.id) as answer, open(path, 'xb') as target:
            try:
                self._copy(image, answer, target)
            except BaseException:
                os.unlink(path)
                raise

    def _open(self, image_id: str) -> requests.Response:
        answer = self._get(image_id, glance.adapter(self._conf, self._context))
        if answer.status_code == 401 and self._context.auth_token:
            LOG.info('The token for image %s has expired, reading it as the service', image_id)
            answer.close()
            answer = self._get(image_id, glance.adapter(self._conf))
        if answer.status_code == 200:
            return answer
        answer.close()
        if answer.status_code == 204:
            raise exception.ImageUnacceptable(image_id=image_id, reason='it has no data.')
        if answer.status_code in (401, 403, 404):
            raise exception.ImageNotFound(image_id=image_id)
        raise exception.FellowServiceError(service='image', reason=f'HTTP {answer.status_code}')

    @staticmethod
    def _get(image_id: str, client: ks_adapter.Adapter) -> requests.Response:
        return keystone.request(
            client,
            'GET',
            f'/v2/images/{image_id}/file',
            stream=True,
            headers={'Accept': 'application/octet-stream', 'Accept-Encoding': 'identity'},
        )

    def _copy(self, image: Image, answer: requests.Response, target: BinaryIO) -> None:
        """Write and check size and hash; stops as soon as there is more than there may be."""
        algorithm, expected = _hash_of(image) or (None, '')
        digest = hashlib.new(algorithm) if algorithm else None
        done = 0
        for chunk in self._chunks(answer):
            done += len(chunk)
            if image.size and done > image.size:
                raise _unacceptable(image, f'it is larger than the {image.size} bytes announced.')
            if digest is not None:
                digest.update(chunk)
            target.write(chunk)
        if image.size and done < image.size:
            # A connection that breaks may look like the end of the data.
            raise exception.FellowServiceError(
                service='image', reason=f'{done} of {image.size} bytes came'
            )
        if digest is not None and not hmac.compare_digest(digest.hexdigest(), expected):
            raise _unacceptable(image, f'its {algorithm} hash is not the one announced.')

    @staticmethod
    def _chunks(answer: requests.Response) -> Any:
        try:
            yield from answer.iter_content(CHUNK)
        except requests.RequestException as error:
            raise exception.FellowServiceError(
                service='image', reason=type(error).__name__
            ) from error


def _hash_of(image: Image) -> tuple[str, str] | None:
    """Return the strongest hash that Glance has for an image."""
    if image.os_hash_algo and image.os_hash_value:
        if image.os_hash_algo in hashlib.algorithms_available:
            return image.os_hash_algo, image.os_hash_value.lower()
        LOG.warning('Image %s has an unknown hash, %s', image.id, image.os_hash_algo)
    if image.checksum:
        return 'md5', image.checksum.lower()
    return None


def _unacceptable(image: Image, reason: str) -> exception.ImageUnacceptable:
    return exception.ImageUnacceptable(image_id=image.id, reason=reason)
