"""Networks, floating IP pools and floating IPs, passed on from Neutron; and Ironic's nodes."""

from typing import Any

import pytest

from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.api import ADMIN, MEMBER, Api
from kilonova.tests.unit.api.passed_on import Fellows

OTHER = 'mallory:evil'
NOTHING = '0f7b9b8c-1111-4222-8333-944445555666'


def _call(api: Api, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
    return api.call(method, path, body, **{'token': MEMBER, **kwargs})


def _check(answer: Any, controller: str, method: str, path: str) -> None:
    operation = reference.operations(controller)[method, path, None]
    reference.check(answer, reference.schema_for(operation, 'response', '2.1'))


@pytest.fixture
def public(fellows: Fellows) -> str:
    return fellows.neutron.add_network('public', 'admin', **{'router:external': True})


# -- networks


@pytest.mark.parametrize('path', ['/os-networks', '/os-tenant-networks'])
def test_networks(api: Api, fellows: Fellows, public: str, path: str) -> None:
    own = fellows.neutron.add_network()
    shared = fellows.neutron.add_network('shared', 'admin', shared=True)
    foreign = fellows.neutron.add_network('foreign', 'evil')
    shown = api.get(path, token=MEMBER)['networks']
    assert {one['id']: one['label'] for one in shown} == {
        own: 'private', shared: 'shared', public: 'public',
    }  # fmt: skip
    assert foreign in [one['id'] for one in api.get(path, token=ADMIN)['networks']]
    one = api.get(f'{path}/{own}', token=MEMBER)
    assert one['network'] in shown and one['network']['id'] == own
    controller = path.split('-', 1)[1].replace('-', '_')
    controller = {'networks': 'networks.NetworkController',
                  'tenant_networks': 'tenant_networks.TenantNetworkController'}[controller]  # fmt: skip
    _check({'networks': shown}, controller, 'GET', path)
    _check(one, controller, 'GET', path + '/{id}')
    for missing in (foreign, NOTHING, 'x'):
        fault = _call(api, 'GET', f'{path}/{missing}').fault
        assert fault == ('itemNotFound', 'Network not found')


def test_more_is_shown_to_administrators(api: Api, fellows: Fellows) -> None:
    network = fellows.neutron.add_network()
    own = api.get(f'/os-networks/{network}', token=MEMBER)['network']
    theirs = api.get(f'/os-networks/{network}', token=ADMIN)['network']
    assert len(own) == 11 and len(theirs) == 32
    assert {**theirs, **own} == theirs
    samples = dict(reference.samples('os-networks'))
    assert theirs.keys() == samples['os-networks/network-show-resp.json']['network'].keys()
    assert {name for name, value in theirs.items() if value is not None} == {'id', 'label'}


def test_pools(api: Api, fellows: Fellows, public: str) -> None:
    nameless = fellows.neutron.add_network('', 'admin', **{'router:external': True})
    fellows.neutron.add_network()
    shown = api.get('/os-floating-ip-pools', token=MEMBER)
    assert shown == {'floating_ip_pools': [{'name': 'public'}, {'name': nameless}]}
    _check(shown, 'floating_ip_pools.FloatingIPPoolsController', 'GET', '/os-floating-ip-pools')


# -- floating IPs

FLOATING = 'floating_ips.FloatingIPController'


def _take(api: Api, pool: str = 'public', token: str = MEMBER) -> Any:
    answer = _call(api, 'POST', '/os-floating-ips', {'pool': pool}, token=token)
    assert answer.status == 200
    return answer.json['floating_ip']


def test_floating_ip_life(api: Api, fellows: Fellows, public: str) -> None:
    first, second = _take(api), _take(api, public)
    assert first == {
        'id': first['id'], 'ip': '10.1.0.10', 'fixed_ip': None, 'instance_id': None,
        'pool': 'public',
    }  # fmt: skip
    listed = api.get('/os-floating-ips', token=MEMBER)
    assert listed == {'floating_ips': [first, second]}
    _check(listed, FLOATING, 'GET', '/os-floating-ips')
    shown = api.get(f'/os-floating-ips/{second["id"]}', token=MEMBER)
    assert shown == {'floating_ip': second}
    _check(shown, FLOATING, 'GET', '/os-floating-ips/{id}')
    answer = _call(api, 'DELETE', f'/os-floating-ips/{first["id"]}')
    assert (answer.status, answer.body) == (202, b'')
    assert list(fellows.neutron.things['floatingips']) == [second['id']]
    assert api.conductor.events == []


def test_floating_ips_are_a_project_s_own(api: Api, fellows: Fellows, public: str) -> None:
    mine, theirs = _take(api), _take(api, token=OTHER)
    for token, shown in ((MEMBER, mine), (OTHER, theirs)):
        found = api.get('/os-floating-ips', token=token)['floating_ips']
        assert [one['id'] for one in found] == [shown['id']]
    assert api.get('/os-floating-ips', token=ADMIN)['floating_ips'] == []
    for method in ('GET', 'DELETE'):
        for missing in (theirs['id'], NOTHING, 'x'):
            fault = _call(api, method, f'/os-floating-ips/{missing}').fault
            assert fault == ('itemNotFound', f'Floating IP not found for ID {missing}')
    assert len(fellows.neutron.things['floatingips']) == 2


def test_attached_floating_ips(api: Api, fellows: Fellows, public: str) -> None:
    network = fellows.neutron.add_network()
    port = fellows.neutron.make_port(network_id=network, device_id='a-server')
    floating = _take(api)
    fellows.neutron.things['floatingips'][floating['id']].update(
        port_id=port['id'], fixed_ip_address='10.2.0.10'
    )
    shown = api.get(f'/os-floating-ips/{floating["id"]}', token=MEMBER)['floating_ip']
    assert (shown['instance_id'], shown['fixed_ip']) == ('a-server', '10.2.0.10')
    fellows.neutron.requests.clear()
    for _ in range(5):
        api.get('/os-floating-ips', token=MEMBER)
    assert len(fellows.neutron.requests) == 15
    assert _call(api, 'DELETE', f'/os-floating-ips/{floating["id"]}').status == 202
    assert [(one.name, one.server_uuid) for one in api.conductor.events] == [
        ('network-changed', 'a-server')
    ]


@pytest.mark.parametrize('body', [None, {}, {'pool': None}, {'pool': 'nova'}, {'more': 1}])
def test_default_pool(api: Api, fellows: Fellows, body: Any) -> None:
    fault = _call(api, 'POST', '/os-floating-ips', body).fault
    assert fault == ('itemNotFound', 'Floating IP pool not found.')
    fellows.neutron.add_network('nova', 'admin', **{'router:external': True})
    assert _call(api, 'POST', '/os-floating-ips', body).status == 200


def test_bad_pools(api: Api, fellows: Fellows, public: str) -> None:
    private = fellows.neutron.add_network('private')
    for pool in ('nope', 'private', private, NOTHING):
        assert _call(api, 'POST', '/os-floating-ips', {'pool': pool}).status == 404
    fellows.neutron.add_network('public', 'admin', **{'router:external': True})
    assert _call(api, 'POST', '/os-floating-ips', {'pool': 'public'}).status == 400
    for body in ({'pool': 5}, [], 'x'):
        assert _call(api, 'POST', '/os-floating-ips', body).status == 400
    assert fellows.neutron.things['floatingips'] == {}


def test_pool_without_addresses(api: Api, fellows: Fellows, public: str) -> None:
    fellows.neutron.floating_quota = 0
    name, message = _call(api, 'POST', '/os-floating-ips', {'pool': 'public'}).fault
    assert name == 'forbidden' and 'Quota exceeded' in message
    fellows.neutron.floating_quota = 100
    subnet = fellows.neutron.things['networks'][public]['subnets'][0]
    fellows.neutron.things['subnets'][subnet]['cidr'] = '192.0.2.0/30'
    fault = _call(api, 'POST', '/os-floating-ips', {'pool': 'public'}).fault
    assert fault == ('itemNotFound', 'No more floating IPs in pool public.')


# -- all of them

READS = ['/os-networks', f'/os-networks/{NOTHING}', '/os-tenant-networks',
         f'/os-tenant-networks/{NOTHING}', '/os-floating-ip-pools', '/os-floating-ips',
         f'/os-floating-ips/{NOTHING}']  # fmt: skip


@pytest.mark.parametrize('path', READS)
@pytest.mark.parametrize('status, ours', [(500, 503), (401, 503), (403, 403), (400, 400)])
def test_neutron_fails(api: Api, fellows: Fellows, path: str, status: int, ours: int) -> None:
    fellows.neutron.break_with(status)
    name, message = _call(api, 'GET', path).fault
    assert message and _call(api, 'GET', path).status == ours
    assert _call(api, 'POST', '/os-floating-ips').status == ours


@pytest.mark.parametrize('path', READS)
def test_only_up_to_their_last_version(api: Api, fellows: Fellows, path: str) -> None:
    assert _call(api, 'GET', path, version='2.35').status in (200, 404)
    fellows.neutron.requests.clear()
    assert _call(api, 'GET', path, version='2.36').status == 404
    assert fellows.neutron.requests == []


# -- Ironic


def test_nodes(api: Api) -> None:
    for path in ('/os-baremetal-nodes', f'/os-baremetal-nodes/{NOTHING}'):
        assert _call(api, 'GET', path, token=ADMIN).fault[0] == 'notImplemented'
        assert 'os-baremetal-nodes' in _call(api, 'GET', path).fault[1]
        assert _call(api, 'GET', path).status == 403
        assert _call(api, 'GET', path, version='2.36').status == 404


@pytest.mark.parametrize(
    'method, path, body, command',
    [
        ('POST', '', {'node': {}}, 'node-create'),
        ('DELETE', '/x', None, 'node-delete'),
        ('POST', '/x/action', {'add_interface': None}, 'port-create'),
        ('POST', '/x/action', {'remove_interface': None}, 'port-delete'),
    ],
)
def test_commands_that_ironic_has(
    api: Api, method: str, path: str, body: Any, command: str
) -> None:
    message = f'Please use Ironic command {command} to perform this action.'
    fault = _call(api, method, f'/os-baremetal-nodes{path}', body).fault
    assert fault == ('badRequest', f'Command not supported. {message}')
    assert _call(api, method, f'/os-baremetal-nodes{path}', body, version='2.36').status == 404
