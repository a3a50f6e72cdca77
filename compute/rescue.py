"""Help for guests in trouble: a rescue image, a new password, a dump of a crash."""

from kilonova.compute import config_drive
from kilonova.compute.images import GlanceImages
from kilonova.compute.work import Job


def rescue(job: Job) -> None:
    host = job.host
    images = GlanceImages(host.conf, job.context, job.server.image)
    vifs, tree = job.server.network_info, None
    if config_drive.is_wanted(host.conf, job.server):
        made = config_drive.build(host.conf, job.server, vifs, [], job.work.admin_password)
        tree = made(None)
    host.driver.rescue(job.server, vifs, images, job.work.image_id, tree)


def unrescue(job: Job) -> None:
    job.host.driver.unrescue(job.server, job.server.network_info)


def set_password(job: Job) -> None:
    job.host.driver.set_admin_password(job.server, job.work.password)


def crash_dump(job: Job) -> None:
    job.host.driver.trigger_crash_dump(job.server)
