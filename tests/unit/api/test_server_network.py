"""Floating IPs, security groups and interfaces of a server."""

from typing import Any

import pytest

from kilonova.common.objects.network import FixedIP
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server, make_vif
from kilonova.tests.unit.api.frontdoor import Door
from kilonova.tests.unit.api.passed_on import Fellows

ID, BARE = make_server(1).uuid, make_server(2).uuid
NOTHING = '0f7b9b8c-1111-4222-8333-944445555666'
GROUPS, INTERFACES = f'/servers/{ID}/os-security-groups', f'/servers/{ID}/os-interface'


class World:
    """A server with one port, one without, a floating IP, and two groups."""

    def __init__(self, fellows: Fellows) -> None:
        self.neutron = fellows.neutron
        network = self.neutron.add_network()
        public = self.neutron.add_network('public', 'admin', **{'router:external': True})
        self.default = self.neutron.add_group('default')
        self.web = self.neutron.add_group('web')
        self.port = self.neutron.make_port(
            network_id=network, device_id=ID, security_groups=[self.default]
        )
        address = self.port['fixed_ips'][0]['ip_address']
        vif = make_vif(id=self.port['id'], tag='one', fixed_ips=[
            FixedIP(address='fd00::1', version=6), FixedIP(address=address)
        ])  # fmt: skip
        self.servers = FakeServers(
            make_server(1, network_info=[vif]), make_server(2, network_info=[])
        )
        self.door = Door.open(self.servers).at('2.43')
        self.floating = self.add_floating(public)

    def add_floating(self, network: str, project: str = 'demo') -> dict[str, Any]:
        body = {'floatingip': {'floating_network_id': network, 'tenant_id': project}}
        self.neutron.caller.project = None
        made: dict[str, Any] = self.neutron.create_floating(body=body)[1]['floatingip']
        return made

    def act(self, server: str = ID, status: int = 202, **body: Any) -> str:
        answer = self.door.request('POST', f'/servers/{server}/action', body)
        assert answer.status_int == status, answer.text
        if status == 202:
            assert answer.body == b''
            return ''
        ((_name, fault),) = answer.json.items()
        return str(fault['message'])

    def events(self) -> list[Any]:
        found = [what for name, what in self.servers.calls if name == 'external_events']
        self.servers.calls.clear()
        return found


@pytest.fixture
def world(fellows: Fellows) -> World:
    return World(fellows)


# -- floating IPs


def test_floating_ip(world: World) -> None:
    address, fixed = world.floating['floating_ip_address'], world.port['fixed_ips'][0]['ip_address']
    world.act(addFloatingIp={'address': address})
    assert (world.floating['port_id'], world.floating['fixed_ip_address']) == (
        world.port['id'], fixed
    )  # fmt: skip
    assert world.events() == [[('network-changed', ID)]]
    world.act(addFloatingIp={'address': address, 'fixed_address': fixed})
    world.act(removeFloatingIp={'address': address})
    assert world.floating['port_id'] is None
    world.events()
    message = world.act(status=409, removeFloatingIp={'address': address})
    assert message == f'Floating IP {address} is not associated with instance {ID}.'
    assert world.events() == []


def test_a_floating_ip_moves(world: World) -> None:
    other = world.neutron.make_port(network_id=world.port['network_id'], device_id='other')
    world.floating.update(port_id=other['id'])
    address = world.floating['floating_ip_address']
    assert 'is not associated' in world.act(status=409, removeFloatingIp={'address': address})
    world.act(addFloatingIp={'address': address})
    assert world.floating['port_id'] == world.port['id']
    assert world.events() == [[('network-changed', ID), ('network-changed', 'other')]]


