import pytest

from kilonova.common import exception
from kilonova.common.clients import vif
from kilonova.common.clients.neutron import BATCH, Neutron
from kilonova.tests.unit.api.fellows import FakeAdapter, FakeNeutron


@pytest.fixture
def fake():
    return FakeNeutron()


@pytest.fixture
def neutron(fake):
    return Neutron(FakeAdapter(fake))


def refuse(fake, status, kind='', message='no'):
    fake.fail = (status, {'NeutronError': {'type': kind, 'message': message, 'detail': ''}})


def test_own_and_shared_networks_are_usable(fake, neutron):
    own = fake.add_network()
    shared = fake.add_network(project='other', shared=True)
    both = fake.add_network(shared=True)
    fake.add_network(project='other')
    down = fake.add_network(admin_state_up=False)
    ids = [network['id'] for network in neutron.usable_networks('demo')]
    assert ids == [own['id'], down['id'], shared['id'], both['id']]
    assert down['id'] not in [n['id'] for n in neutron.usable_networks('demo', only_up=True)]


def test_long_lists_of_ids_are_asked_for_in_batches(fake, neutron):
    ids = [fake.add_network()['id'] for _ in range(BATCH * 2 + 1)]
    assert {network['id'] for network in neutron.list_networks(id=ids)} == set(ids)
    assert len(fake.requests) == 3
    assert neutron.list_networks(id=[]) == []
    assert len(fake.requests) == 3


def test_pages_are_followed(fake, neutron):
    fake.page_size = 2
    for _ in range(5):
        fake.add_network()
    assert len(neutron.list_networks()) == 5
    assert len(fake.requests) == 3


def test_show(fake, neutron):
    network = fake.add_network()
    port = fake.add_port(network)
    assert neutron.show_network(network['id'])['name'] == 'private'
    assert neutron.show_port(port['id'])['id'] == port['id']
    for missing in ('11111111-2222-3333-4444-555555555555', '../quotas'):
        with pytest.raises(exception.NetworkNotFound):
            neutron.show_network(missing)
        with pytest.raises(exception.PortNotFound):
            neutron.show_port(missing)


def test_ports_are_made_changed_and_deleted(fake, neutron):
    network = fake.add_network()
    first = neutron.create_port({'network_id': network['id'], 'device_id': 'd'})
    more = neutron.create_ports([{'network_id': network['id'], 'device_id': 'd'}] * 2)
    assert [p['id'] for p in neutron.ports_of('d')] == [first['id'], *(p['id'] for p in more)]
    assert neutron.update_port(first['id'], {'name': 'x'})['name'] == 'x'
    assert neutron.delete_port(first['id'])
    assert not neutron.delete_port(first['id'])
    with pytest.raises(exception.PortNotFound):
        neutron.update_port(first['id'], {})
    assert len([r for r in fake.requests if r[0] == 'POST']) == 2


@pytest.mark.parametrize(
    ('status', 'kind', 'error'),
    [
        (409, 'OverQuota', exception.PortLimitExceeded),
        (409, 'IpAddressGenerationFailure', exception.NoMoreFixedIps),
        (409, 'IpAddressInUse', exception.FixedIpAlreadyInUse),
        (409, 'IpAddressAlreadyAllocated', exception.FixedIpAlreadyInUse),
        (404, 'NetworkNotFound', exception.NetworkNotFound),
        (400, 'InvalidIpForNetwork', exception.NeutronRefused),
        (403, 'PolicyNotAuthorized', exception.Forbidden),
        (401, '', exception.FellowServiceError),
        (503, '', exception.FellowServiceError),
    ],
)
def test_refusals_are_typed(fake, neutron, status, kind, error):
    refuse(fake, status, kind)
    with pytest.raises(error) as caught:
        neutron.create_port({'network_id': 'n1'})
    assert type(caught.value) is error


def test_a_refusal_that_is_no_json(fake, neutron):
    fake.fail = (400, None)
    with pytest.raises(exception.NeutronRefused, match='HTTP 400'):
        neutron.list_ports()


def test_free_ports(fake, neutron):
    assert neutron.free_ports('demo') is None
    network = fake.add_network()
    fake.add_port(network)
    fake.port_quota = 3
    assert neutron.free_ports('demo') == 2
    fake.port_quota = 0
    assert neutron.free_ports('demo') == 0
    refuse(fake, 403)
    assert neutron.free_ports('demo') is None


def test_security_groups(fake, neutron):
    web = fake.add('security-groups', name='web', tenant_id='demo')
    shared = fake.add('security-groups', name='web', tenant_id='other')
    found = neutron.security_groups('demo', ['web', shared['id'], 'web'])
    assert [group['id'] for group in found] == [web['id'], shared['id']]
    assert len(fake.requests) == 2
    with pytest.raises(exception.SecurityGroupNotFound):
        neutron.security_groups('demo', ['missing'])
    fake.add('security-groups', name='web', tenant_id='demo')
    with pytest.raises(exception.SecurityGroupAmbiguous):
        neutron.security_groups('demo', ['web'])
    # An id is never ambiguous.
    assert neutron.security_groups('demo', [web['id']]) == [web]
    assert neutron.security_groups('demo', []) == []


def test_auto_allocated_topology(fake, neutron):
    assert neutron.auto_allocated_network('demo', dry_run=True) is None
    assert neutron.auto_allocated_network('demo')
    fake.topology = False
    with pytest.raises(exception.UnableToAutoAllocateNetwork):
        neutron.auto_allocated_network('demo', dry_run=True)


def test_vifs_take_three_requests_whatever_the_number_of_ports(fake, neutron):
    network = fake.add_network(mtu=1400)
    ports = [fake.add_port(network, f'10.0.0.{n}', **{'binding:vif_type': 'ovs'}) for n in range(9)]
    ports[0].update({'status': 'ACTIVE', 'binding:vif_details': {'bridge_name': 'br-x'}})
    fake.add(
        'floatingips',
        port_id=ports[0]['id'],
        fixed_ip_address='10.0.0.0',
        floating_ip_address='172.24.4.9',
    )
    vifs = vif.build(neutron, ports, preserve={ports[1]['id']}, tags={ports[2]['id']: 't'})
    assert len(fake.requests) == 3
    first, second, third, *_ = vifs
    assert (first.active, first.bridge, first.label, first.mtu) == (True, 'br-x', 'private', 1400)
    assert first.fixed_ips[0].floating_ips == ['172.24.4.9']
    assert first.devname == ('tap' + first.id)[:14]
    subnet = first.subnets[0]
    assert (subnet.dns, subnet.gateway, subnet.dhcp) == (['8.8.8.8'], '10.0.0.1', True)
    assert (subnet.routes[0].cidr, subnet.routes[0].gateway) == ('10.9.0.0/16', '10.0.0.254')
    assert (second.preserve_on_delete, second.bridge, second.active) == (True, 'br-int', False)
    assert (third.tag, third.preserve_on_delete) == ('t', False)


def test_a_linux_bridge_is_named_after_the_network(fake, neutron):
    network = fake.add_network()
    port = fake.add_port(network, **{'binding:vif_type': 'bridge'})
    assert vif.build(neutron, [port])[0].bridge == ('brq' + network['id'])[:14]


def test_without_ports_nothing_is_asked(fake, neutron):
    assert vif.build(neutron, []) == []
    assert fake.requests == []


def test_a_cloud_without_routers_has_no_floating_ips(fake, neutron, monkeypatch):
    monkeypatch.setattr(fake, 'answer', lambda *args, **kwargs: (404, None))
    assert neutron.floating_ips_of(['p1']) == []
