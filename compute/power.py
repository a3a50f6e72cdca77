"""Starting, stopping and rebooting servers."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.compute import shares
from kilonova.compute.work import Job

LOG = logging.getLogger(__name__)


def start(job: Job) -> None:
    shares.mount_all(job.host, job.server)
    job.host.driver.power_on(job.server, job.server.network_info)


def stop(job: Job) -> None:
    job.host.driver.power_off(job.server, job.host.shutdown_timeout(job.server))
    shares.unmount_all(job.host, job.server)


def soft_delete(job: Job) -> None:
    try:
        stop(job)
    except exception.GuestNotFound:
        LOG.warning('Server %s has no guest to be kept', job.server.uuid)


def restore(job: Job) -> None:
    start(job)


def reboot(job: Job) -> None:
    shares.mount_all(job.host, job.server)
    job.host.driver.reboot(job.server, job.server.network_info, job.work.how)
