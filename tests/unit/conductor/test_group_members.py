"""Servers of groups: joining, leaving, and a policy that holds whatever schedulers believe."""

import threading

import pytest

from kilonova.common import exception
from kilonova.common.objects.server_group import ServerGroup
from kilonova.conductor.server_groups import ServerGroups
from kilonova.tests.unit.conductor.crashing import Killed


@pytest.fixture
def make(world):
    endpoint = ServerGroups(world.conf, world.api_db)

    def make_group(policy='anti-affinity', limit=0, project='p'):
        rules = {'max_server_per_host': limit} if limit else {}
        group = ServerGroup(name='g', project_id=project, user_id='u', policy=policy, rules=rules)
        return endpoint.create_server_group(world.context, group).uuid

    return make_group


class Stupid:
    """A scheduler that takes the first host; in its first ``blind`` answers it forgets the group.

    ``asked`` are the groups that it was told.
    """

    def __init__(self, world):
        self.world, self.sound, self.blind = world, world.select_destinations, 0
        self.asked = []

    def select(self, context, spec, uuids, table_version, alternates=0):
        self.asked.append(spec.group)
        taken = (
            {host for hosts in spec.group.hosts.values() for host in hosts}
            if len(self.asked) > self.blind
            else set()
        )
        full = taken if spec.group.policy == 'anti-affinity' else set(self.world.hosts) - taken
        spec.ignore_hosts = sorted({*spec.ignore_hosts, *(full if taken else ())})
        return self.sound(context, spec, uuids, table_version, alternates)


@pytest.fixture
def stupid(world, monkeypatch):
    found = Stupid(world)
    monkeypatch.setattr(world, 'select_destinations', found.select)
    return found


def members(world, group):
    groups = ServerGroups(world.conf, world.api_db)
    return groups.get_server_group(world.context, group).members


def hosts_of(world, uuids):
    return [world.server(uuid).host for uuid in uuids]


def test_members_come_and_go(world, make):
    group = make()
    uuid = world.boot(scheduler_hints={'group': group})
    assert members(world, group) == [uuid]
    shown = world.conductor.get_server(world.context, uuid, 'p', ['server_groups'])
    assert shown.server_groups == [group]
    assert world.conductor.get_server(world.context, uuid, 'p').server_groups == []
    world.conductor.delete_server(world.context, uuid)
    world.settle()
    assert members(world, group) == []


@pytest.mark.parametrize('hint', ['{}', ['{}']])
def test_no_such_group(world, make, hint):
    missing = '11111111-1111-1111-1111-111111111111'
    for group in (missing, make(project='q')):
        value = group if hint == '{}' else [group]
        with pytest.raises(exception.InstanceGroupNotFound, match=group):
            world.create(scheduler_hints={'group': value})
    assert not world.open_operations()


def test_too_many_members(world, make):
    world.conf.set_override('server_group_members', 2, 'quota')
    group = make('soft-affinity')
    hint = {'group': group}
    world.create(scheduler_hints=hint)
    with pytest.raises(exception.LimitExceeded, match='Quota exceeded, too many servers in group'):
        world.create(scheduler_hints=hint, min_count=2, max_count=2)
    assert len(members(world, group)) == 1
    world.create(scheduler_hints=hint)
    with pytest.raises(exception.LimitExceeded):
        world.create(scheduler_hints=hint)
    world.create()


def test_the_scheduler_is_told_where_the_members_are(world, make, stupid):
    group = make()
    hint = {'group': group}
    first = world.boot(scheduler_hints=hint)
    second = world.boot(scheduler_hints=hint)
    assert hosts_of(world, [first, second]) == ['h1', 'h2']
    told = stupid.asked[-1]
    assert (told.policy, told.max_per_host) == ('anti-affinity', 1)
    assert (sorted(told.members), told.hosts) == (sorted([first, second]), {first: ['h1']})


