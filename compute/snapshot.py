"""Images that are made of servers."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import glance_snapshots
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


def take(job: Job, image_id: str, uploading: str) -> None:
    """Make the image; when that fails nothing stays in Glance.  ``uploading``: task state."""
    try:
        job.host.driver.snapshot(job.server, GlanceSink(job, image_id, uploading))
    except Exception:
        _discard(job, image_id)
        raise


def _discard(job: Job, image_id: str) -> None:
    try:
        glance_snapshots.discard(job.host.conf, image_id)
    except exception.KilonovaError:
        LOG.exception('Image %s of server %s stays behind', image_id, job.server.uuid)


def snapshot(job: Job) -> None:
    wanted = job.work
    with job.host.snapshots.take(job.task, job.host.operations.stopping):
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
