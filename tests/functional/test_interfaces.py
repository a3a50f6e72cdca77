"""Interfaces that come and go while a server is there."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud, wait

CLOUD: dict[str, Any] = {'extra': '[fake_driver]\nfail_attach = */stubborn\n'}
NOTHING = '0f7b9b8c-1111-4222-8333-944445555666'
OTHER = 'mallory:evil'


@pytest.fixture(scope='module')
def network(cloud: Cloud) -> str:
    return cloud.neutron.add_network()


@pytest.fixture
def server(cloud: Cloud, flavor: str, image: str, network: str, clean: None) -> Iterator[str]:
    uuid = cloud.boot(flavor, image, [{'uuid': network}])
    cloud.wait_status(uuid, 'ACTIVE')
    yield uuid
    cloud.neutron.mend()
    cloud.neutron.port_quota = 1000


def attach(cloud: Cloud, server: str, version: str = '2.70', **asked: Any) -> Any:
    body = {'interfaceAttachment': asked}
    return cloud.call('POST', f'/servers/{server}/os-interface', body, version=version)


def ports(cloud: Cloud, server: str) -> list[str]:
    return [one['id'] for one in cloud.neutron.ports.values() if one['device_id'] == server]


def addresses(cloud: Cloud, server: str) -> list[str]:
    found = cloud.get(f'/servers/{server}/ips')['addresses']
    return [one['addr'] for label in found.values() for one in label]


def actions(cloud: Cloud, server: str) -> list[tuple[str, str | None]]:
    found = cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']
    return [(one['action'], one['message']) for one in found]


def test_a_port_is_made_and_goes(cloud: Cloud, server: str, network: str) -> None:
    with cloud.counted() as counts:
        answer = attach(cloud, server, net_id=network, tag='public')
    assert answer.status == 200, answer.text
    sent = [one for one in counts.rpc if 'update_network_info' not in one and 'report' not in one]
    assert sent == [
        'call get_server', 'call attach_interface', 'cast perform', 'call work_finished'
    ]  # fmt: skip
    made = answer.json['interfaceAttachment']
    port = cloud.neutron.ports[made['port_id']]
    assert (port['device_id'], port['binding:vif_type']) == (server, 'ovs')
    assert (made['tag'], made['fixed_ips']) == ('public', port['fixed_ips'])
    listed = cloud.get(f'/servers/{server}/os-interface', version='2.70')['interfaceAttachments']
    assert made in listed and len(listed) == 2
    assert port['fixed_ips'][0]['ip_address'] in addresses(cloud, server)
    path = f'/servers/{server}/os-interface/{made["port_id"]}'
    assert cloud.call('DELETE', path, token=OTHER).status == 404
    assert cloud.call('DELETE', path).status == 202
    wait(lambda: made['port_id'] not in cloud.neutron.ports, 'the port is gone')
    wait(lambda: len(addresses(cloud, server)) == 1, 'its address is gone')
    assert cloud.call('DELETE', path).status == 404
    assert actions(cloud, server) == [
        ('detach_interface', None), ('attach_interface', None), ('create', None)
    ]  # fmt: skip


def test_a_given_port_is_given_back(cloud: Cloud, server: str, network: str) -> None:
    given = cloud.neutron.make_port(network_id=network)
    assert attach(cloud, server, port_id=given['id']).status == 200
    assert given['device_id'] == server
    assert attach(cloud, server, port_id=given['id']).status == 409
    path = f'/servers/{server}/os-interface/{given["id"]}'
    assert cloud.call('DELETE', path).status == 202
    wait(lambda: given['device_id'] == '', 'the port is free')
    assert given['id'] in cloud.neutron.ports and given['binding:host_id'] == ''
    assert attach(cloud, server, port_id=given['id']).status == 200


def test_an_address_that_was_asked_for(cloud: Cloud, server: str, network: str) -> None:
    subnet = cloud.neutron.things['networks'][network]['subnets'][0]
    address = cloud.neutron.things['subnets'][subnet]['cidr'].replace('.0/24', '.77')
    fixed = [{'ip_address': address}]
    answer = attach(cloud, server, net_id=network, fixed_ips=fixed)
    assert answer.json['interfaceAttachment']['fixed_ips'][0]['ip_address'] == address
    assert attach(cloud, server, net_id=network, fixed_ips=fixed).status == 409
    outside = attach(cloud, server, net_id=network, fixed_ips=[{'ip_address': '192.0.2.1'}])
    assert outside.status == 400 and '192.0.2.1' in outside.text
    assert len(ports(cloud, server)) == 2


def test_the_only_network_need_not_be_named(cloud: Cloud, server: str, network: str) -> None:
    path = f'/servers/{server}/os-interface'
    bodies: list[Any] = [{}, {'interfaceAttachment': {}}]
    for body in bodies:
        assert cloud.call('POST', path, body).json['interfaceAttachment']['net_id'] == network
    second = cloud.neutron.add_network()
    try:
        assert cloud.call('POST', path, {}).status == 400
    finally:
        del cloud.neutron.things['networks'][second]


def test_a_stopped_server(cloud: Cloud, server: str, network: str) -> None:
    assert cloud.action(server, **{'os-stop': None}).status == 202
    cloud.wait_status(server, 'SHUTOFF')
    made = attach(cloud, server, net_id=network)
    assert made.status == 200
    assert cloud.action(server, **{'os-start': None}).status == 202
    cloud.wait_status(server, 'ACTIVE')
    assert made.json['interfaceAttachment']['port_id'] in ports(cloud, server)


@pytest.mark.parametrize(
    'asked, status, words',
    [
        ({'net_id': NOTHING}, 404, NOTHING),
        ({'port_id': NOTHING}, 404, NOTHING),
        ({'net_id': NOTHING, 'port_id': NOTHING}, 400, 'both network_id and port_id'),
        ({'fixed_ips': [{'ip_address': '10.1.0.9'}]}, 400, 'Must input network_id'),
        ({'net_id': 'x'}, 400, 'net_id'),
        ({'tag': 'a,b'}, 400, 'tag'),
        ({'more': 1}, 400, 'more'),
    ],
)
def test_bad_input(
    cloud: Cloud, server: str, network: str, asked: Any, status: int, words: str
) -> None:
    answer = attach(cloud, server, **asked)
    assert answer.status == status and words in answer.text, answer.text
    assert len(ports(cloud, server)) == 1 and actions(cloud, server) == [('create', None)]


def test_networks_and_ports_of_others(cloud: Cloud, server: str) -> None:
    foreign = cloud.neutron.add_network(project='evil')
    port = cloud.neutron.make_port(network_id=foreign)
    external = cloud.neutron.add_network('public', 'admin', **{'router:external': True})
    assert attach(cloud, server, net_id=foreign).status == 404
    assert attach(cloud, server, port_id=port['id']).status == 404
    assert attach(cloud, server, net_id=external).status == 403
    assert port['device_id'] == '' and len(ports(cloud, server)) == 1


def test_no_ports_left(cloud: Cloud, server: str, network: str) -> None:
    cloud.neutron.port_quota = len(cloud.neutron.ports)
    assert attach(cloud, server, net_id=network).status == 403
    # The quota may be exceeded later on, too: then the host hears of it.
    cloud.neutron.break_with(404, 'GET /v2.0/quotas')
    answer = attach(cloud, server, net_id=network)
    assert answer.status == 403 and 'Maximum number of ports' in answer.text
    assert actions(cloud, server)[0] == ('attach_interface', 'Error')
    assert len(ports(cloud, server)) == 1
    assert cloud.get(f'/servers/{server}')['server']['status'] == 'ACTIVE'


@pytest.mark.parametrize('status', [500, 503])
def test_neutron_fails(cloud: Cloud, server: str, network: str, status: int) -> None:
    cloud.neutron.break_with(status, 'POST /v2.0/ports')
    answer = attach(cloud, server, net_id=network)
    assert answer.status == 503 and 'Traceback' not in answer.text
    cloud.neutron.mend()
    cloud.neutron.break_with(status, 'GET /v2.0/subnets')
    assert attach(cloud, server, net_id=network).status == 503
    cloud.neutron.mend()
    assert len(ports(cloud, server)) == 1
    assert attach(cloud, server, net_id=network).status == 200


def test_a_guest_that_takes_no_interface(
    cloud: Cloud, flavor: str, image: str, network: str, clean: None
) -> None:
    uuid = cloud.boot(flavor, image, [{'uuid': network}], name='stubborn')
    cloud.wait_status(uuid, 'ACTIVE')
    answer = attach(cloud, uuid, net_id=network)
    assert answer.status == 500
    assert answer.json['computeFault']['message'] == 'The fake driver was told to fail.'
    assert len(ports(cloud, uuid)) == 1
    (port,) = ports(cloud, uuid)
    assert cloud.call('DELETE', f'/servers/{uuid}/os-interface/{port}').status == 202
    wait(lambda: actions(cloud, uuid)[0] == ('detach_interface', 'Error'), 'it fails')
    assert ports(cloud, uuid) == [port] and len(addresses(cloud, uuid)) == 1


def test_states(cloud: Cloud, server: str, network: str) -> None:
    (port,) = ports(cloud, server)
    path = f'/servers/{server}/os-interface'
    assert cloud.action(server, suspend=None).status == 202
    cloud.wait_status(server, 'SUSPENDED')
    answers = [attach(cloud, server, net_id=network), cloud.call('DELETE', f'{path}/{port}')]
    for answer, action in zip(answers, ('attach_interface', 'detach_interface'), strict=True):
        assert answer.status == 409
        assert answer.json['conflictingRequest']['message'] == (
            f"Cannot '{action}' instance {server} while it is in vm_state suspended"
        )
    assert cloud.action(server, resume=None).status == 202
    cloud.wait_status(server, 'ACTIVE')
    assert cloud.action(server, lock=None).status == 202
    for answer in (
        attach(cloud, server, net_id=network),
        cloud.call('DELETE', f'{path}/{port}'),
        cloud.call('POST', f'/servers/{server}/action', {'addFixedIp': {'networkId': network}},
                   version='2.43'),
    ):  # fmt: skip
        assert answer.status == 409 and 'locked' in answer.text
    assert cloud.action(server, unlock=None).status == 202
    assert ports(cloud, server) == [port]


def test_fixed_ips(cloud: Cloud, server: str, network: str) -> None:
    def act(status: int, **body: Any) -> Any:
        answer = cloud.call('POST', f'/servers/{server}/action', body, version='2.43')
        assert answer.status == status, answer.text
        return answer

    (port,) = ports(cloud, server)
    act(202, addFixedIp={'networkId': network})
    wait(lambda: len(addresses(cloud, server)) == 2, 'the second address is shown')
    second = cloud.neutron.ports[port]['fixed_ips'][1]['ip_address']
    act(202, removeFixedIp={'address': second})
    wait(lambda: second not in addresses(cloud, server), 'the second address is gone')
    assert 'does not have fixed IP' in act(400, removeFixedIp={'address': second}).text
    for nothing in (NOTHING, 'x', 5):
        act(404, addFixedIp={'networkId': nothing})
    cloud.neutron.break_with(409, 'PUT /v2.0/ports')
    assert 'No fixed IP addresses' in act(400, addFixedIp={'networkId': network}).text
    cloud.neutron.mend()
    cloud.neutron.break_with(500)
    act(503, addFixedIp={'networkId': network})
    act(503, removeFixedIp={'address': '192.0.2.1'})
    cloud.neutron.mend()
    body = {'addFixedIp': {'networkId': network}}
    answer = cloud.call('POST', f'/servers/{server}/action', body, version='2.44')
    assert answer.status == 404
    assert len(addresses(cloud, server)) == 1


def test_inject_network_info(cloud: Cloud, server: str) -> None:
    path, body = f'/servers/{server}/action', {'injectNetworkInfo': None}
    assert cloud.call('POST', path, body).status == 403
    (port,) = ports(cloud, server)
    cloud.neutron.ports[port]['fixed_ips'][0]['ip_address'] = '10.1.0.200'
    assert cloud.admin('POST', path, body).status == 202
    wait(lambda: addresses(cloud, server) == ['10.1.0.200'], 'the new address is shown')


def test_two_at_once(cloud: Cloud, server: str, network: str) -> None:
    """Each waits for the other: none takes the other one's place."""
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(attach(cloud, server, net_id=network)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answer.status for answer in answers] == [200] * 4
    assert len(ports(cloud, server)) == len(addresses(cloud, server)) == 5
