"""Fetches images before servers need them."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import glance
from kilonova.common.context import RequestContext
from kilonova.compute.host import Host
from kilonova.compute.images import GlanceImages

LOG = logging.getLogger(__name__)


class ImageCachingEndpoint:
    """Fetches for the conductor, which decides how many hosts do so at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def cache_images(self, context: RequestContext, image_ids: list[str]) -> dict[str, str]:
        return {image_id: self._cache(context, image_id) for image_id in image_ids}

    def _cache(self, context: RequestContext, image_id: str) -> str:
        try:
            image = glance.get_image(self._host.conf, context, image_id)
            source = GlanceImages(self._host.conf, context, image)
            fetched = self._host.driver.cache_image(image, source)
        except exception.NotSupported:
            return 'unsupported'
        except (exception.KilonovaError, OSError) as error:
            LOG.warning('Image %s could not be cached: %s', image_id, error)
            return 'error'
        return 'cached' if fetched else 'existing'
