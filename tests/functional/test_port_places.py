"""Ports that take something of their host (bandwidth, a PCI device), on boots and on all moves."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common.clients.placement import Placement
from kilonova.tests.functional.cloud import Cloud, wait

BANDWIDTH = 'NET_BW_EGR_KILOBIT_PER_SEC'
CLOUD = {
    'hosts': 2,
    'extra': """
[fake_driver]
pci_devices = 2
[pci]
device_spec = {"vendor_id": "8086", "product_id": "1572", "physical_network": "edge"}
[filter_scheduler]
enabled_filters = ComputeFilter,NUMATopologyFilter,PciPassthroughFilter
""",
}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(scope='module')
def cards(cloud: Cloud) -> dict[str, str]:
    """Give each host a provider of bandwidth, as Neutron does; returns them by host."""
    client, found = Placement(cloud.placement.adapter()), {}
    for hypervisor in cloud.get('/os-hypervisors/detail', token='admin:admin')['hypervisors']:
        root, host = hypervisor['id'], hypervisor['service']['host']
        card = f'{root[:-4]}beef'
        client.ensure_provider(card, f'{host}:agent:eth1', root)
        amount = {'total': 1000, 'max_unit': 1000}
        client.set_inventories(card, {BANDWIDTH: amount})
        client.change_traits(card, add={'CUSTOM_PHYSNET_EDGE'}, remove=set())
        found[host] = card
    return found


@pytest.fixture
def network(cloud: Cloud) -> str:
    return cloud.neutron.add_network(**{'provider:physical_network': 'edge'})


@pytest.fixture(params=['one group', 'several groups'])
def asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    group = {'required': ['CUSTOM_PHYSNET_EDGE'], 'resources': {BANDWIDTH: 600}}
    if request.param == 'one group':
        return group
    return {'request_groups': [{'id': 'a1b2', **group}], 'same_subtree': ['a1b2']}


@pytest.fixture
def dead(cloud: Cloud) -> Iterator[Any]:
    services: list[str] = []

    def kill(host: str) -> None:
        found = cloud.admin('GET', f'/os-services?binary=nova-compute&host={host}').json
        services.append(found['services'][0]['id'])
        cloud.admin('PUT', f'/os-services/{services[-1]}', {'forced_down': True})

    yield kill
    for service in services:
        cloud.admin('PUT', f'/os-services/{service}', {'forced_down': False})


def boot(cloud: Cloud, flavor: str, image: str, port: dict[str, Any]) -> str:
    uuid = cloud.boot(flavor, image, [{'port': port['id']}])
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def host_of(cloud: Cloud, uuid: str) -> str:
    return str(cloud.wait_status(uuid, 'ACTIVE', 'VERIFY_RESIZE')['OS-EXT-SRV-ATTR:host'])


def move(cloud: Cloud, uuid: str, body: dict[str, Any], *status: str) -> None:
    answer = cloud.admin('POST', f'/servers/{uuid}/action', body)
    assert answer.status in (200, 202), answer.text
    cloud.wait_status(uuid, *(status or ('ACTIVE',)))


def check_bandwidth(
    cloud: Cloud, uuid: str, port: dict[str, Any], cards: dict[str, str], asked: dict[str, Any]
) -> None:
    """The profile names the provider that the claim is on, which is of the server's host."""
    host = host_of(cloud, uuid)
    group = 'a1b2' if 'request_groups' in asked else port['id']
    assert port['binding:host_id'] == host
    assert port['binding:profile'] == {'trusted': 'true', 'allocation': {group: cards[host]}}
    held = Placement(cloud.placement.adapter()).get_allocations(uuid).allocations
    assert held[cards[host]]['resources'] == {BANDWIDTH: 600}


def test_bandwidth_goes_with_the_server(
    cloud: Cloud, flavor: str, image: str, network: str, cards: Any, asked: Any, dead: Any
) -> None:
    port = cloud.neutron.make_port(
        network, resource_request=asked, **{'binding:profile': {'trusted': 'true'}}
    )
    larger = cloud.flavor(f'larger-{port["id"]}', ram=1024)
    uuid = boot(cloud, flavor, image, port)
    first = host_of(cloud, uuid)

    def check() -> str:
        check_bandwidth(cloud, uuid, port, cards, asked)
        return host_of(cloud, uuid)

    check()
    resize = {'resize': {'flavorRef': larger}}
    move(cloud, uuid, resize, 'VERIFY_RESIZE')
    assert check() != first
    move(cloud, uuid, {'revertResize': None})
    assert check() == first
    move(cloud, uuid, resize, 'VERIFY_RESIZE')
    cloud.action(uuid, confirmResize=None)
    cloud.wait_status(uuid, 'ACTIVE')
    second = check()
    move(cloud, uuid, {'os-migrateLive': {'host': None, 'block_migration': 'auto'}})
    assert check() == first
    move(cloud, uuid, {'shelve': None}, 'SHELVED_OFFLOADED')
    assert port['binding:profile'] == {'trusted': 'true'}
    move(cloud, uuid, {'unshelve': None})
    third = check()
    dead(third)
    move(cloud, uuid, {'evacuate': {}})
    assert {third, check()} == {first, second}
    cloud.call('DELETE', f'/servers/{uuid}')
    cloud.wait_gone(uuid)
    assert port['binding:profile'] == {'trusted': 'true'}