@pytest.mark.parametrize(
    ('policy', 'limit', 'expected'),
    [
        ('anti-affinity', 0, ['h1', 'h2']),
        ('anti-affinity', 2, ['h1', 'h1']),
        ('affinity', 0, ['h1', 'h1']),
        ('soft-anti-affinity', 0, ['h1', 'h1']),
    ],
)
def test_what_a_blind_scheduler_breaks_is_chosen_anew(world, make, stupid, policy, limit, expected):
    hint = {'group': make(policy, limit)}
    first = world.boot(scheduler_hints=hint)
    stupid.blind = len(stupid.asked) + 1
    second = world.boot(scheduler_hints=hint)
    assert hosts_of(world, [first, second]) == expected
    assert world.allocations == {first: expected[0], second: expected[1]}
    assert len(stupid.asked) == 2 + (expected[1] == 'h2')


def test_affinity_is_kept_too(world, make, stupid):
    hint = {'group': make('affinity')}
    first = world.boot(scheduler_hints=hint)
    world.hosts = dict(reversed(world.hosts.items()))
    stupid.blind = len(stupid.asked) + 1
    second = world.boot(scheduler_hints=hint)
    assert hosts_of(world, [first, second]) == ['h1', 'h1']
    assert world.selected[-2:] == [(second, 'h4'), (second, 'h1')]


def test_a_scheduler_that_never_learns_is_not_asked_for_ever(world, make, stupid):
    hint = {'group': make()}
    stupid.blind = 99
    uuids = [world.boot(scheduler_hints=hint) for _ in range(5)]
    assert hosts_of(world, uuids) == ['h1', 'h2', 'h3', 'h4', None]
    assert world.server(uuids[-1]).fault.details.splitlines()[:4] == [
        f'Host h{number}: other servers of the group were quicker.' for number in range(1, 5)
    ]


def test_conductors_that_place_at_once(world, make, stupid):
    """Real threads, and on servers real row locks: each one chose the same host."""
    hint = {'group': make()}
    stupid.blind = 6
    uuids = [uuid for _ in range(6) for uuid in world.create(scheduler_hints=hint)]
    threads = [threading.Thread(target=work) for work in world.work]
    world.work.clear()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    world.settle()
    assert sorted(filter(None, hosts_of(world, uuids))) == ['h1', 'h2', 'h3', 'h4']
    states = [world.server(uuid).vm_state for uuid in uuids]
    assert sorted(states) == ['active'] * 4 + ['error'] * 2
    assert len(world.allocations) == 4


def test_nowhere_else_to_go(world, make, stupid):
    world.hosts = {'h1': world.hosts['h1']}
    hint = {'group': make()}
    first = world.boot(scheduler_hints=hint)
    stupid.blind = len(stupid.asked) + 1
    second = world.boot(scheduler_hints=hint)
    server = world.server(second)
    assert (server.vm_state, server.host) == ('error', None)
    assert server.fault.message.startswith('No valid host was found.')
    assert world.allocations == {first: 'h1'}


def test_the_check_can_be_switched_off(world, make, stupid):
    world.conf.set_override('disable_group_policy_check_upcall', True, 'workarounds')
    hint = {'group': make()}
    stupid.blind = 9
    uuids = [world.boot(scheduler_hints=hint) for _ in range(2)]
    assert hosts_of(world, uuids) == ['h1', 'h1']


def test_alternates_of_a_hard_group_are_not_believed(world, make, stupid):
    world.hosts['h1'].fail = 'broken'
    hint = {'group': make()}
    uuid = world.boot(scheduler_hints=hint)
    assert world.server(uuid).host == 'h2'
    assert len(stupid.asked) == 2


def test_a_group_that_is_deleted_binds_nobody(world, make, stupid):
    group = make()
    first = world.boot(scheduler_hints={'group': group})
    stupid.blind = 9
    uuids = world.create(scheduler_hints={'group': group})
    ServerGroups(world.conf, world.api_db).delete_server_group(world.context, group)
    world.settle()
    assert hosts_of(world, [first, *uuids]) == ['h1', 'h1']


def test_a_lost_booking_leaves_no_member(world, make):
    group = make()
    world.contacts.clear()
    world.kill_at = 3  # begun, all but committed, committed
    with pytest.raises(Killed):
        world.create(scheduler_hints={'group': group})
    assert len(members(world, group)) == 1
    world.replace_conductor()
    world.advance(world.conf.operations.booking_time + 1)
    for chore in world.conductor.engine.chores:
        chore()
    assert members(world, group) == []
    assert world.usage() == 0
