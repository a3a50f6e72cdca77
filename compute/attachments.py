"""Volumes of guests that are there: attached, detached, swapped, grown."""

import msgspec

from kilonova.common.metadata import devices
from kilonova.common.objects.work import WorkResult
from kilonova.compute import volume_usage
from kilonova.compute.work import Job

GIB = 1024**3


def attach(job: Job) -> WorkResult:
    """Connect and attach; what the conductor does not want any more is taken back."""
    device = msgspec.structs.replace(job.work.device)
    job.host.volumes.connect(job.server, device)
    job.task.check()
    job.host.driver.attach_volume(job.server, device)
    job.undo = lambda: job.host.driver.detach_volume(job.server, device)
    if device.tag:
        devices.put(job.host.driver.get_places(job.server), [], [device])
    return WorkResult(values={'device': msgspec.to_builtins(device)})


def detach(job: Job) -> None:
    volume_usage.report_last(job.host, job.server, job.work.device)
    job.host.driver.detach_volume(job.server, job.work.device)


def swap(job: Job) -> WorkResult:
    new = msgspec.structs.replace(job.work.new)
    job.host.volumes.connect(job.server, new)
    job.task.check()
    job.host.driver.swap_volume(job.server, job.work.old, new)
    return WorkResult(values={'device': msgspec.to_builtins(new)})


def extend(job: Job) -> None:
    device = job.work.device
    job.host.driver.extend_volume(job.server, device, (device.volume_size or 0) * GIB)


def snapshot(job: Job) -> None:
    """Make or remove a snapshot that Cinder has asked for."""
    driver, work = job.host.driver, job.work
    act = driver.delete_volume_snapshot if work.delete else driver.create_volume_snapshot
    act(job.server, work.volume_id, work.info)
