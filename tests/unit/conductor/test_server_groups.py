"""Server groups, their quota and their members."""

import threading

import pytest

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.server_group import ServerGroup
from kilonova.conductor.server_groups import ServerGroups
from kilonova.db import engine, server_groups

CTX = RequestContext(project_id='p', user_id='u', overwrite=False)


@pytest.fixture
def groups(conf, api_db):
    return ServerGroups(conf, api_db)


def make(groups, name='web', project='p', user='u', **fields):
    group = ServerGroup(name=name, project_id=project, user_id=user, **fields)
    return groups.create_server_group(CTX, group)


def test_life(groups):
    made = make(groups, policy='anti-affinity', rules={'max_server_per_host': 3})
    assert (made.policy, made.rules, made.members) == (
        'anti-affinity', {'max_server_per_host': 3}, []
    )  # fmt: skip
    assert groups.get_server_group(CTX, made.uuid, 'p') == made
    with pytest.raises(exception.InstanceGroupNotFound, match=made.uuid):
        groups.get_server_group(CTX, made.uuid, 'q')
    with pytest.raises(exception.InstanceGroupNotFound):
        groups.delete_server_group(CTX, made.uuid, 'q')
    groups.delete_server_group(CTX, made.uuid, 'p')
    with pytest.raises(exception.InstanceGroupNotFound):
        groups.get_server_group(CTX, made.uuid)


def test_lists_cost_two_statements(groups, api_db):
    made = [make(groups, f'g{number}', policy='affinity') for number in range(5)]
    other = make(groups, project='q')
    with api_db.transaction() as session:
        server_groups.join(session, made[0].id, ['s2', 's1'])
        server_groups.join(session, made[1].id, ['s3'])
    with engine.count_statements() as statements:
        found = groups.list_server_groups(CTX, 'p')
    assert len(statements) == 2
    assert [(one.name, one.members) for one in found] == [
        ('g0', ['s2', 's1']), ('g1', ['s3']), ('g2', []), ('g3', []), ('g4', [])
    ]  # fmt: skip
    pages = groups.list_server_groups(CTX, 'p', limit=2, offset=3)
    assert [one.name for one in pages] == ['g3', 'g4']
    assert [one.uuid for one in groups.list_server_groups(CTX)][-1] == other.uuid


def test_members_go_with_their_group(groups, api_db):
    made = make(groups)
    with api_db.transaction() as session:
        server_groups.join(session, made.id, ['s1'])
    groups.delete_server_group(CTX, made.uuid)
    with api_db.reader() as session:
        assert server_groups.groups_of(session, 's1') == []


def test_quota_of_project_and_user(conf, groups, api_db):
    conf.set_override('server_groups', 2, 'quota')
    for user in ('u', 'v'):
        make(groups, user=user)
    with pytest.raises(exception.LimitExceeded, match='Quota exceeded, too many server groups.'):
        make(groups, user='w')
    make(groups, project='q')
    conf.set_override('server_groups', -1, 'quota')
    make(groups)


def test_quota_holds_against_many_at_once(conf, groups):
    conf.set_override('server_groups', 3, 'quota')
    refused = []

    def create(number):
        try:
            make(groups, f'g{number}')
        except exception.LimitExceeded as error:
            refused.append(error)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(groups.list_server_groups(CTX, 'p')) == 3
    assert len(refused) == 5
