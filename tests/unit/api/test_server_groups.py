"""Server groups through all their versions."""

import re
from typing import Any

import pytest

from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.api import ADMIN, MEMBER, Api

NOBODY = '11111111-1111-1111-1111-111111111111'
OTHER = 'other:other'


def make(api: Api, version: str = '2.64', token: str = MEMBER, **group: Any) -> Any:
    body = {'name': 'web', 'policy': 'affinity', **group}
    return api.call('POST', '/os-server-groups', {'server_group': body}, token=token,
                    version=version)  # fmt: skip


def made(api: Api, **kwargs: Any) -> str:
    answer = make(api, **kwargs)
    assert answer.status == 200, answer.body
    return str(answer.json['server_group']['id'])


def listed(api: Api, query: str = '', token: str = MEMBER, version: str = '2.64') -> list[str]:
    found = api.get(f'/os-server-groups{query}', token=token, version=version)
    return [group['id'] for group in found['server_groups']]


@pytest.mark.parametrize(
    ('version', 'more'),
    [('2.1', {}), ('2.12', {}), ('2.13', {'project_id': 'demo', 'user_id': 'demo'})],
)
def test_with_policies(api: Api, version: str, more: dict[str, str]) -> None:
    body = {'server_group': {'name': 'web', 'policies': ['anti-affinity']}}
    answer = api.call('POST', '/os-server-groups', body, token=MEMBER, version=version)
    assert answer.status == 200
    group = answer.json['server_group']
    assert group == {
        'id': group['id'], 'name': 'web', 'policies': ['anti-affinity'], 'members': [],
        'metadata': {}, **more,
    }  # fmt: skip
    path = f'/os-server-groups/{group["id"]}'
    assert api.get(path, token=MEMBER, version=version)['server_group'] == group
    all_of_them = api.get('/os-server-groups', token=MEMBER, version=version)['server_groups']
    assert all_of_them == [group]


def test_with_rules(api: Api) -> None:
    rules = {'max_server_per_host': '3'}
    answer = make(api, policy='anti-affinity', rules=rules)
    group = answer.json['server_group']
    assert group == {
        'id': group['id'], 'name': 'web', 'policy': 'anti-affinity', 'members': [],
        'rules': {'max_server_per_host': 3}, 'project_id': 'demo', 'user_id': 'demo',
    }  # fmt: skip
    old = api.get(f'/os-server-groups/{group["id"]}', token=MEMBER, version='2.1')['server_group']
    assert (old['policies'], old['metadata']) == (['anti-affinity'], {})
    assert 'rules' not in old and 'policy' not in old


@pytest.mark.parametrize(
    ('version', 'body'),
    [
        ('2.1', {'name': 'web', 'policies': ['soft-affinity']}),
        ('2.1', {'name': 'web', 'policies': []}),
        ('2.1', {'name': 'web', 'policies': ['affinity', 'anti-affinity']}),
        ('2.1', {'name': 'web', 'policy': 'affinity'}),
        ('2.1', {'name': ' web', 'policies': ['affinity']}),
        ('2.1', {'name': '', 'policies': ['affinity']}),
        ('2.1', {'policies': ['affinity']}),
        ('2.15', {'name': 'web', 'policies': ['legacy']}),
        ('2.64', {'name': 'web', 'policies': ['affinity']}),
        ('2.64', {'name': 'web', 'policy': 'anti-affinity', 'rules': {'max_server_per_host': 0}}),
        ('2.64', {'name': 'web', 'policy': 'anti-affinity', 'rules': {'other': 1}}),
        ('2.64', {'name': 'web', 'policy': 'affinity', 'metadata': {}}),
    ],
)
def test_bad_bodies(api: Api, version: str, body: Any) -> None:
    answer = api.call('POST', '/os-server-groups', {'server_group': body}, token=MEMBER,
                      version=version)  # fmt: skip
    assert answer.status == 400
    assert not api.conductor.groups


def test_rules_are_for_anti_affinity(api: Api) -> None:
    for policy in ('affinity', 'soft-anti-affinity'):
        answer = make(api, policy=policy, rules={'max_server_per_host': 2})
        assert answer.status == 400
        assert answer.fault == ('badRequest', 'Only anti-affinity policy supports rules.')
    assert made(api, policy='affinity', rules={})


def test_lists(api: Api) -> None:
    mine = [made(api, name=f'g{number}') for number in range(4)]
    theirs = made(api, token=OTHER)
    assert listed(api) == mine
    assert listed(api, '?limit=2&offset=1') == mine[1:3]
    assert listed(api, '?offset=9') == listed(api, f'?offset={"9" * 30}') == []
    assert listed(api, '?all_projects=1') == mine
    assert listed(api, '?all_projects', ADMIN) == [*mine, theirs]
    assert listed(api, '', ADMIN) == []
    assert listed(api, '?nonsense=1', version='2.74') == mine
    for query in ('?limit=-1', '?limit=x', '?offset=-1', '?nonsense=1'):
        assert api.call('GET', f'/os-server-groups{query}', version='2.75').status == 400


def test_of_another_project(api: Api) -> None:
    mine = made(api)
    for group in (mine, NOBODY, 'no-uuid'):
        for method in ('GET', 'DELETE'):
            answer = api.call(method, f'/os-server-groups/{group}', token=OTHER)
            assert answer.status == 404
            text = f'Instance group {group} could not be found.'
            assert answer.fault == ('itemNotFound', text)
    assert listed(api, token=OTHER) == []
    assert api.get(f'/os-server-groups/{mine}', token=ADMIN)['server_group']['id'] == mine


def test_delete(api: Api) -> None:
    mine = made(api)
    answer = api.call('DELETE', f'/os-server-groups/{mine}', token=MEMBER)
    assert (answer.status, answer.body) == (204, b'')
    assert api.call('DELETE', f'/os-server-groups/{mine}', token=MEMBER).status == 404


SAMPLES = reference.samples('os-server-groups')


@pytest.mark.parametrize(('name', 'sample'), SAMPLES, ids=[name for name, _ in SAMPLES])
def test_sample(api: Api, name: str, sample: Any) -> None:
    """What the reference asks is accepted, and what it is answered has the same shape."""
    found = re.search(r'v(2\.\d+)/', name)
    version = found[1] if found else '2.1'
    requests = {name: body for name, body in SAMPLES if name.endswith('post-req.json')}
    request = requests[f'{name.rpartition("/")[0]}/server-groups-post-req.json']
    created = api.call('POST', '/os-server-groups', request, token=MEMBER, version=version).json
    group = created['server_group']
    answers = {
        'post-req': request,
        'post-resp': created,
        'get-resp': api.get(f'/os-server-groups/{group["id"]}', token=MEMBER, version=version),
        'list-resp': api.get('/os-server-groups', token=MEMBER, version=version),
    }
    [answer] = [body for key, body in answers.items() if name.endswith(f'{key}.json')]
    assert plain(answer) == plain(sample)


def plain(value: Any) -> Any:
    """Leave out what is different each time."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        random = ('id', 'project_id', 'user_id')
        return {key: key if key in random else plain(item) for key, item in value.items()}
    return value
