"""Moves to a named host without the scheduler keep the policy of the server's group all the same."""

from typing import Any

import pytest

from kilonova.tests.functional import moves
from kilonova.tests.functional.cloud import Cloud, wait

CLOUD: dict[str, Any] = {'hosts': 3}
pytestmark = pytest.mark.usefixtures('clean')
FORCING = '2.50'


def _group(cloud: Cloud, policy: str) -> str:
    body = {'server_group': {'name': policy, 'policy': policy}}
    return str(cloud.call('POST', '/os-server-groups', body).json['server_group']['id'])


def _boot(cloud: Cloud, flavor: str, image: str, group: str) -> tuple[str, str]:
    server = {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}
    body = {'server': server, 'os:scheduler_hints': {'group': group}}
    answer = cloud.call('POST', '/servers', body)
    assert answer.status == 202, answer.text
    uuid = answer.json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid, moves.host_of(cloud, uuid)


def _migrate(cloud: Cloud, uuid: str, host: str) -> dict[str, Any]:
    """Force a live migration; return its record when it has ended."""
    words = {'host': host, 'block_migration': 'auto', 'force': True}
    path, body = f'/servers/{uuid}/action', {'os-migrateLive': words}
    assert cloud.admin('POST', path, body, version=FORCING).status == 202

    def ended() -> Any:
        [*_, last] = moves.migrations(cloud, uuid)[:1]
        return last if last['status'] in ('completed', 'error') else None

    found: dict[str, Any] = wait(ended, f'the migration of {uuid} has ended')
    cloud.wait_status(uuid, 'ACTIVE')
    return found


def _other(cloud: Cloud, *hosts: str) -> str:
    every = {one.host.name for one in cloud.all.computes.computes}
    return sorted(every - set(hosts))[0]


@pytest.mark.parametrize('policy', ['anti-affinity', 'affinity'])
def test_a_live_migration(cloud: Cloud, flavor: str, image: str, policy: str) -> None:
    group = _group(cloud, policy)
    (uuid, host), (_, second) = [_boot(cloud, flavor, image, group) for _ in range(2)]
    bad, fine = second, _other(cloud, host, second)
    if policy == 'affinity':
        assert host == second
        bad = fine
    before = cloud.placement.usages()
    assert _migrate(cloud, uuid, bad)['status'] == 'error'
    assert moves.host_of(cloud, uuid) == host and moves.guests(cloud, uuid) == {host}
    wait(lambda: cloud.placement.usages() == before, 'only the source is claimed')
    [event] = [one for one in _events(cloud, uuid) if one['result'] == 'Error']
    assert f'the {policy} policy of the server group was violated' in event['details']
    if policy == 'anti-affinity':
        assert _migrate(cloud, uuid, fine)['status'] == 'completed'
        assert moves.host_of(cloud, uuid) == fine


def test_a_soft_policy_and_no_group_mind_nothing(cloud: Cloud, flavor: str, image: str) -> None:
    group = _group(cloud, 'soft-anti-affinity')
    (uuid, _), (_, second) = [_boot(cloud, flavor, image, group) for _ in range(2)]
    assert _migrate(cloud, uuid, second)['status'] == 'completed'
    assert moves.host_of(cloud, uuid) == second


def test_two_at_once_for_one_place(cloud: Cloud, flavor: str, image: str) -> None:
    group = _group(cloud, 'anti-affinity')
    (first, one), (second, other) = [_boot(cloud, flavor, image, group) for _ in range(2)]
    free = _other(cloud, one, other)
    words = {'host': free, 'block_migration': 'auto', 'force': True}
    for uuid in (first, second):
        path = f'/servers/{uuid}/action'
        body = {'os-migrateLive': words}
        assert cloud.admin('POST', path, body, version=FORCING).status == 202
    for uuid in (first, second):
        cloud.wait_status(uuid, 'ACTIVE')
    there = {moves.host_of(cloud, uuid) for uuid in (first, second)}
    assert len(there) == 2 and free in there


def test_an_evacuation(cloud: Cloud, flavor: str, image: str) -> None:
    group = _group(cloud, 'anti-affinity')
    (uuid, host), (_, second) = [_boot(cloud, flavor, image, group) for _ in range(2)]
    services = cloud.get('/os-services?binary=nova-compute', token='admin:admin')['services']
    [path] = [f'/os-services/{one["id"]}' for one in services if one['host'] == host]
    assert cloud.admin('PUT', path, {'forced_down': True}).status == 200
    try:
        body = {'evacuate': {'host': second, 'force': True}}
        answer = cloud.admin('POST', f'/servers/{uuid}/action', body, version=FORCING)
        assert answer.status == 200, answer.text
        server = cloud.wait_status(uuid, 'ERROR')
        assert server['OS-EXT-SRV-ATTR:host'] == host
        assert moves.guests(cloud, uuid) == {host}
    finally:
        assert cloud.admin('PUT', path, {'forced_down': False}).status == 200


def _events(cloud: Cloud, uuid: str) -> list[dict[str, Any]]:
    path = f'/servers/{uuid}/os-instance-actions'
    newest = cloud.admin('GET', path).json['instanceActions'][0]['request_id']
    found: list[dict[str, Any]] = cloud.admin('GET', f'{path}/{newest}').json['instanceAction'][
        'events'
    ]
    return found
