"""What ports ask of hosts."""

from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.network import NetworkRequest, Networks
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.conductor.tasks import port_requests

SPEC = RequestSpec(
    flavor=Flavor(flavorid='1', name='f', vcpus=1, memory_mb=1), project_id='p', user_id='u'
)


class Neutron:
    def __init__(self, *ports) -> None:
        self.ports, self.asked = list(ports), []

    def find(self, resource, **filters):
        self.asked.append((resource, filters))
        return self.ports


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


def test_networks_get_what_was_allocated():
    networks = Networks(requests=[NetworkRequest(port_id='p1'), NetworkRequest(network_id='n')])
    to = Selection(
        host='h', node='h', compute_node_uuid='u', availability_zone='z', ports={'p1': {'g': 'r'}}
    )
    found = port_requests.allocated(networks, to)
    assert [entry.allocation for entry in found.requests] == [{'g': 'r'}, None]
    assert port_requests.allocated(networks, None) is networks
