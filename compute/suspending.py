"""Guests that stand still: paused in memory, or suspended to disk."""

from kilonova.compute.work import Job


def pause(job: Job) -> None:
    job.host.driver.pause(job.server)


def unpause(job: Job) -> None:
    job.host.driver.unpause(job.server)


def suspend(job: Job) -> None:
    job.host.driver.suspend(job.server)


def resume(job: Job) -> None:
    job.host.driver.resume(job.server, job.server.network_info)
