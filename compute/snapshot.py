"""Images that are made of servers."""

import contextlib
from collections.abc import Iterator

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import glance_snapshots
from kilonova.compute.operations import Abandoned
from kilonova.compute.virt.driver import ImageSink
from kilonova.compute.work import Job

LOG = logging.getLogger(__name__)


class GlanceSink(ImageSink):
    """Uploads to an image that has been made for it."""

    def __init__(self, job: Job, image_id: str, task_state: str) -> None:
        self._job, self._image_id, self._task_state = job, image_id, task_state

    def upload(self, path: str, disk_format: str) -> None:
        self._job.task.check()
        self._job.progress(self._task_state)
        glance_snapshots.upload(self._job.host.conf, self._image_id, path, disk_format)


@contextlib.contextmanager
def nothing_left(job: Job, image_id: str | None) -> Iterator[None]:
    """Remove the image when what is done within fails."""
    try:
        yield
    except Abandoned:
        raise
    except Exception:
        if image_id is not None:
            _discard(job, image_id)
        raise


def take(job: Job, image_id: str, uploading: str) -> None:
    """Fill an image; ``uploading``: the task state meanwhile."""
    job.host.driver.snapshot(job.server, GlanceSink(job, image_id, uploading))


def _discard(job: Job, image_id: str) -> None:
    try:
        glance_snapshots.discard(job.host.conf, image_id)
    except exception.KilonovaError:
        LOG.exception('Image %s of server %s stays behind', image_id, job.server.uuid)


def snapshot(job: Job) -> None:
    wanted = job.work
    slot = job.host.snapshots.take(job.task, job.host.operations.stopping)
    with nothing_left(job, wanted.image_id), slot:
        job.progress('image_snapshot')
        take(job, wanted.image_id, 'image_uploading')
    if wanted.rotation is not None:
        filters = {
            'instance_uuid': job.server.uuid,
            'image_type': 'backup',
            'backup_type': wanted.backup_type,
            'status': 'active',
        }
        glance_snapshots.keep_newest(job.host.conf, job.server.project_id, filters, wanted.rotation)
