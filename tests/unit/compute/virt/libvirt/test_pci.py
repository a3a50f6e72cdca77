"""The host's PCI devices as libvirt tells of them."""

import pathlib

import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.pci import devices_of
from kilonova.compute.virt.libvirt import pci
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.xml.hostdev import Address
from kilonova.tests.fakes.libvirt import FakeLibvirt


def test_kinds_of_devices(host: Host) -> None:
    card, function, vdpa, gpu = pci.devices(host)
    assert (card.address, card.dev_type, card.label) == ('0000:03:00.0', 'type-PF', 'ens1')
    assert card.tags == {'mac_address': 'aa:bb:cc:00:00:01'}
    assert (function.address, function.dev_type) == ('0000:03:10.0', 'type-VF')
    assert (function.vendor_id, function.product_id) == ('8086', '10ed')
    assert (function.parent_addr, function.label, function.numa_node) == (card.address, 'ens1', 1)
    assert (vdpa.address, vdpa.dev_type) == ('0000:03:10.2', 'vdpa')
    assert (gpu.address, gpu.dev_type, gpu.numa_node) == ('0000:81:00.0', 'type-PCI', None)


def test_only_what_is_offered_is_reported(
    conf: cfg.ConfigOpts, host: Host, library: FakeLibvirt
) -> None:
    assert pci.report(conf, host) == []
    assert 'listAllDevices' not in library.connection.calls
    spec = '{"devname": "ens1", "product_id": "10ed", "physical_network": "phys1"}'
    conf.set_override('device_spec', [spec], 'pci')
    found = devices_of(pci.report(conf, host))
    assert [one.address for one in found] == ['0000:03:10.0', '0000:03:10.2']
    assert {one.tags['physical_network'] for one in found} == {'phys1'}


def test_addresses() -> None:
    address = Address.of('0000:81:1f.7')
    assert (address.bus, address.slot, address.function) == ('0x81', '0x1f', '0x7')
    assert str(address) == '0000:81:1f.7'


def test_a_function_without_an_interface(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pci, 'SYS', tmp_path)
    with pytest.raises(exception.VirtDriverError, match='0000:03:10.0 has no network interface'):
        pci.interface_of('0000:03:10.0')
