"""Tells the conductor how much is read from and written to volumes: for billing."""

from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.objects import block_device
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.volume_usage import VolumeUsage
from kilonova.compute.host import Host

LOG = logging.getLogger(__name__)


def report_all(host: Host) -> None:
    """Report on the volumes of all guests that run here."""
    found = []
    for server in host.conductor.get_host_servers(ctx.get_admin_context(), host.name):
        for device in block_device.volumes(server.block_devices):
            usage = _usage(host, server, device)
            if usage is not None:
                found.append(usage)
    if found:
        host.conductor.report_volume_usage(ctx.get_admin_context(), host.name, found)


def report_last(host: Host, server: Server, device: BlockDevice) -> None:
    """Report on a volume that is about to be detached; it goes all the same when that fails."""
    if host.conf.volume_usage_poll_interval <= 0:
        return
    try:
        usage = _usage(host, server, device)
        if usage is not None:
            host.conductor.report_volume_usage(
                ctx.get_admin_context(), host.name, [usage], ended=True
            )
    except exception.KilonovaError as error:
        LOG.warning('The last usage of volume %s is not told: %s', device.volume_id, error)


def _usage(host: Host, server: Server, device: BlockDevice) -> VolumeUsage | None:
    try:
        counters = host.driver.get_volume_counters(server, device)
    except exception.KilonovaError as error:
        LOG.info('The counters of volume %s cannot be read: %s', device.volume_id, error)
        return None
    if counters is None or device.volume_id is None:
        return None
    return VolumeUsage(
        volume_id=device.volume_id,
        instance_uuid=server.uuid,
        project_id=server.project_id,
        user_id=server.user_id,
        availability_zone=server.availability_zone,
        counters=counters,
    )
