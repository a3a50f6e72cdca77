"""Cold moves: the source leaves a guest, the destination makes it, one of them lets go."""

import msgspec

from kilonova.common import exception
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.compute import plugging
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.work import Job


def _server(job: Job) -> Server:
    """Return the server with the flavor that the guest here is to have."""
    return msgspec.structs.replace(job.server, flavor=job.work.flavor)


def ports(job: Job) -> list[VIF]:
    """Return the ports as Neutron binds them now."""
    return job.host.ports.describe(job.server) if job.server.network_info else []


def prepare(job: Job) -> None:
    job.host.driver.prepare_move(_server(job), job.work.flavor)


def leave(job: Job) -> WorkResult:
    server, wanted = job.server, job.work.flavor
    if not server.boots_from_volume and wanted.root_gb < server.flavor.root_gb:
        raise exception.ResizeError(reason='Unable to resize disk down.')
    data = job.host.driver.leave(
        server, server.network_info, wanted, job.host.shutdown_timeout(server)
    )
    devices = job.host.volumes.hand_back(server)
    return WorkResult(values=data, devices=devices, power_state=PowerState.SHUTDOWN)


def finish(job: Job) -> WorkResult:
    """Make the guest; when nobody wants it any more, it goes again."""
    host, server = job.host, _server(job)
    with (
        host.events.expect(server.uuid) as expectation,
        host.volumes.taken_over(server) as devices,
    ):
        vifs = ports(job)
        job.undo = lambda: host.driver.destroy(server, vifs)
        job.task.check()
        host.driver.finish_move(
            server,
            vifs,
            job.work.data,
            (lambda start: plugging.start_and_wait(host, job.task, vifs, expectation, start))
            if job.work.power_on
            else None,
        )
    return WorkResult(network_info=vifs, devices=devices)


def abandon(job: Job) -> WorkResult:
    job.host.told.pop(job.server.uuid, None)
    job.host.driver.destroy(_server(job), job.server.network_info)
    return WorkResult(devices=job.host.volumes.hand_back(job.server))


def revert(job: Job) -> WorkResult:
    vifs = ports(job)
    with job.host.volumes.taken_over(job.server) as devices:
        job.host.driver.revert_move(_server(job), vifs, job.work.power_on)
    return WorkResult(network_info=vifs, devices=devices)


def confirm(job: Job) -> None:
    job.host.driver.confirm_move(job.server)
