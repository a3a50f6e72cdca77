"""What ports ask of hosts."""

from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.network import NetworkRequest, Networks, profile_with
from kilonova.common.objects.pci import PciDevice
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.conductor.tasks import port_profiles, port_requests

SPEC = RequestSpec(
    flavor=Flavor(flavorid='1', name='f', vcpus=1, memory_mb=1), project_id='p', user_id='u'
)


class Neutron:
    def __init__(self, *ports) -> None:
        self.ports, self.networks, self.asked = list(ports), [], []

    def find(self, resource, **filters):
        self.asked.append((resource, filters))
        return self.ports if resource == 'ports' else self.networks


def spec(*ports: str) -> RequestSpec:
    found = RequestSpec(flavor=SPEC.flavor, project_id='p', user_id='u')
    found.networks = [NetworkRequest(port_id=port) for port in ports]
    return found


def test_without_ports_nobody_is_asked():
    neutron = Neutron()
    assert port_requests.look(neutron, SPEC, []) is SPEC
    assert neutron.asked == []


def test_groups_of_the_new_form():
    request = {
        'request_groups': [
            {'id': 'g1', 'required': ['CUSTOM_A'], 'resources': {'NET_BW_EGR_KILOBIT_PER_SEC': 5}},
            {'id': 'g2', 'required': [], 'resources': {'NET_PACKET_RATE_KILOPACKET_PER_SEC': 1}},
        ],
        'same_subtree': ['g1', 'g2'],
    }
    neutron = Neutron({'id': 'p1', 'resource_request': request})
    found = port_requests.look(neutron, spec('p1'), [])
    assert neutron.asked == [('ports', {'id': ['p1']})]
    assert [(one.id, one.port_id, one.required) for one in found.port_groups] == [
        ('g1', 'p1', ['CUSTOM_A']),
        ('g2', 'p1', []),
    ]
    assert found.same_subtree == [['g1', 'g2']]


def test_one_group_of_the_old_form_and_a_port_that_asks_for_nothing():
    old = {'required': ['CUSTOM_A'], 'resources': {'NET_BW_EGR_KILOBIT_PER_SEC': 5}}
    neutron = Neutron({'id': 'p1', 'resource_request': old}, {'id': 'p2', 'resource_request': None})
    [group] = port_requests.look(neutron, spec('p1', 'p2'), []).port_groups
    assert (group.id, group.resources) == ('p1', {'NET_BW_EGR_KILOBIT_PER_SEC': 5})


def test_devices_of_ports():
    def port(name: str, kind: str, network: str, **fields):
        return {'id': name, 'binding:vnic_type': kind, 'network_id': network, **fields}

    neutron = Neutron(
        port('p1', 'direct', 'flat'),
        port('p2', 'direct-physical', 'flat', numa_affinity_policy='required'),
        port('p3', 'remote-managed', 'tunnel', **{'binding:profile': {'trusted': True}}),
        port('p4', 'normal', 'flat'),
        port('p5', 'macvtap', 'mapped'),
    )
    neutron.networks = [
        {'id': 'flat', 'provider:physical_network': 'datacentre'},
        {'id': 'tunnel', 'provider:physical_network': None},
        {'id': 'mapped', 'segments': [
            {'provider:physical_network': None}, {'provider:physical_network': 'edge'},
        ]},
    ]  # fmt: skip
    found = port_requests.look(neutron, spec('p1', 'p2', 'p3', 'p4', 'p5'), [])
    assert neutron.asked[1:] == [('networks', {'id': ['flat', 'mapped', 'tunnel']})]
    assert [(one.port_id, one.specs, one.numa_policy) for one in found.pci_requests] == [
        ('p1', [{'physical_network': 'datacentre', 'remote_managed': 'false'}], 'legacy'),
        ('p2', [{'physical_network': 'datacentre', 'remote_managed': 'false',
                 'dev_type': 'type-PF'}], 'required'),
        ('p3', [{'physical_network': '', 'remote_managed': 'true', 'trusted': 'true'}], 'legacy'),
        ('p5', [{'physical_network': 'edge', 'remote_managed': 'false'}], 'legacy'),
    ]  # fmt: skip


def test_networks_get_what_the_host_has_for_them():
    networks = Networks(requests=[NetworkRequest(port_id='p1'), NetworkRequest(network_id='n')])
    to = Selection(
        host='h', node='h', compute_node_uuid='u', availability_zone='z', ports={'p1': {'g': 'r'}}
    )
    device = PciDevice(
        address='0000:81:00.1',
        vendor_id='15b3',
        product_id='101e',
        dev_type='type-VF',
        tags={
            'physical_network': 'datacentre',
            'remote_managed': 'true',
            'card_serial_number': 'MT2113X00000',
            'pf_mac_address': '0c:42:a1:de:cf:7c',
            'vf_num': '3',
        },
        port_id='p1',
    )
    other = PciDevice(address='0000:82:00.0', vendor_id='8086', product_id='1572', alias='nic')
    profiles = port_profiles.of(to, [device, other])
    assert profiles == {
        'p1': {
            'allocation': {'g': 'r'},
            'pci_slot': '0000:81:00.1',
            'pci_vendor_info': '15b3:101e',
            'physical_network': 'datacentre',
            'card_serial_number': 'MT2113X00000',
            'pf_mac_address': '0c:42:a1:de:cf:7c',
            'vf_num': 3,
        }
    }
    found = port_profiles.into(networks, profiles)
    assert [entry.profile for entry in found.requests] == [profiles['p1'], {}]
    assert port_profiles.into(networks, port_profiles.of(None, [other])) is networks


def test_a_profile_loses_what_was_of_the_last_host_and_keeps_its_owners_part():
    known = {'trusted': True, 'allocation': {'g': 'old'}, 'pci_slot': '0000:01:00.1'}
    assert profile_with(known, {'allocation': {'g': 'new'}}) == {
        'trusted': True,
        'allocation': {'g': 'new'},
    }
