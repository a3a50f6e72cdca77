"""Server groups through HTTP: policies hold, however many ask at once."""

import collections
import concurrent.futures
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.select import Selector
from kilonova.scheduler.service import Scheduler
from kilonova.tests.functional.cloud import Answer, Cloud

HOSTS = 5
CLOUD: dict[str, Any] = {
    'hosts': HOSTS,
    'extra': """
[filter_scheduler]
soft_affinity_weight_multiplier = 100
soft_anti_affinity_weight_multiplier = 100
[quota]
instances = -1
cores = -1
ram = -1
server_group_members = 30
server_groups = 50
""",
}
DEMO, OTHER = 'demo:demo', 'other:other'


def make(cloud: Cloud, policy: str, token: str = DEMO, **rules: int) -> str:
    body = {'server_group': {'name': 'web', 'policy': policy, 'rules': rules}}
    answer = cloud.call('POST', '/os-server-groups', body, token=token)
    assert answer.status == 200, answer.text
    return str(answer.json['server_group']['id'])


@pytest.fixture
def boot(cloud: Cloud, flavor: str, image: str) -> Any:
    def ask(group: Any, token: str = DEMO, **fields: Any) -> Answer:
        server = {'name': 'web', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}
        body = {'server': {**server, **fields}, 'os:scheduler_hints': {'group': group}}
        return cloud.call('POST', '/servers', body, token=token)

    return ask


def members(cloud: Cloud, group: str) -> list[str]:
    shown = cloud.get(f'/os-server-groups/{group}')['server_group']
    return list(shown['members'])


def settled(cloud: Cloud, answers: list[Answer]) -> list[dict[str, Any]]:
    assert {answer.status for answer in answers} == {202}
    uuids = [answer.json['server']['id'] for answer in answers]
    return [cloud.wait_status(uuid, 'ACTIVE', 'ERROR', seconds=120) for uuid in uuids]


def at_once(ask: Any, times: int) -> list[Answer]:
    with concurrent.futures.ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: ask(), range(times)))


def hosts_of(servers: list[dict[str, Any]]) -> collections.Counter[str]:
    active = [server for server in servers if server['status'] == 'ACTIVE']
    return collections.Counter(server['OS-EXT-SRV-ATTR:host'] for server in active)


def test_twenty_at_once_on_five_hosts(cloud: Cloud, boot: Any, clean: None) -> None:
    group = make(cloud, 'anti-affinity')
    servers = settled(cloud, at_once(lambda: boot(group), 20))
    assert sorted(hosts_of(servers).values()) == [1] * HOSTS
    failed = [server for server in servers if server['status'] == 'ERROR']
    assert len(failed) == 15
    for server in failed:
        assert server['fault']['message'].startswith('No valid host was found.')
        details = server['fault']['details']
        assert 'ServerGroupAntiAffinityFilter' in details or 'were quicker' in details
    assert set(members(cloud, group)) == {server['id'] for server in servers}
    assert len(cloud.placement.usages()) == HOSTS


