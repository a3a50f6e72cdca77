"""What a create request has to satisfy; the messages are those that clients know."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects import block_device
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.server import ServerCreate
from kilonova.db import aggregates, quotas
from kilonova.db.models.cell import ComputeNodeRow

GIB = 1024**3


def check_image(flavor: Flavor, request: ServerCreate) -> None:
    """Raises Invalid when the flavor is too small for the image."""
    root = block_device.root(request.block_devices)
    if root is not None and root.is_volume:
        check_memory(flavor, request.image)
        check_volume_size(request.image, root)
    else:
        check_fits(flavor, request.image, request.zero_disk_allowed)


def check_memory(flavor: Flavor, image: Image) -> None:
    """Raises Invalid when the flavor has less memory than the image asks for."""
    if image.min_ram > flavor.memory_mb:
        raise exception.Invalid("Flavor's memory is too small for requested image.")


def check_fits(flavor: Flavor, image: Image, zero_disk_allowed: bool) -> None:
    """Raises Invalid when the flavor is too small for the image on a local disk."""
    check_memory(flavor, image)
    if flavor.root_gb == 0:
        # The disk would be as large as the image says: nobody but an administrator wants that.
        if image.id and not zero_disk_allowed:
            raise exception.Forbidden(
                'Only volume-backed servers are allowed for flavors with zero disk.'
            )
        return
    disk = flavor.root_gb * GIB
    if image.size > disk:
        raise exception.FlavorDiskSmallerThanImage(flavor_size=disk, image_size=image.size)
    if image.min_disk > flavor.root_gb:
        raise exception.Invalid(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f'Flavor disk is {disk} bytes, minimum size is {image.min_disk * GIB} bytes.'
        )


def check_volume_size(image: Image, root: BlockDevice) -> None:
    """Raises VolumeSmallerThanMinDisk."""
    if root.volume_size is not None and image.min_disk > root.volume_size:
        raise exception.VolumeSmallerThanMinDisk(
            volume_size=root.volume_size * GIB, image_min_disk=image.min_disk * GIB
        )


def check_devices(conf: cfg.ConfigOpts, flavor: Flavor, devices: Sequence[BlockDevice]) -> None:
    """Compare all devices of a server with what the flavor and the configuration allow.

    Raises InvalidBDMEphemeralSize, InvalidBDMSwapSize, InvalidBDMLocalsLimit.
    """
    ephemeral = sum(d.volume_size or flavor.ephemeral_gb for d in devices if d.is_ephemeral)
    if ephemeral > flavor.ephemeral_gb:
        raise exception.InvalidBDMEphemeralSize()
    if any((device.volume_size or 0) > flavor.swap for device in devices if device.is_swap):
        raise exception.InvalidBDMSwapSize()
    most: int = conf.max_local_block_devices
    if 0 <= most < sum(not device.is_volume for device in devices):
        raise exception.InvalidBDMLocalsLimit()


def check_zone(conf: cfg.ConfigOpts, session: Session, zone: str) -> None:
    """Raises Invalid when no host can be in the zone."""
    if zone == conf.default_availability_zone:
        return
    if not any(zone in given for given in aggregates.zones(session).values()):
        raise exception.Invalid('The requested availability zone is not available')


def is_known(session: Session, host: str | None, node: str | None) -> bool:
    """Tell whether a cell has such a host and node."""
    query = sa.select(ComputeNodeRow.id).limit(1)
    if host is not None:
        query = query.where(ComputeNodeRow.host == host)
    if node is not None:
        query = query.where(ComputeNodeRow.hypervisor_hostname == node)
    return session.execute(query).first() is not None


def check_destination(session: Session, host: str | None, node: str | None) -> None:
    """Raises ComputeHostNotFound."""
    if not is_known(session, host, node):
        raise exception.ComputeHostNotFound(host=host or node)


def check_limits(
    conf: cfg.ConfigOpts,
    limits: Mapping[str, int],
    metadata: Mapping[str, Any],
    files: Sequence[tuple[str, str]],
) -> None:
    """See ``quotas.check_one``; files are paths and contents in base64."""
    check_metadata(conf, limits, metadata)
    message = 'Personality file limit exceeded'
    quotas.check_one(conf, limits, 'injected_files', len(files), message)
    # All paths before any content; a path has characters, and content counts as it came.
    for resource, sizes, what in (
        ('injected_file_path_bytes', [len(path) for path, _ in files], 'path'),
        ('injected_file_content_bytes', [len(contents) for _, contents in files], 'content'),
    ):
        message = f'Personality file {what} exceeds maximum {limits[resource]}'
        quotas.check_one(conf, limits, resource, max(sizes, default=0), message)


def check_metadata(
    conf: cfg.ConfigOpts, limits: Mapping[str, int], metadata: Mapping[str, Any]
) -> None:
    """See ``quotas.check_one``."""
    message = f'Maximum number of metadata items exceeds {limits["metadata_items"]}'
    quotas.check_one(conf, limits, 'metadata_items', len(metadata), message)