@pytest.mark.parametrize(
    'server, body, status, message',
    [
        (ID, {'address': '192.0.2.99'}, 404, 'floating IP not found'),
        (
            ID, {'address': '10.2.0.10', 'fixed_address': '10.9.9.9'}, 400,
            'Specified fixed address not assigned to instance',
        ),
        (
            ID, {'address': '10.2.0.10', 'fixed_address': 'fd00::1'}, 400,
            'Specified fixed address not assigned to instance',
        ),
        (BARE, {'address': '10.2.0.10'}, 400, 'Instance network is not ready yet'),
        (NOTHING, {'address': '10.2.0.10'}, 404, f'Instance {NOTHING} could not be found.'),
        (ID, {'address': 'x'}, 400, None),
        (ID, {'fixed_address': '10.2.0.10'}, 400, None),
        (ID, {'address': '10.2.0.10', 'more': 1}, 400, None),
    ],
)  # fmt: skip
def test_floating_ips_that_cannot_be_added(
    world: World, server: str, body: Any, status: int, message: str | None
) -> None:
    said = world.act(server, status, addFloatingIp=body)
    assert message in (None, said)
    assert world.floating['port_id'] is None and world.events() == []


def test_what_neutron_refuses(world: World) -> None:
    world.neutron.break_with(404, 'PUT')
    address = world.floating['floating_ip_address']
    message = world.act(status=400, addFloatingIp={'address': address})
    assert message.startswith(f'Unable to associate floating IP {address} to fixed IP')
    world.neutron.mend()
    world.servers.servers[ID].network_info[0].fixed_ips = [FixedIP(address='::1', version=6)]
    message = world.act(status=400, addFloatingIp={'address': address})
    assert message == 'No fixed IPs associated to instance'
    world.servers.servers[ID].network_info[0].fixed_ips = [FixedIP(address='10.1.0.77')]
    message = world.act(status=400, addFloatingIp={'address': address})
    assert 'does not have fixed ip 10.1.0.77' in message
    message = world.act(status=404, removeFloatingIp={'address': '192.0.2.99'})
    assert message == 'Floating IP not found for address 192.0.2.99.'
    assert world.events() == []


def test_the_floating_ip_of_another_project(world: World) -> None:
    theirs = world.add_floating(world.floating['floating_network_id'], 'evil')
    for action in ('addFloatingIp', 'removeFloatingIp'):
        world.act(status=404, **{action: {'address': theirs['floating_ip_address']}})
    assert theirs['port_id'] is None


# -- security groups


def test_groups_of_a_server(world: World) -> None:
    shown = world.door.ok('GET', GROUPS)
    reference.check(shown, reference.schema_for(
        reference.operations('security_groups.ServerSecurityGroupController')[
            'GET', '/servers/{server_id}/os-security-groups', None], 'response', '2.43',
    ))  # fmt: skip
    assert [one['name'] for one in shown['security_groups']] == ['default']
    bare = world.door.ok('GET', GROUPS.replace(ID, BARE))
    assert bare == {'security_groups': []}
    assert world.door.at('2.102').refused('GET', f'{GROUPS}?x=1') == 400


def test_into_a_group_and_out_again(world: World) -> None:
    world.act(addSecurityGroup={'name': 'web'})
    assert world.port['security_groups'] == [world.default, world.web]
    assert world.servers.servers[ID].security_groups == ['default', 'web']
    message = world.act(status=400, addSecurityGroup={'name': world.web})
    assert message == f'Security group web is already associated with the instance {ID}'
    world.act(removeSecurityGroup={'name': 'default'})
    assert world.port['security_groups'] == [world.web]
    world.act(removeSecurityGroup={'name': world.web})
    assert world.servers.servers[ID].security_groups == []
    message = world.act(status=404, removeSecurityGroup={'name': 'web'})
    assert message == f'Security group web not associated with the instance {ID}'
    assert world.door.ok('GET', GROUPS) == {'security_groups': []}


def test_only_ports_that_can_be_guarded(world: World) -> None:
    network = world.port['network_id']
    open_port = world.neutron.make_port(
        network_id=network, device_id=ID, port_security_enabled=False
    )
    other = world.neutron.make_port(network_id=network, device_id=ID)
    world.act(addSecurityGroup={'name': 'web'})
    assert open_port['security_groups'] == []
    assert other['security_groups'] == [world.web]


