"""Volumes of the fake hypervisor's guests."""

import abc
import collections
import threading
from typing import Any

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.volume_usage import VolumeCounters
from kilonova.compute.virt import driver, fake_counters
from kilonova.compute.virt.fake_guest import Guest, clock, reachable


class FakeVolumes(driver.Volumes, abc.ABC):
    """A guest has the volumes that it was given, under the names that it was told."""

    _host: str
    _my_ip: str
    _lock: threading.RLock
    calls: 'collections.Counter[str]'

    @abc.abstractmethod
    def _get(self, uuid: str) -> Guest: ...

    @abc.abstractmethod
    def _matches(self, option: str, server: Server) -> bool: ...

    @abc.abstractmethod
    def _save(self) -> None: ...

    def get_volume_connector(self, server: Server) -> dict[str, Any]:
        return {'host': self._host, 'ip': self._my_ip, 'initiator': f'iqn.fake:{self._host}'}

    def attach_volume(self, server: Server, device: BlockDevice) -> None:
        guest = self._change_volumes(server, 'fail_attach_volume')
        name, volume = device.device_name or '', reachable(self._host, device)
        with self._lock:
            if guest.volumes.get(volume) != name and name in guest.volumes.values():
                raise exception.VirtDriverError(reason=f'The guest has {name} already.')
            guest.volumes[volume] = name
            self._save()

    def detach_volume(self, server: Server, device: BlockDevice) -> None:
        guest = self._change_volumes(server, 'fail_detach_volume')
        with self._lock:
            guest.volumes.pop(device.volume_id or '', None)
            self._save()

    def swap_volume(self, server: Server, old: BlockDevice, new: BlockDevice) -> None:
        guest = self._change_volumes(server, 'fail_attach_volume')
        volume = reachable(self._host, new)
        with self._lock:
            guest.volumes[volume] = guest.volumes.pop(old.volume_id or '', old.device_name or '')
            self._save()

    def extend_volume(self, server: Server, device: BlockDevice, size: int) -> None:
        guest = self._change_volumes(server, 'fail_attach_volume')
        guest.console.append(f'[{clock()}] {device.device_name}: new size {size}')

    def get_volume_counters(self, server: Server, device: BlockDevice) -> VolumeCounters | None:
        guest = self._get(server.uuid)
        if guest.state != driver.PowerState.RUNNING or device.volume_id not in guest.volumes:
            return None
        return fake_counters.volume(guest)

    def create_volume_snapshot(self, server: Server, volume_id: str, info: dict[str, Any]) -> None:
        guest = self._change_volumes(server, 'fail_attach_volume')
        guest.console.append(f'[{clock()}] {volume_id}: {info["new_file"]}')

    def delete_volume_snapshot(self, server: Server, volume_id: str, info: dict[str, Any]) -> None:
        guest = self._change_volumes(server, 'fail_attach_volume')
        guest.console.append(f'[{clock()}] {volume_id}: merged {info.get("file_to_merge")}')

    def _change_volumes(self, server: Server, fails: str) -> Guest:
        self.calls['volumes'] += 1
        guest = self._get(server.uuid)
        if self._matches(fails, server):
            raise exception.VirtDriverError(reason='The fake driver was told to fail.')
        return guest
