"""Servers that are put away for a while."""

import msgspec

from kilonova.common.objects.work import WorkResult
from kilonova.compute import moving, rebuild, snapshot
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.work import Job


def shelve(job: Job) -> None:
    host, image_id = job.host, job.work.image_id
    with snapshot.nothing_left(job, image_id):
        host.driver.power_off(job.server, host.shutdown_timeout(job.server))
        if image_id is None:
            return
        with host.snapshots.take(job.task, host.operations.stopping):
            job.progress('shelving_image_pending_upload')
            snapshot.take(job, image_id, 'shelving_image_uploading')


def offload(job: Job) -> WorkResult:
    job.host.told.pop(job.server.uuid, None)
    job.host.driver.destroy(job.server, job.server.network_info)
    devices = job.host.volumes.hand_back(job.server)
    return WorkResult(power_state=PowerState.NOSTATE, devices=devices)


def unshelve(job: Job) -> WorkResult:
    image = job.work.image
    if image is not None:
        # The guest is made of the one image and remembers the other.
        job.server = msgspec.structs.replace(job.server, image=image)
    vifs = moving.ports(job)
    job.undo = lambda: job.host.driver.destroy(job.server, vifs)
    with job.host.volumes.taken_over(job.server) as devices:
        changes = rebuild.spawn(job, vifs, None, [])
    return WorkResult(changes=changes, network_info=vifs, devices=devices)