def slot(port: dict[str, Any]) -> str:
    profile = dict(port['binding:profile'])
    address = str(profile.pop('pci_slot'))
    assert profile == {'pci_vendor_info': '8086:1572', 'physical_network': 'edge'}
    return address


def test_devices_go_with_the_server(
    cloud: Cloud, flavor: str, image: str, network: str, dead: Any
) -> None:
    direct = {'binding:vnic_type': 'direct'}
    ports = [cloud.neutron.make_port(network, **direct) for _ in range(2)]
    uuid = cloud.boot(flavor, image, [{'port': port['id']} for port in ports])
    first = host_of(cloud, uuid)
    assert len({slot(port) for port in ports}) == 2
    move(cloud, uuid, {'migrate': None}, 'VERIFY_RESIZE')
    assert host_of(cloud, uuid) != first
    before = {slot(port) for port in ports}
    move(cloud, uuid, {'revertResize': None})
    assert len({slot(port) for port in ports}) == 2
    move(cloud, uuid, {'os-migrateLive': {'host': None, 'block_migration': 'auto'}})
    assert before == {slot(port) for port in ports}
    move(cloud, uuid, {'shelve': None}, 'SHELVED_OFFLOADED')
    assert [port['binding:profile'] for port in ports] == [{}, {}]
    move(cloud, uuid, {'unshelve': None})
    assert before == {slot(port) for port in ports}
    dead(host_of(cloud, uuid))
    move(cloud, uuid, {'evacuate': {}})
    assert before == {slot(port) for port in ports}


def test_as_many_ports_as_devices(cloud: Cloud, flavor: str, image: str, network: str) -> None:
    direct = {'binding:vnic_type': 'direct'}
    for _ in range(4):
        boot(cloud, flavor, image, cloud.neutron.make_port(network, **direct))
    late = cloud.boot(flavor, image, [{'port': cloud.neutron.make_port(network, **direct)['id']}])
    details = cloud.wait_status(late, 'ERROR')['fault']['details']
    assert 'PciPassthroughFilter: 2 of 2 hosts left out' in details
    assert 'with too few free PCI devices (1 device for port' in details


def test_of_another_physical_network(cloud: Cloud, flavor: str, image: str) -> None:
    elsewhere = cloud.neutron.add_network(**{'provider:physical_network': 'core'})
    port = cloud.neutron.make_port(elsewhere, **{'binding:vnic_type': 'direct'})
    uuid = cloud.boot(flavor, image, [{'port': port['id']}])
    assert 'PciPassthroughFilter' in cloud.wait_status(uuid, 'ERROR')['fault']['details']
    assert port['binding:profile'] == {}


def test_a_remote_managed_port_needs_a_host_that_has_them(
    cloud: Cloud, flavor: str, image: str, network: str
) -> None:
    port = cloud.neutron.make_port(network, **{'binding:vnic_type': 'remote-managed'})
    uuid = cloud.boot(flavor, image, [{'port': port['id']}])
    details = cloud.wait_status(uuid, 'ERROR')['fault']['details']
    assert 'COMPUTE_REMOTE_MANAGED_PORTS' in details


def attach(cloud: Cloud, uuid: str, port: dict[str, Any]) -> Any:
    body = {'interfaceAttachment': {'port_id': port['id']}}
    return cloud.call('POST', f'/servers/{uuid}/os-interface', body)


def test_a_device_comes_with_an_attached_port_and_goes_with_it(
    cloud: Cloud, flavor: str, image: str, network: str
) -> None:
    uuid = boot(cloud, flavor, image, cloud.neutron.make_port(network))
    kind = {'binding:vnic_type': 'direct'}
    ports = [cloud.neutron.make_port(network, **kind) for _ in range(3)]
    for port in ports[:2]:
        assert attach(cloud, uuid, port).status == 200
    slots = {port['binding:profile']['pci_slot'] for port in ports[:2]}
    assert len(slots) == 2
    refused = attach(cloud, uuid, ports[2])
    assert refused.status == 400 and 'no free PCI device' in refused.text
    assert not ports[2]['binding:host_id'] and not ports[2]['device_id']
    path = f'/servers/{uuid}/os-interface/{ports[0]["id"]}'
    assert cloud.call('DELETE', path).status == 202
    wait(lambda: attach(cloud, uuid, ports[2]).status == 200, 'the device is free again')
    assert ports[2]['binding:profile']['pci_slot'] in slots
    assert 'pci_slot' not in (ports[0].get('binding:profile') or {})


