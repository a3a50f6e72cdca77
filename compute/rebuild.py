"""Making guests of servers that have ports and a record already."""

from typing import Any

from kilonova.common import exception
from kilonova.common.objects.block_device import root
from kilonova.common.objects.network import VIF
from kilonova.common.objects.work import WorkResult
from kilonova.compute import config_drive, moving, plugging
from kilonova.compute.images import GlanceImages
from kilonova.compute.virt.driver import GuestSpec
from kilonova.compute.work import Job


def rebuild(job: Job) -> WorkResult:
    host, server, wanted = job.host, job.server, job.work
    job.progress('rebuild_block_device_mapping')
    host.driver.destroy(server, server.network_info)
    if wanted.reimage is not None:
        _reimage(job, wanted.reimage)
    job.progress('rebuild_spawning')
    with host.volumes.taken_over(server) as devices:
        changes = spawn(
            job,
            server.network_info,
            wanted.admin_password,
            wanted.personality,
        )
    if not wanted.power_on:
        host.driver.power_off(server, 0)
    return WorkResult(changes=changes, network_info=server.network_info, devices=devices)


def _reimage(job: Job, image_id: str) -> None:
    """Have Cinder write an image to the root disk, and wait until it says that it has."""
    host, disk = job.host, root(job.server.block_devices)
    assert disk is not None
    limit = host.conf.reimage_timeout_per_gb * max(1, disk.volume_size or 1)
    host.volumes.hand_back(job.server)
    with host.events.expect(job.server.uuid) as expectation:
        host.volumes.reimage(disk, image_id)
        expectation.wait([disk.volume_id or ''], limit, job.task, _not_reimaged)


def _not_reimaged(volume_id: str) -> exception.KilonovaError:
    return exception.VirtDriverError(
        reason=f'Cinder did not write the image to volume {volume_id} in time.'
    )


def evacuate(job: Job) -> WorkResult:
    """Make the guest; when nobody wants it any more, it goes again."""
    vifs = moving.ports(job)
    job.undo = lambda: job.host.driver.hand_back(job.server, vifs)
    with job.host.volumes.taken_over(job.server) as devices:
        changes = spawn(job, vifs, job.work.admin_password, [], adopt=True)
    if not job.work.power_on:
        job.host.driver.power_off(job.server, 0)
    return WorkResult(changes=changes, network_info=vifs, devices=devices)


def spawn(
    job: Job,
    vifs: list[VIF],
    admin_password: str | None,
    personality: list[tuple[str, str]],
    adopt: bool = False,
) -> dict[str, Any]:
    """Make the guest with ports that are bound here; return what changes in the record."""
    host, server = job.host, job.server
    tree = None
    if config_drive.is_wanted(host.conf, server):
        tree = config_drive.build(host.conf, server, vifs, personality, admin_password)
    spec = GuestSpec(
        server=server,
        vifs=vifs,
        config_drive=tree,
        admin_password=admin_password,
        personality=personality,
        adopt=adopt,
    )
    images = GlanceImages(host.conf, job.context, server.image)
    with host.events.expect(server.uuid) as expectation:
        changes = host.driver.spawn(
            spec,
            images,
            lambda start: plugging.start_and_wait(host, job.task, vifs, expectation, start),
        )
    kept = server.system_metadata | changes.pop('system_metadata', {})
    return changes | {'config_drive': tree is not None, 'system_metadata': kept}
