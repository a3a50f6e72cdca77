"""What is remembered of a shelved server, and how it is forgotten."""

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import glance_snapshots

LOG = logging.getLogger(__name__)

AT, IMAGE, HOST = 'shelved_at', 'shelved_image_id', 'shelved_host'
"""Keys of system_metadata."""


def discard_image(conf: cfg.ConfigOpts, uuid: str, image_id: str) -> None:
    """Remove the image of a server that needs it no more; it is not worth failing for."""
    try:
        glance_snapshots.discard(conf, image_id)
    except exception.KilonovaError as error:
        LOG.warning('Image %s of server %s stays behind: %s', image_id, uuid, error)
