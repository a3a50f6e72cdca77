"""Network interfaces that come and go while a server is there."""

from kilonova.common import exception
from kilonova.common.metadata import devices
from kilonova.common.objects.network import VIF
from kilonova.common.objects.work import WorkResult
from kilonova.compute.work import Job


def attach(job: Job) -> WorkResult:
    """When the guest does not take the port, the port does not stay."""
    host, server, wanted = job.host, job.server, job.work
    again = job.fence.attempt > 1
    vif = host.ports.attach(server, wanted.request, wanted.known, again)
    try:
        host.driver.attach_interface(server, vif)
    except exception.KilonovaError:
        host.ports.detach(vif)
        raise
    job.undo = lambda: _take_out(job, vif)
    if vif.is_told:
        devices.put(host.driver.get_places(server), [vif], [])
    return WorkResult(network_info=[vif])


def detach(job: Job) -> None:
    for vif in job.server.network_info:
        if vif.id == job.work.port_id:
            _take_out(job, vif)


def _take_out(job: Job, vif: VIF) -> None:
    job.host.driver.detach_interface(job.server, vif)
    job.host.ports.detach(vif)
