"""Devices that guests may have, and their providers."""

import json

import pytest

from kilonova.common import exception
from kilonova.common.objects.pci import PciDevice
from kilonova.compute import pci_inventory, pci_spec
from kilonova.tests.unit.scheduler.builders import make_conf

CARD = {'vendor_id': '8086', 'product_id': '1572'}
DEVICES = [
    PciDevice(address='0000:81:00.0', dev_type='type-PF', label='ens1', **CARD),
    PciDevice(
        address='0000:81:10.1',
        vendor_id='8086',
        product_id='154c',
        dev_type='type-VF',
        parent_addr='0000:81:00.0',
    ),
    PciDevice(address='0000:82:00.0', **CARD),
]


def usable(*entries: object) -> list[str]:
    conf = make_conf(pci__device_spec=[json.dumps(entry) for entry in entries])
    return [device.address for device in pci_spec.usable(conf, DEVICES)]


@pytest.mark.parametrize(
    ('entry', 'expected'),
    [
        ({'vendor_id': '8086', 'product_id': '154c'}, ['0000:81:10.1']),
        ({'vendor_id': '8086'}, [device.address for device in DEVICES]),
        ({'address': '0000:82:00.*'}, ['0000:82:00.0']),
        ({'address': '*:81:*.*'}, ['0000:81:00.0', '0000:81:10.1']),
        ({'address': '0000:81:00.0', 'product_id': '154c'}, ['0000:81:10.1']),
        ({'address': {'bus': '8[2-3]'}}, ['0000:82:00.0']),
        ({'devname': 'ens1'}, ['0000:81:00.0']),
        ([{'product_id': '154c'}, {'address': ':82:00'}], ['0000:81:10.1', '0000:82:00.0']),
    ],
)
def test_which(entry, expected):
    if entry == [{'product_id': '154c'}, {'address': ':82:00'}]:
        entry[1]['address'] = '0000:82:00'
    assert usable(entry) == expected


def test_nothing_is_usable_without_a_word():
    assert usable() == []


def test_tags():
    conf = make_conf(pci__device_spec=['{"product_id": "1572", "physical_network": "phys"}'])
    assert pci_spec.usable(conf, DEVICES)[0].tags == {'physical_network': 'phys'}


@pytest.mark.parametrize(
    'text',
    [
        '{',
        '1',
        '{"address": "0:0:0.0", "devname": "x"}',
        '{"vendor_id": "xyz"}',
        '{"address": "1"}',
    ],
)
def test_malformed(text):
    with pytest.raises(exception.PciInvalidSpec):
        pci_spec.usable(make_conf(pci__device_spec=[text]), DEVICES)


def test_providers():
    tagged = PciDevice(
        address='0000:83:00.0', tags={'resource_class': 'gpu', 'traits': 'fast'}, **CARD
    )
    found = {one.name: one for one in pci_inventory.providers('h1', [*DEVICES, tagged])}
    assert found['h1_0000:81:00.0'].inventories['CUSTOM_PCI_8086_154C']['total'] == 1
    assert found['h1_0000:82:00.0'].inventories['CUSTOM_PCI_8086_1572']['total'] == 1
    assert found['h1_0000:83:00.0'].inventories.keys() == {'CUSTOM_GPU'}
    assert 'CUSTOM_FAST' in found['h1_0000:83:00.0'].traits
    assert all(one.parent == 'h1' for one in found.values())
