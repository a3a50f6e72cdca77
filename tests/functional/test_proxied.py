"""What is passed on to Glance and Neutron, with all daemons behind it."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud, wait

CLOUD: dict[str, Any] = {}
OTHER = 'mallory:evil'


@pytest.fixture(scope='module')
def network(cloud: Cloud) -> str:
    cloud.neutron.add_network('public', 'admin', **{'router:external': True})
    return cloud.neutron.add_network()


@pytest.fixture
def server(
    cloud: Cloud, flavor: str, image: str, network: str, clean: None
) -> Iterator[str]:  # fmt: skip
    uuid = cloud.boot(flavor, image, [{'uuid': network}])
    cloud.wait_status(uuid, 'ACTIVE')
    yield uuid
    cloud.neutron.things['floatingips'].clear()


def _addresses(cloud: Cloud, server: str) -> list[str]:
    (found,) = cloud.get(f'/servers/{server}')['server']['addresses'].values()
    return [one['addr'] for one in found if one['OS-EXT-IPS:type'] == 'floating']


def _act(cloud: Cloud, server: str, version: str = '2.43', **body: Any) -> Any:
    return cloud.call('POST', f'/servers/{server}/action', body, version=version)


def test_a_floating_ip_is_shown_with_its_server(cloud: Cloud, server: str) -> None:
    body = {'pool': 'public'}
    made = cloud.call('POST', '/os-floating-ips', body, version='2.35').json['floating_ip']
    with cloud.counted() as counts:
        assert _act(cloud, server, addFloatingIp={'address': made['ip']}).status == 202
    called = [message for message in counts.rpc if message.startswith('call')]
    assert called[:2] == ['call get_server', 'call external_events']
    wait(lambda: _addresses(cloud, server) == [made['ip']], 'the floating IP is shown')
    shown = cloud.get(f'/os-floating-ips/{made["id"]}', version='2.35')['floating_ip']
    assert shown['instance_id'] == server
    foreign = cloud.call('GET', f'/os-floating-ips/{made["id"]}', token=OTHER, version='2.35')
    assert foreign.status == 404
    assert _act(cloud, server, removeFloatingIp={'address': made['ip']}).status == 202
    wait(lambda: _addresses(cloud, server) == [], 'the floating IP is gone')
    assert _act(cloud, server, removeFloatingIp={'address': made['ip']}).status == 409


def test_giving_a_floating_ip_back_takes_it_from_its_server(cloud: Cloud, server: str) -> None:
    body = {'pool': 'public'}
    made = cloud.call('POST', '/os-floating-ips', body, version='2.35').json['floating_ip']
    assert _act(cloud, server, addFloatingIp={'address': made['ip']}).status == 202
    wait(lambda: _addresses(cloud, server) == [made['ip']], 'the floating IP is shown')
    answer = cloud.call('DELETE', f'/os-floating-ips/{made["id"]}', version='2.35')
    assert answer.status == 202
    wait(lambda: _addresses(cloud, server) == [], 'the floating IP is gone')


def test_security_groups_of_a_server(cloud: Cloud, server: str) -> None:
    body = {'security_group': {'name': 'web', 'description': 'servers'}}
    web = cloud.call('POST', '/os-security-groups', body, version='2.35').json['security_group']
    foreign = _act(cloud, server, version='2.104', addSecurityGroup={'name': 'theirs'})
    assert foreign.status == 404
    with cloud.counted() as counts:
        answer = _act(cloud, server, version='2.104', addSecurityGroup={'name': 'web'})
        assert answer.status == 202
    assert counts.rpc == ['call get_server', 'call update_server']
    shown = cloud.get(f'/servers/{server}/os-security-groups')['security_groups']
    assert [one['id'] for one in shown] == [web['id']]
    assert cloud.get(f'/servers/{server}')['server']['security_groups'] == [{'name': 'web'}]
    answer = cloud.call('DELETE', f'/os-security-groups/{web["id"]}', version='2.35')
    assert answer.status == 400 and 'in use' in answer.text
    assert _act(cloud, server, removeSecurityGroup={'name': web['id']}).status == 202
    assert 'security_groups' not in cloud.get(f'/servers/{server}')['server']
    answer = cloud.call('DELETE', f'/os-security-groups/{web["id"]}', version='2.35')
    assert answer.status == 202


def test_one_read_is_one_call(cloud: Cloud, server: str) -> None:
    port = next(iter(cloud.neutron.ports))
    for path in ('os-interface', f'os-interface/{port}', 'os-security-groups'):
        with cloud.counted() as counts:
            cloud.get(f'/servers/{server}/{path}')
        assert counts.rpc == ['call get_server']
        assert cloud.call('GET', f'/servers/{server}/{path}', token=OTHER).status == 404
    for path in ('images/detail', 'os-networks', 'os-floating-ips', 'os-security-groups'):
        with cloud.counted() as counts:
            cloud.get(f'/{path}', version='2.35')
        assert counts.rpc == []


def test_images(cloud: Cloud) -> None:
    private = cloud.glance.add('private', owner='demo', visibility='private')
    assert private in [one['id'] for one in cloud.get('/images', version='2.35')['images']]
    others = cloud.get('/images', version='2.35', token=OTHER)['images']
    assert private not in [one['id'] for one in others]
    path = f'/images/{private}'
    assert cloud.call('DELETE', path, version='2.35', token=OTHER).status == 404
    meta = {'metadata': {f'key{number}': 'x' for number in range(129)}}
    answer = cloud.call('POST', f'{path}/metadata', meta, version='2.38')
    assert answer.status == 403 and 'metadata limit exceeded' in answer.text
    assert cloud.call('DELETE', path, version='2.35').status == 204
    assert private not in cloud.glance.images
