"""Starting, stopping and rebooting servers."""

from kilonova.compute.work import Job


def start(job: Job) -> None:
    job.host.driver.power_on(job.server, job.server.network_info)


def stop(job: Job) -> None:
    job.host.driver.power_off(job.server, job.host.shutdown_timeout(job.server))


def reboot(job: Job) -> None:
    job.host.driver.reboot(job.server, job.server.network_info, job.work.how)
