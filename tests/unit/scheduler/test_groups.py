"""Ports and PCI devices as groups of the question to placement."""

from urllib import parse

import pytest

from kilonova.common import exception
from kilonova.common.objects.request_spec import PortGroup
from kilonova.scheduler import groups, plain, request
from kilonova.scheduler.hosts import Hosts
from kilonova.tests.fakes.placement_hosts import uuid_of
from kilonova.tests.unit.scheduler.builders import make_conf, make_flavor, make_spec

GROUP, PORT = uuid_of('group'), uuid_of('port')
ALIAS = '{"name": "nic", "vendor_id": "8086", "product_id": "1572", "traits": "gold"}'


def ask(spec, **options) -> dict[str, list[str]]:
    asked = request.from_spec(spec)
    groups.add(asked, spec, make_conf(**options))
    return parse.parse_qs(asked.query(10))


def with_port(**changes):
    port = PortGroup(
        id=GROUP,
        port_id=PORT,
        resources={'NET_BW_EGR_KILOBIT_PER_SEC': 1000},
        required=['CUSTOM_PHYSNET_1', 'CUSTOM_VNIC_TYPE_NORMAL'],
    )
    return make_spec(port_groups=[port], **changes)


def test_a_port_is_a_group_of_its_own():
    found = ask(with_port(same_subtree=[[GROUP]]))
    assert found[f'resources{GROUP}'] == ['NET_BW_EGR_KILOBIT_PER_SEC:1000']
    assert found[f'required{GROUP}'] == ['CUSTOM_PHYSNET_1,CUSTOM_VNIC_TYPE_NORMAL']
    assert found['same_subtree'] == [GROUP]
    assert 'group_policy' not in found  # there is but one group


def test_devices_are_asked_for_when_placement_knows_them():
    spec = make_spec(make_flavor(extra_specs={'pci_passthrough:alias': 'nic:2'}))
    assert not [key for key in ask(spec, pci__alias=[ALIAS]) if 'pci' in key]
    found = ask(spec, pci__alias=[ALIAS], filter_scheduler__pci_in_placement=True)
    assert found['resources-pci-0-0'] == ['CUSTOM_PCI_8086_1572:1']
    assert found['required-pci-0-1'] == ['CUSTOM_GOLD']
    assert found['group_policy'] == ['none']


def test_unknown_alias():
    spec = make_spec(make_flavor(extra_specs={'pci_passthrough:alias': 'gpu:1'}))
    with pytest.raises(exception.PciAliasNotDefined):
        ask(spec, filter_scheduler__pci_in_placement=True)


def test_it_is_not_plain(cloud):
    state = cloud.add('h1', told=True)
    spec = with_port()
    asked = request.from_spec(spec)
    hosts = Hosts([state])
    assert plain.is_plain(asked, hosts)
    groups.add(asked, spec, make_conf())
    assert not plain.is_plain(asked, hosts)


def test_the_selection_says_who_serves_the_port(cloud):
    root = cloud.add('h1', told=True).node.uuid
    agent = uuid_of('agent')
    client = cloud.client
    client.ensure_provider(agent, 'h1:agent', root)
    generation = client.set_inventories(agent, {'NET_BW_EGR_KILOBIT_PER_SEC': {'total': 9000}}, 0)
    for name in ('CUSTOM_PHYSNET_1', 'CUSTOM_VNIC_TYPE_NORMAL'):
        client._send('PUT', f'/traits/{name}')
    client.set_traits(agent, ('CUSTOM_PHYSNET_1', 'CUSTOM_VNIC_TYPE_NORMAL'), generation)
    server = uuid_of('server')
    [[selection]] = cloud.selector().select(with_port(), [server], 1)
    assert selection.ports == {PORT: {GROUP: agent}}
    assert cloud.client.get_allocations(server).allocations[agent] == {
        'resources': {'NET_BW_EGR_KILOBIT_PER_SEC': 1000}
    }