def test_a_device_of_an_attachment_that_fails_is_free_again(
    cloud: Cloud, flavor: str, image: str, network: str
) -> None:
    uuid = boot(cloud, flavor, image, cloud.neutron.make_port(network))
    ports = [cloud.neutron.make_port(network, **{'binding:vnic_type': 'direct'}) for _ in range(2)]
    cloud.neutron.break_with(409, f'PUT /v2.0/ports/{ports[0]["id"]}')
    assert attach(cloud, uuid, ports[0]).status >= 400
    cloud.neutron.mend()
    assert [attach(cloud, uuid, port).status for port in ports] == [200, 200]


def held_of(cloud: Cloud, uuid: str) -> dict[str, Any]:
    found = Placement(cloud.placement.adapter()).get_allocations(uuid).allocations
    return {provider: part['resources'] for provider, part in found.items()}


def detach(cloud: Cloud, uuid: str, port: dict[str, Any]) -> None:
    assert cloud.call('DELETE', f'/servers/{uuid}/os-interface/{port["id"]}').status == 202


def test_bandwidth_is_claimed_with_an_attached_port_and_given_back(
    cloud: Cloud, flavor: str, image: str, network: str, cards: Any, asked: Any
) -> None:
    """Also when it is attached and detached again, and by a port that it was booted with."""
    own = cloud.neutron.make_port(network)
    uuid = boot(cloud, flavor, image, own)
    before = held_of(cloud, uuid)
    one, other = (
        cloud.neutron.make_port(
            network, resource_request=asked, **{'binding:profile': {'trusted': 'true'}}
        )
        for _ in range(2)
    )
    for port, next_one in ((one, other), (other, one)):
        assert attach(cloud, uuid, port).status == 200
        check_bandwidth(cloud, uuid, port, cards, asked)
        refused = attach(cloud, uuid, next_one)  # there is not as much for two
        assert refused.status == 400 and 'resource request' in refused.text
        assert not next_one['device_id'] and not next_one['binding:host_id']
        detach(cloud, uuid, port)
        wait(lambda: held_of(cloud, uuid) == before, 'it is given back')
        assert port['binding:profile'] == {'trusted': 'true'}
    assert attach(cloud, uuid, one).status == 200
    move(cloud, uuid, {'os-migrateLive': {'host': None, 'block_migration': 'auto'}})
    check_bandwidth(cloud, uuid, one, cards, asked)
    detach(cloud, uuid, own)
    detach(cloud, uuid, one)
    wait(lambda: BANDWIDTH not in str(held_of(cloud, uuid)), 'it is given back')


def test_bandwidth_of_a_port_from_the_boot_is_given_back(
    cloud: Cloud, flavor: str, image: str, network: str, cards: Any, asked: Any
) -> None:
    port = cloud.neutron.make_port(network, resource_request=asked)
    uuid = boot(cloud, flavor, image, port)
    assert BANDWIDTH in str(held_of(cloud, uuid))
    detach(cloud, uuid, port)
    wait(lambda: BANDWIDTH not in str(held_of(cloud, uuid)), 'it is given back')
    assert attach(cloud, uuid, port).status == 200


def test_bandwidth_of_an_attachment_that_fails_is_given_back(
    cloud: Cloud, flavor: str, image: str, network: str, cards: Any, asked: Any
) -> None:
    uuid = boot(cloud, flavor, image, cloud.neutron.make_port(network))
    before = held_of(cloud, uuid)
    port = cloud.neutron.make_port(network, resource_request=asked)
    cloud.neutron.break_with(409, f'PUT /v2.0/ports/{port["id"]}')
    assert attach(cloud, uuid, port).status >= 400
    cloud.neutron.mend()
    wait(lambda: held_of(cloud, uuid) == before, 'it is given back')
    assert attach(cloud, uuid, port).status == 200


def test_a_device_with_bandwidth_cannot_be_attached(
    cloud: Cloud, flavor: str, image: str, network: str, cards: Any, asked: Any
) -> None:
    uuid = boot(cloud, flavor, image, cloud.neutron.make_port(network))
    kind = {'binding:vnic_type': 'direct'}
    port = cloud.neutron.make_port(network, resource_request=asked, **kind)
    refused = attach(cloud, uuid, port)
    assert refused.status == 400 and 'resource request' in refused.text
    assert not port['device_id'] and not port['binding:host_id']
