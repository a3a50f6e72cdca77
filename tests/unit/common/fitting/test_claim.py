"""Nodes and devices together."""

import msgspec
import pytest

from kilonova.common import exception
from kilonova.common.fitting import pci
from kilonova.common.fitting.claim import claim
from kilonova.common.fitting.guest import GuestNode, Wish
from kilonova.common.fitting.numa import Misfit
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.numa import NumaNode, NumaTopology
from kilonova.common.objects.pci import PciDevice, PciRequest
from kilonova.tests.unit.common.fitting.test_numa import host
from kilonova.tests.unit.scheduler.builders import make_conf, make_host

CARD = {'vendor_id': '8086', 'product_id': '1572'}
SMALL = Wish(nodes=[GuestNode([0, 1], 512, [0, 1])])


def node_with(*devices: PciDevice, cells: int = 2):
    return make_host(
        node_numa_topology=msgspec.to_builtins(host(cells), str_keys=True),
        node_pci_devices=[msgspec.to_builtins(one) for one in devices],
    ).node


def host_nodes(found: Layout) -> list[int]:
    assert found.topology is not None
    return [node.id for node in found.topology.nodes]


def card(address: str, **changes) -> PciDevice:
    return PciDevice(address=address, **{**CARD, **changes})


def ask(count: int = 1, policy: str = 'legacy', **spec: str) -> PciRequest:
    return PciRequest(count=count, specs=[{**CARD, **spec}], alias='nic', numa_policy=policy)


def test_devices_without_topology():
    node = node_with(card('0000:81:00.0'), card('0000:82:00.0'))
    found = claim(node, [], {'0000:81:00.0'}, None, [ask()])
    assert [(one.address, one.alias) for one in found.devices] == [('0000:82:00.0', 'nic')]
    with pytest.raises(Misfit, match='too few free PCI devices'):
        claim(node, [], {'0000:81:00.0'}, None, [ask(2)])


@pytest.mark.parametrize('policy', ['legacy', 'required'])
def test_guest_goes_where_its_device_is(policy):
    node = node_with(card('0000:81:00.0', numa_node=1))
    found = claim(node, [], set(), SMALL, [ask(policy=policy)])
    assert host_nodes(found)[0] == 1


def test_policies_of_nearness():
    far = node_with(card('0000:81:00.0', numa_node=3), cells=2)
    with pytest.raises(Misfit, match='near enough'):
        claim(far, [], set(), SMALL, [ask()])
    assert claim(far, [], set(), SMALL, [ask(policy='preferred')]).devices
    nowhere = node_with(card('0000:81:00.0'))
    assert claim(nowhere, [], set(), SMALL, [ask()]).devices
    with pytest.raises(Misfit, match='near enough'):
        claim(nowhere, [], set(), SMALL, [ask(policy='required')])
    same_socket = node_with(card('0000:81:00.0', numa_node=1))
    pins = dict(enumerate(range(100, 108)))
    full = NumaNode(id=1, vcpus=list(pins), memory_mb=64, cpu_pinning=pins)
    there = [NumaTopology(nodes=[full])]
    found = claim(same_socket, there, set(), SMALL, [ask(policy='socket')])
    assert host_nodes(found)[0] == 0
    with pytest.raises(Misfit):
        claim(same_socket, there, set(), SMALL, [ask(policy='required')])


def test_a_function_is_given_once():
    whole = card('0000:81:00.0', dev_type='type-PF')
    parts = [
        card(f'0000:81:10.{i}', dev_type='type-VF', parent_addr='0000:81:00.0') for i in range(2)
    ]
    node = node_with(whole, *parts)
    assert len(claim(node, [], set(), None, [ask(2, dev_type='type-VF')]).devices) == 2
    with pytest.raises(Misfit):
        claim(node, [], {'0000:81:10.0'}, None, [ask(dev_type='type-PF')])
    with pytest.raises(Misfit):
        claim(node, [], {'0000:81:00.0'}, None, [ask(dev_type='type-VF')])
    both = [ask(dev_type='type-PF'), ask(dev_type='type-VF')]
    with pytest.raises(Misfit):
        claim(node, [], set(), None, both)


def make(specs: dict[str, str], properties=None, *aliases: str):
    conf = make_conf(pci__alias=list(aliases))
    flavor = Flavor(flavorid='1', name='f', vcpus=1, memory_mb=1, extra_specs=specs)
    return pci.requests_of(flavor, Image(properties=properties or {}), pci.aliases_of(conf))


ALIAS = '{"name": "nic", "vendor_id": "8086", "product_id": "1572", "device_type": "type-VF"}'


def test_aliases():
    [found] = make({'pci_passthrough:alias': 'nic:2'}, None, ALIAS)
    assert (found.count, found.alias, found.numa_policy) == (2, 'nic', 'legacy')
    assert found.specs == [{**CARD, 'dev_type': 'type-VF'}]
    specs = {'pci_passthrough:alias': 'nic:1', 'hw:pci_numa_affinity_policy': 'required'}
    assert make(specs, None, ALIAS)[0].numa_policy == 'required'


def test_unknown_alias():
    with pytest.raises(exception.PciAliasNotDefined, match='PCI alias gpu is not defined'):
        make({'pci_passthrough:alias': 'gpu:1'}, None, ALIAS)


@pytest.mark.parametrize('text', ['nic', 'nic:0', 'nic:x', 'nic:1,'])
def test_malformed_request(text):
    with pytest.raises((exception.InvalidTopology, exception.PciAliasNotDefined)):
        make({'pci_passthrough:alias': text}, None, ALIAS)


@pytest.mark.parametrize(
    'alias', ['{', '{"name": "a"}', '{"name": "a", "vendor_id": "zz", "product_id": "1572"}']
)
def test_malformed_alias(alias):
    with pytest.raises(exception.PciInvalidAlias):
        make({'pci_passthrough:alias': 'a:1'}, None, alias)
