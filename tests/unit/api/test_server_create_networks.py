"""POST /servers: the networks and ports that a new server gets."""

import pytest

from kilonova.tests.unit.api.creating import UUID


def test_a_list_of_networks_is_checked_in_a_bounded_number_of_requests(cloud):
    networks = [cloud.neutron.add_network() for _ in range(10)]
    entries = [{'uuid': n['id'], 'tag': f't{i}'} for i, n in enumerate(networks)]
    request = cloud.create('2.42', networks=entries)
    assert [r.network_id for r in request.networks.requests] == [n['id'] for n in networks]
    assert request.networks.requests[3].tag == 't3'
    assert len(cloud.neutron.requests) == 2  # the networks, and the quota


def test_ports_and_fixed_addresses(cloud):
    network = cloud.neutron.add_network()
    port = cloud.neutron.add_port(network)
    entries = [{'port': port['id']}, {'uuid': network['id'], 'fixed_ip': '10.0.0.9'}]
    first, second = cloud.create(networks=entries).networks.requests
    assert (first.port_id, first.network_id) == (port['id'], network['id'])
    assert (second.port_id, second.fixed_ip) == (None, '10.0.0.9')


@pytest.mark.parametrize('version', ['2.36', '2.37'])
def test_the_only_network_is_taken(cloud, version):
    network = cloud.neutron.add_network()
    cloud.neutron.add_network(project='other')
    asked = ... if version == '2.36' else 'auto'
    request = cloud.create(version, networks=asked)
    assert [r.network_id for r in request.networks.requests] == [network['id']]


def test_shared_networks_count(cloud):
    cloud.neutron.add_network()
    cloud.neutron.add_network(project='other', shared=True)
    assert cloud.refused(networks='auto') == 409
    assert cloud.refused('2.36', networks=...) == 409


def test_without_networks_auto_needs_a_topology(cloud):
    assert cloud.create('2.36', networks=...).networks.mode == 'none'
    assert cloud.create(networks='auto').networks.mode == 'auto'
    cloud.neutron.topology = False
    cloud.conductor.calls.clear()
    assert cloud.refused(networks='auto') == 400


def test_the_port_quota_limits_the_number_of_servers(cloud):
    network = cloud.neutron.add_network()
    cloud.neutron.port_quota = 3
    cloud.neutron.add_port(network)
    entries = [{'uuid': network['id']}]
    assert cloud.create(networks=entries, min_count=1, max_count=5).max_count == 2
    cloud.conductor.calls.clear()
    assert cloud.refused(networks=entries, min_count=3) == 403


def network_mistakes():
    """Name → (what is asked for, given a Neutron; status)."""
    unknown = '11111111-2222-3333-4444-555555555555'

    def port(**values):
        return lambda neutron: [{'port': neutron.add_port(neutron.add_network(), **values)['id']}]

    def network(**values):
        return lambda neutron: [{'uuid': neutron.add_network(**values)['id']}]

    def taken(neutron):
        net = neutron.add_network()
        neutron.add_port(net, '10.0.0.7', device_id=UUID)
        return [{'uuid': net['id'], 'fixed_ip': '10.0.0.7'}]

    def twice(neutron):
        one = neutron.add_port(neutron.add_network())['id']
        return [{'port': one}, {'port': one}]

    return {
        'unknown network': (lambda _: [{'uuid': unknown}], 400),
        'unknown port': (lambda _: [{'port': unknown}], 400),
        'port in use': (port(device_id='x'), 409),
        'port without address': (port(fixed_ips=[]), 400),
        'port with a fixed IP': (lambda _: [{'port': unknown, 'fixed_ip': '10.0.0.1'}], 400),
        'port twice': (twice, 400),
        'neither': (lambda _: [{}], 400),
        'null port': (lambda _: [{'port': None}], 400),
        'no subnet': (network(subnets=[]), 400),
        'external': (network(**{'router:external': True}), 403),
        'address in use': (taken, 400),
        'unknown key': (lambda _: [{'uuid': unknown, 'x': 1}], 400),
        'not a network id': (lambda _: [{'uuid': 'abc'}], 400),
        'bad address': (lambda _: [{'uuid': unknown, 'fixed_ip': '10.0.0.400'}], 400),
        'some': (lambda _: 'some', 400),
    }


@pytest.mark.parametrize('name', network_mistakes())
def test_networks_that_cannot_be(cloud, name):
    ask, status = network_mistakes()[name]
    assert cloud.refused(networks=ask(cloud.neutron)) == status


def test_ports_and_addresses_are_for_one_server(cloud):
    network = cloud.neutron.add_network()
    port = cloud.neutron.add_port(network)
    for entry in ({'port': port['id']}, {'uuid': network['id'], 'fixed_ip': '10.0.0.9'}):
        assert cloud.refused(networks=[entry], max_count=2) == 400


def test_security_groups_are_looked_up_by_name_or_id(cloud):
    network = cloud.neutron.add_network()
    web = cloud.neutron.add('security-groups', name='web', tenant_id='demo')
    shared = cloud.neutron.add('security-groups', name='shared', tenant_id='other')
    for _ in range(2):
        cloud.neutron.add('security-groups', name='double', tenant_id='demo')
    entries = [{'uuid': network['id']}]
    names = ['web', shared['id']]
    groups = [{'name': name} for name in names]
    assert cloud.create(networks=entries, security_groups=groups).security_groups == names
    cloud.conductor.calls.clear()
    for name, status in (('double', 409), ('missing', 400), ('shared', 400)):
        for networks in (entries, 'none'):
            assert cloud.refused(networks=networks, security_groups=[{'name': name}]) == status
    assert web['id']


def test_neutron_that_does_not_answer_is_a_503_and_nothing_is_made(cloud):
    cloud.neutron.fail = (500, {})
    assert cloud.refused(networks='auto') == 503
