"""What the driver does with volumes."""

from typing import Any

from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.volume_usage import VolumeCounters
from kilonova.compute.virt import driver
from kilonova.compute.virt.libvirt.volume.volumes import Volumes


class LibvirtVolumes(driver.Volumes):
    """This part of the driver."""

    _service_host: str
    _volumes: Volumes

    def get_volume_connector(self, server: Server) -> dict[str, Any]:
        return self._volumes.connector(self._service_host)

    def attach_volume(self, server: Server, device: BlockDevice) -> None:
        self._volumes.attach(server, device)

    def detach_volume(self, server: Server, device: BlockDevice) -> None:
        self._volumes.detach(server, device)

    def swap_volume(self, server: Server, old: BlockDevice, new: BlockDevice) -> None:
        self._volumes.swap(server, old, new)

    def extend_volume(self, server: Server, device: BlockDevice, size: int) -> None:
        self._volumes.extend(server, device, size)

    def get_volume_counters(self, server: Server, device: BlockDevice) -> VolumeCounters | None:
        return self._volumes.counters(server, device)

    def create_volume_snapshot(self, server: Server, volume_id: str, info: dict[str, Any]) -> None:
        self._volumes.create_snapshot(server, volume_id, info)

    def delete_volume_snapshot(self, server: Server, volume_id: str, info: dict[str, Any]) -> None:
        self._volumes.delete_snapshot(server, volume_id, info)
