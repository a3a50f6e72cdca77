"""What guests have moved to and from their volumes."""

from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.compute.virt.libvirt.volume.volumes import Volumes

XML = """<domain><devices>
<disk><target dev='vda'/><serial>other</serial></disk>
<disk><target dev='vdb'/><serial>mine</serial></disk>
</devices></domain>"""
DEVICE = BlockDevice(source_type='volume', destination_type='volume', volume_id='mine')
SERVER: Any = SimpleNamespace(uuid='u', block_devices=[DEVICE])


class Guest:
    def __init__(self, is_on: bool) -> None:
        self._is_on = is_on

    def is_active(self) -> bool:
        return self._is_on

    def live_xml(self) -> Any:
        return etree.fromstring(XML)

    def disk_counters(self, device: str) -> tuple[int, ...]:
        return {'vdb': (7, 3584, 2, -1, 0)}[device]


def _volumes(is_on: bool) -> Volumes:
    guests: Any = SimpleNamespace(find=lambda uuid: Guest(is_on))
    made = Volumes.__new__(Volumes)
    made._guests = guests
    return made


def test_of_a_running_guest() -> None:
    found = _volumes(True).counters(SERVER, DEVICE)
    assert found is not None
    assert (found.reads, found.read_bytes, found.writes, found.write_bytes) == (7, 3584, 2, 0)


def test_of_one_that_is_off() -> None:
    assert _volumes(False).counters(SERVER, DEVICE) is None


def test_of_a_volume_that_it_does_not_have() -> None:
    missing = BlockDevice(source_type='volume', destination_type='volume', volume_id='gone')
    with pytest.raises(exception.VirtDriverError, match='gone'):
        _volumes(True).counters(SERVER, missing)
