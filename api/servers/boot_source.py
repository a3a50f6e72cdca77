"""What a new server boots from: its image, its block devices, and what Glance and Cinder say of them."""

from typing import Any

from kilonova.api.faults import Fault
from kilonova.api.request import Request
from kilonova.api.servers import block_devices
from kilonova.common import exception
from kilonova.common.clients import cinder, glance
from kilonova.common.objects.block_device import BlockDevice, boots_from_volume, root
from kilonova.common.objects.image import Image

Json = dict[str, Any]

GIB = 1024**3
MULTIATTACH_SINCE = 60
# What Cinder keeps of the image that a volume was made of, beside its properties.
_OF_GLANCE = (
    'checksum', 'container_format', 'disk_format', 'image_id', 'image_name', 'min_disk', 'min_ram',
    'os_hash_algo', 'os_hash_value', 'os_hidden', 'size', 'stores',
)  # fmt: skip


def resolve(request: Request, asked: Json, max_count: int) -> tuple[Image, list[BlockDevice]]:
    """Return the image (its id empty when the root is a volume) and all block devices.

    Raises InvalidBDM kinds, ImageNotFound, VolumeTypeNotFound, Invalid, and Fault.
    """
    image_id, devices, old = block_devices.read(asked)
    if image_id is None and not devices:
        missing = asked.get('imageRef') == ''
        raise Fault(400, 'Missing imageRef attribute' if missing else 'Invalid imageRef provided.')
    image = None
    if image_id is not None:
        image = glance.get_bootable_image(request.conf, request.context, image_id)
    devices = block_devices.combine(image, devices, old)
    block_devices.check(devices)
    _check_root(image, root(devices))
    if max_count > 1 and any(device.source_type == 'volume' for device in devices):
        raise exception.Invalid('Cannot attach one or more volumes to multiple instances')
    lookup = _Lookup(request)
    for device in devices:
        lookup.complete(device)
    found = image or lookup.image_of(root(devices))
    if boots_from_volume(devices):
        found.id = ''
    return found, devices


def _check_root(image: Image | None, disk: BlockDevice | None) -> None:
    """A disk that is copied from an image is copied from the server's image."""
    if image and disk and disk.image_id and not disk.is_volume and disk.image_id != image.id:
        raise exception.InvalidBDMFormat(
            details='The uuid of a local root disk has to be that of imageRef.'
        )


def volumes_zone(request: Request, devices: list[BlockDevice], zone: str | None) -> str | None:
    """Return the zone for a server; without ``[cinder]cross_az_attach`` that of its volumes.

    Raises MismatchVolumeAZ.
    """
    given = [device for device in devices if device.is_given]
    if request.conf.cinder.cross_az_attach or not given:
        return zone
    client = cinder.client(request.conf, request.context)
    zones = [client.show_volume(one.volume_id or '')['availability_zone'] for one in given]
    if len(set(zones)) > 1:
        raise exception.MismatchVolumeAZ(
            reason=f'Volumes are in different availability zones: {",".join(zones)}'
        )
    if zone and zone != zones[0]:
        raise exception.MismatchVolumeAZ(
            reason='Server and volumes are not in the same availability zone. Server is in: '
            f'{zone}. Volumes are in: {zones[0]}'
        )
    return str(zones[0])


class _Lookup:
    """Asks Glance and Cinder as the user, once for each thing."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._images: dict[str, Image] = {}
        self._volumes: dict[str, Json] = {}
        self._snapshots: dict[str, Json] = {}

    def complete(self, device: BlockDevice) -> None:
        """See that a device's source exists, and fill in its size."""
        if device.volume_type:
            device.volume_type = self._client().volume_type(device.volume_type)['name']
        if device.volume_id:
            volume = self._volume(device.volume_id)
            device.volume_size = volume['size']
            device.multiattach = bool(volume.get('multiattach'))
            if device.multiattach and self._request.version.minor < MULTIATTACH_SINCE:
                raise exception.MultiattachNotSupportedOldMicroversion()
        elif device.snapshot_id:
            snapshot = self._snapshot(device.snapshot_id)
            device.volume_size = device.volume_size or snapshot['size']
        elif device.image_id and device.is_volume:
            self._image(device.image_id)

    def image_of(self, device: BlockDevice | None) -> Image:
        """Return what is known of the operating system on the root disk."""
        if device is None or device.source_type == 'blank':
            return Image()
        if device.image_id:
            return self._image(device.image_id)
        volume_id = device.volume_id
        if device.snapshot_id:
            # A snapshot does not show it, but the volume that it was taken of does.
            volume_id = self._snapshot(device.snapshot_id)['volume_id']
        volume = self._volume(volume_id or '')
        if str(volume.get('bootable', True)).lower() != 'true':
            raise exception.InvalidBDMVolumeNotBootable(id=volume['id'])
        return _image_of_volume(volume)

    def _client(self) -> cinder.Cinder:
        return cinder.client(self._request.conf, self._request.context)

    def _image(self, image_id: str) -> Image:
        if image_id not in self._images:
            try:
                self._images[image_id] = glance.get_bootable_image(
                    self._request.conf, self._request.context, image_id
                )
            except exception.ImageNotFound as error:
                raise exception.InvalidBDMImage(id=image_id) from error
        return self._images[image_id]

    def _volume(self, volume_id: str) -> Json:
        if volume_id not in self._volumes:
            try:
                self._volumes[volume_id] = self._client().show_volume(volume_id)
            except (exception.NotFound, exception.Forbidden, exception.Invalid) as error:
                raise exception.InvalidBDMVolume(id=volume_id) from error
        return self._volumes[volume_id]

    def _snapshot(self, snapshot_id: str) -> Json:
        if snapshot_id not in self._snapshots:
            try:
                self._snapshots[snapshot_id] = self._client().show_snapshot(snapshot_id)
            except (exception.NotFound, exception.Forbidden, exception.Invalid) as error:
                raise exception.InvalidBDMSnapshot(id=snapshot_id) from error
        return self._snapshots[snapshot_id]


def _image_of_volume(volume: Json) -> Image:
    metadata: Json = dict(volume.get('volume_image_metadata') or {})
    known = {name: metadata.pop(name, None) for name in _OF_GLANCE}
    return Image(
        size=volume['size'] * GIB,
        disk_format=known['disk_format'],
        container_format=known['container_format'],
        min_disk=_number(known['min_disk']),
        min_ram=_number(known['min_ram']),
        properties=metadata,
    )


def _number(value: Any) -> int:
    """Return what somebody has written into a volume's metadata, if it is a number."""
    return int(value) if str(value).isdecimal() and len(str(value)) < 10 else 0