@pytest.fixture
def two_schedulers(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A second scheduler, which does not know what the first has in mind; both take their time.

    Returns the servers that they were asked about.
    """
    asked: list[str] = []
    choose = Selector.select

    def slowly(self: Selector, spec: RequestSpec, uuids: list[str], *args: Any) -> Any:
        asked.extend(uuids)
        found = choose(self, spec, uuids, *args)
        time.sleep(0.3)
        return found

    monkeypatch.setattr(Selector, 'select', slowly)
    other = Scheduler(cloud.conf, cloud.transport)
    other.start()
    yield asked
    other.stop()


def test_schedulers_that_do_not_know_of_each_other(
    cloud: Cloud, boot: Any, clean: None, two_schedulers: list[str]
) -> None:
    apart, together = make(cloud, 'anti-affinity'), make(cloud, 'affinity')
    servers = settled(cloud, at_once(lambda: boot(apart), 8))
    assert sorted(hosts_of(servers).values()) == [1] * HOSTS
    assert len(two_schedulers) > 8  # somebody had to look again
    servers = settled(cloud, at_once(lambda: boot(together), 6))
    assert list(hosts_of(servers).values()) == [6]
    assert len(cloud.placement.usages()) == HOSTS + 6


def test_servers_that_move_at_once(
    cloud: Cloud, boot: Any, clean: None, two_schedulers: list[str]
) -> None:
    """All but one host are taken, so all want to go to the same one."""
    group = make(cloud, 'anti-affinity')
    servers = settled(cloud, at_once(lambda: boot(group), HOSTS - 1))
    paths = [f'/servers/{server["id"]}/action' for server in servers]
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(lambda path: cloud.admin('POST', path, {'migrate': None}), paths))
    assert {answer.status for answer in answers} == {202}
    ends = [cloud.wait_status(one['id'], 'ACTIVE', 'VERIFY_RESIZE') for one in servers]
    hosts = [server['OS-EXT-SRV-ATTR:host'] for server in ends]
    assert len(set(hosts)) == len(hosts)
    moved = [server for server in ends if server['status'] == 'VERIFY_RESIZE']
    assert moved
    for server in moved:
        path = f'/servers/{server["id"]}/action'
        assert cloud.call('POST', path, {'confirmResize': None}).status == 204
        cloud.wait_status(server['id'], 'ACTIVE')


def test_servers_that_come_back_at_once(
    cloud: Cloud, boot: Any, clean: None, two_schedulers: list[str]
) -> None:
    """Servers that were shelved look for their hosts at the same time, like new ones."""
    group = make(cloud, 'anti-affinity')
    servers = settled(cloud, at_once(lambda: boot(group), HOSTS))
    paths = [f'/servers/{server["id"]}/action' for server in servers]
    for path in paths:
        assert cloud.call('POST', path, {'shelve': None}).status == 202
    for server in servers:
        cloud.wait_status(server['id'], 'SHELVED_OFFLOADED')
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(lambda path: cloud.call('POST', path, {'unshelve': None}), paths))
    assert {answer.status for answer in answers} == {202}
    ends = [cloud.wait_status(one['id'], 'ACTIVE', 'SHELVED_OFFLOADED') for one in servers]
    back = [one['OS-EXT-SRV-ATTR:host'] for one in ends if one['status'] == 'ACTIVE']
    assert back and len(set(back)) == len(back)


def test_a_few_on_each_host(cloud: Cloud, boot: Any, clean: None) -> None:
    group = make(cloud, 'anti-affinity', max_server_per_host=2)
    servers = settled(cloud, at_once(lambda: boot(group), 12))
    assert sorted(hosts_of(servers).values()) == [2] * HOSTS


def test_all_on_one_host(cloud: Cloud, boot: Any, clean: None) -> None:
    group = make(cloud, 'affinity')
    servers = settled(cloud, at_once(lambda: boot(group), 6))
    assert list(hosts_of(servers).values()) == [6]


def test_many_of_one_request(cloud: Cloud, boot: Any, clean: None) -> None:
    group = make(cloud, 'anti-affinity')
    assert boot(group, min_count=HOSTS, max_count=HOSTS).status == 202
    servers = [cloud.wait_status(uuid, 'ACTIVE') for uuid in members(cloud, group)]
    assert sorted(hosts_of(servers).values()) == [1] * HOSTS


@pytest.mark.parametrize(('policy', 'hosts'), [('soft-anti-affinity', 5), ('soft-affinity', 1)])
def test_soft_policies(cloud: Cloud, boot: Any, clean: None, policy: str, hosts: int) -> None:
    group = make(cloud, policy)
    servers = [settled(cloud, [boot(group)])[0] for _ in range(6)]
    counts = hosts_of(servers)
    assert len(counts) == hosts and sum(counts.values()) == 6


def test_a_server_shows_its_group_until_it_is_gone(cloud: Cloud, boot: Any, clean: None) -> None:
    group = make(cloud, 'affinity')
    [server] = settled(cloud, [boot(group)])
    path = f'/servers/{server["id"]}'
    assert cloud.get(path, version='2.71')['server']['server_groups'] == [group]
    assert 'server_groups' not in cloud.get(path, version='2.70')['server']
    with cloud.counted() as counts:
        detailed = cloud.get('/servers/detail')['servers']
    assert all('server_groups' not in one for one in detailed)
    assert counts.rpc == ['call list_servers']
    body = {'server': {'name': 'renamed'}}
    assert cloud.call('PUT', path, body).json['server']['server_groups'] == [group]
    assert cloud.call('DELETE', path).status == 204
    cloud.wait_gone(server['id'])
    assert members(cloud, group) == []


def test_a_group_may_go_before_its_servers(cloud: Cloud, boot: Any, clean: None) -> None:
    group = make(cloud, 'anti-affinity')
    [server] = settled(cloud, [boot(group)])
    assert cloud.call('DELETE', f'/os-server-groups/{group}').status == 204
    assert cloud.call('GET', f'/os-server-groups/{group}').status == 404
    assert cloud.get(f'/servers/{server["id"]}')['server']['server_groups'] == []
    answer = boot(group)
    assert answer.status == 400
    message = answer.json['badRequest']['message']
    assert message == f'Instance group {group} could not be found.'


def test_other_projects_do_not_see_it(cloud: Cloud, boot: Any, clean: None) -> None:
    group = make(cloud, 'affinity')
    for method in ('GET', 'DELETE'):
        assert cloud.call(method, f'/os-server-groups/{group}', token=OTHER).status == 404
    assert cloud.get('/os-server-groups?all_projects=1', token=OTHER) == {'server_groups': []}
    assert boot(group, token=OTHER).status == 400
    assert boot([group], token=OTHER).status == 400
    assert cloud.get('/servers', token=OTHER) == {'servers': []}
    assert members(cloud, group) == []
    everything = cloud.admin('GET', '/os-server-groups?all_projects').json['server_groups']
    assert group in [one['id'] for one in everything]


def test_quotas_hold_against_many_at_once(cloud: Cloud, boot: Any, clean: None) -> None:
    limits = {'server_groups': 3, 'server_group_members': 4}
    assert cloud.admin('PUT', '/os-quota-sets/racing', {'quota_set': limits}).status == 200
    racer = 'racer:racing'
    body = {'server_group': {'name': 'g', 'policy': 'soft-affinity'}}
    answers = at_once(lambda: cloud.call('POST', '/os-server-groups', body, token=racer), 10)
    assert sorted(answer.status for answer in answers) == [200] * 3 + [403] * 7
    refused = next(answer for answer in answers if answer.status == 403)
    message = refused.json['forbidden']['message']
    assert message == 'Quota exceeded, too many server groups.'
    used = cloud.get('/limits', token=racer)['limits']['absolute']['totalServerGroupsUsed']
    assert used == 3

    group = cloud.get('/os-server-groups', token=racer)['server_groups'][0]['id']
    answers = at_once(lambda: boot(group, token=racer), 10)
    accepted = [answer for answer in answers if answer.status == 202]
    refused = next(answer for answer in answers if answer.status == 403)
    assert len(accepted) == 4
    message = refused.json['forbidden']['message']
    assert message == 'Quota exceeded, too many servers in group'
    settled(cloud, accepted)
    assert len(cloud.get('/servers', token=racer)['servers']) == 4


@pytest.mark.parametrize('hint', ['web', 7, {'a': 1}, ['web'], None])
def test_bad_hints(cloud: Cloud, boot: Any, clean: None, hint: Any) -> None:
    assert boot(hint).status == 400
    assert cloud.get('/servers') == {'servers': []}