@pytest.mark.parametrize('action', ['addSecurityGroup', 'removeSecurityGroup'])
def test_groups_that_are_not_there(world: World, action: str) -> None:
    foreign = world.neutron.add_group('theirs', 'evil')
    for name in ('nope', 'theirs', foreign, NOTHING):
        assert 'not found' in world.act(status=404, **{action: {'name': name}})
    assert world.act(status=400, **{action: {'name': ' '}}) == 'Security group name cannot be empty'
    for body in ({'name': ''}, {}, {'name': 'web', 'more': 1}, 'web', None):
        world.act(status=400, **{action: body})
    message = world.act(BARE, 404, **{action: {'name': 'web'}})
    assert message == f'instance_id {BARE} could not be found as device id on any ports'
    world.neutron.add_group('web')
    assert 'web' in world.act(status=409, **{action: {'name': 'web'}})
    assert world.port['security_groups'] == [world.default]
    assert 'update_server' not in world.servers.names()


# -- interfaces


@pytest.mark.parametrize('version', ['2.1', '2.70', '2.104'])
def test_interfaces(world: World, version: str) -> None:
    expected = {
        'net_id': world.port['network_id'],
        'port_id': world.port['id'],
        'mac_addr': world.port['mac_address'],
        'port_state': world.port['status'],
        'fixed_ips': world.port['fixed_ips'],
    }
    if version != '2.1':
        expected['tag'] = 'one'
    door = world.door.at(version)
    shown = door.ok('GET', INTERFACES)
    assert shown == {'interfaceAttachments': [expected]}
    operations = reference.operations('attach_interfaces.InterfaceAttachmentController')
    operation = operations['GET', '/servers/{server_id}/os-interface', None]
    reference.check(shown, reference.schema_for(operation, 'response', version))
    shown = door.ok('GET', f'{INTERFACES}/{world.port["id"]}')
    assert shown == {'interfaceAttachment': expected}
    assert door.ok('GET', INTERFACES.replace(ID, BARE)) == {'interfaceAttachments': []}


def test_interfaces_that_are_not_there(world: World) -> None:
    foreign = world.neutron.make_port(network_id=world.port['network_id'], device_id='other')
    response = world.door.request('GET', f'{INTERFACES}/{foreign["id"]}')
    assert response.json['itemNotFound']['message'] == (
        f'Instance {ID} does not have a port with id {foreign["id"]}'
    )
    for missing in (NOTHING, 'x', '..%2Fnetworks'):
        assert world.door.refused('GET', f'{INTERFACES}/{missing}') == 404
    assert world.door.at('2.102').refused('GET', f'{INTERFACES}?x=1') == 400


# -- all of them

EVERYTHING = [
    ('GET', GROUPS, None), ('GET', INTERFACES, None), ('GET', f'{INTERFACES}/{NOTHING}', None),
    *(
        ('POST', f'/servers/{ID}/action', body)
        for body in (
            {'addFloatingIp': {'address': '10.2.0.10'}},
            {'removeFloatingIp': {'address': '10.2.0.10'}},
            {'addSecurityGroup': {'name': 'web'}}, {'removeSecurityGroup': {'name': 'default'}},
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize('method, path, body', EVERYTHING)
def test_foreign_servers(world: World, method: str, path: str, body: Any) -> None:
    world.neutron.requests.clear()
    assert world.door.as_user('stranger').refused(method, path, body) == 404
    for other in (NOTHING, 'x'):
        assert world.door.refused(method, path.replace(ID, other), body) == 404
    assert world.neutron.requests == []


@pytest.mark.parametrize('method, path, body', EVERYTHING)
@pytest.mark.parametrize('status', [500, 401])
def test_neutron_fails(world: World, method: str, path: str, body: Any, status: int) -> None:
    world.neutron.break_with(status)
    assert world.door.refused(method, path, body) == 503
    assert world.port['security_groups'] == [world.default]
    assert world.servers.servers[ID].security_groups == ['default']


def test_floating_ip_actions_end_with_2_43(world: World) -> None:
    door = world.door.at('2.44')
    for action in ('addFloatingIp', 'removeFloatingIp'):
        body = {action: {'address': world.floating['floating_ip_address']}}
        assert door.refused('POST', f'/servers/{ID}/action', body) == 404
    assert door.request('POST', f'/servers/{ID}/action',
                        {'addSecurityGroup': {'name': 'web'}}).status_int == 202  # fmt: skip
