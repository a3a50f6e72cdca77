"""The algorithm, on the real placement."""

import collections
import threading
from concurrent import futures

import pytest

from kilonova.common import exception
from kilonova.common.objects.server_group import Membership
from kilonova.tests.fakes.placement_hosts import uuid_of
from kilonova.tests.unit.scheduler.builders import (
    PROJECT,
    USER,
    fail,
    hosts_of,
    make_flavor,
    make_spec,
    new,
)


def test_plain_boot_asks_twice(cloud):
    cloud.add('h1')
    selector, uuids = cloud.selector(), new()
    before = cloud.service.request_count
    [[selection]] = selector.select(make_spec(), uuids, 1)
    methods = [(m, path.split('?')[0]) for m, path in cloud.service.requests[before:]]
    assert methods == [('GET', '/allocation_candidates'), ('PUT', f'/allocations/{uuids[0]}')]
    assert (selection.host, selection.node, selection.availability_zone) == ('h1', 'h1', 'nova')
    assert selection.consumer_generation == 1
    held = cloud.client.get_allocations(uuids[0])
    assert held.allocations == selection.allocations
    assert (held.project_id, held.user_id) == (PROJECT, USER)
    assert cloud.held() == {uuids[0]: {'VCPU': 1, 'MEMORY_MB': 512, 'DISK_GB': 1}}


def test_many_servers_ask_once_more_each(cloud):
    for n in range(3):
        cloud.add(f'h{n}', vcpus=2)
    selector, uuids = cloud.selector(), new(6)
    before = cloud.service.request_count
    chosen = hosts_of(selector.select(make_spec(), uuids, 1))
    assert collections.Counter(chosen) == {'h0': 2, 'h1': 2, 'h2': 2}
    assert cloud.service.request_count - before == 1 + 6
    assert set(cloud.held()) == set(uuids)


def test_all_or_nothing(cloud):
    cloud.add('h1', vcpus=2)
    text = fail(cloud.selector(), make_spec(), new(3))
    assert '2 of 3 servers found a host. Capacity: 1 of 1 host left out: 1 full' in text
    assert cloud.held() == {}


def test_what_is_held_already_is_replaced(cloud):
    cloud.add('h1')
    uuids = new()
    cloud.selector().select(make_spec(make_flavor(vcpus=3)), uuids, 1)
    [[selection]] = cloud.selector().select(make_spec(make_flavor(vcpus=1)), uuids, 1)
    assert selection.consumer_generation == 2
    assert cloud.held()[uuids[0]]['VCPU'] == 1


def test_alternates(cloud):
    for n in range(4):
        cloud.add(f'h{n}', vcpus=4 + n)
    selector, uuids = cloud.selector(), new()
    [[first, *others]] = selector.select(make_spec(), uuids, 1, alternates=2)
    assert [first.host, *(one.host for one in others)] == ['h3', 'h2', 'h1']
    assert [one.consumer_generation for one in others] == [None, None]
    assert list(cloud.held()) == uuids
    second = others[0]
    assert cloud.client.claim(uuids[0], second.allocations, PROJECT, USER) == 2
    assert list(second.allocations) == [second.compute_node_uuid]


def test_alternates_of_an_anti_affinity_group_stay_apart(cloud):
    for n in range(3):
        cloud.add(f'h{n}')
    spec = make_spec(group=Membership(policy='anti-affinity'))
    one, two = cloud.selector().select(spec, new(2), 1, alternates=3)
    assert {one[0].host, two[0].host, one[1].host} == {'h0', 'h1', 'h2'}
    assert len(one) == len(two) == 2


@pytest.mark.parametrize(
    ('policy', 'different'),
    [('anti-affinity', 2), ('affinity', 1), ('soft-anti-affinity', 2), ('soft-affinity', 1)],
)
def test_groups_in_one_request(cloud, policy, different):
    cloud.add('h1', vcpus=9, node_local_gb=100)
    cloud.add('h2', vcpus=8, node_local_gb=100)
    option = {'filter_scheduler__soft_anti_affinity_weight_multiplier': 100.0}
    option |= {'filter_scheduler__soft_affinity_weight_multiplier': 100.0}
    spec = make_spec(group=Membership(policy=policy))
    chosen = hosts_of(cloud.selector(**option).select(spec, new(2), 1))
    assert len(set(chosen)) == different


def test_anti_affinity_without_room(cloud):
    cloud.add('h1')
    spec = make_spec(group=Membership(policy='anti-affinity'))
    text = fail(cloud.selector(), spec, new(2))
    assert '1 of 2 servers found a host' in text
    assert 'ServerGroupAntiAffinityFilter: 1 of 1 host left out' in text
    assert cloud.held() == {}


def test_own_picks_count_before_the_conductor_knows_them(cloud):
    cloud.add('h1', vcpus=4)
    cloud.add('h2', vcpus=4)
    selector = cloud.selector()
    chosen = [hosts_of(selector.select(make_spec(), new(), 1))[0] for _ in range(4)]
    assert collections.Counter(chosen) == {'h1': 2, 'h2': 2}
    assert cloud.fetches == 1


def test_refused_claim_goes_on_to_the_next_host(cloud):
    cloud.add('h1', vcpus=8)
    cloud.add('h2', vcpus=4)
    answers = iter([(409, 'placement.undefined_code', 'Unable to allocate inventory: full')])
    cloud.service.intercept = lambda method, path: next(answers, None) if method == 'PUT' else None
    uuids = new()
    assert hosts_of(cloud.selector().select(make_spec(), uuids, 1)) == ['h2']
    assert list(cloud.held()) == uuids


def test_host_that_refused_is_no_alternate(cloud):
    cloud.add('h1', vcpus=8)
    cloud.add('h2', vcpus=6)
    cloud.add('h3', vcpus=4)
    answers = iter([(409, 'placement.undefined_code', 'Unable to allocate inventory: full')])
    cloud.service.intercept = lambda method, path: next(answers, None) if method == 'PUT' else None
    [[chosen, *others]] = cloud.selector().select(make_spec(), new(), 1, alternates=2)
    assert [chosen.host, *(one.host for one in others)] == ['h2', 'h3']


def test_conflict_is_retried_on_the_same_host(cloud):
    cloud.add('h1', vcpus=8)
    cloud.add('h2', vcpus=4)
    answers = iter([(409, 'placement.concurrent_update', 'changed')])
    cloud.service.intercept = lambda method, path: next(answers, None) if method == 'PUT' else None
    assert hosts_of(cloud.selector().select(make_spec(), new(), 1)) == ['h1']


def test_every_claim_refused(cloud):
    cloud.add('h1')
    cloud.add('h2')
    cloud.service.intercept = lambda method, path: (
        (409, 'placement.undefined_code', 'Unable to allocate inventory: full')
        if method == 'PUT'
        else None
    )
    text = fail(cloud.selector(), make_spec())
    assert 'Claim in placement: 2 of 2 hosts left out: 2 refused' in text
    assert 'Unable to allocate inventory: full' in text
    assert cloud.service.count('GET', '/allocation_candidates') == 2
    assert cloud.held() == {}


def test_four_schedulers_race_for_the_last_slots(cloud):
    cloud.add('h1', vcpus=3)
    cloud.add('h2', vcpus=2)
    selectors = [cloud.selector() for _ in range(4)]
    gate = threading.Barrier(4)

    def work(selector) -> list[str]:
        gate.wait()
        placed = []
        for _ in range(3):
            uuids = new()
            try:
                placed.append(selector.select(make_spec(), uuids, 1)[0][0].host)
            except exception.NoValidHost:
                continue
        return placed

    with futures.ThreadPoolExecutor(4) as pool:
        placed = [host for hosts in pool.map(work, selectors) for host in hosts]
    assert collections.Counter(placed) == {'h1': 3, 'h2': 2}
    assert len(cloud.held()) == 5


def test_racing_multi_creates_leave_no_half_request(cloud):
    cloud.add('h1', vcpus=5)
    selectors = [cloud.selector() for _ in range(4)]

    def work(selector) -> int:
        try:
            return len(selector.select(make_spec(), new(3), 1))
        except exception.NoValidHost:
            return 0

    with futures.ThreadPoolExecutor(4) as pool:
        placed = sum(pool.map(work, selectors))
    # Two may take and give back the same slots at the same time, so none may get through.
    assert placed in (0, 3)
    assert len(cloud.held()) == placed


# -- the table


def test_looks_again_with_a_fresh_table_before_giving_up(cloud):
    cloud.add('h1', service={'disabled': True})
    selector = cloud.selector()
    fail(selector, make_spec())
    assert cloud.fetches == 1, 'the table was fetched for this very request'
    cloud.states[0].service.disabled = False
    assert hosts_of(selector.select(make_spec(), new(), 0)) == ['h1']
    assert cloud.fetches == 2


def test_newer_table_is_fetched_when_asked_for(cloud):
    cloud.add('h1', vcpus=2)
    selector = cloud.selector()
    selector.select(make_spec(), new(), 1)
    cloud.add('h2', vcpus=8)
    cloud.version = 2
    assert hosts_of(selector.select(make_spec(), new(), 2)) == ['h2']


# -- which of the good ones


def test_best_weight_wins(cloud):
    cloud.add('h1', vcpus=4, num_io_ops=3)
    cloud.add('h2', vcpus=4)
    cloud.add('h3', vcpus=8, failed_builds=1)
    assert hosts_of(cloud.selector().select(make_spec(), new(), 1)) == ['h2']


def test_subset_and_shuffle_choose_at_random(cloud):
    for n in range(4):
        cloud.add(f'h{n}', vcpus=40)
    cloud.add('worse', vcpus=20)
    for option in ({'host_subset_size': 4}, {'shuffle_best_same_weighed_hosts': True}):
        chosen = set()
        for _ in range(12):
            selector = cloud.selector(**{f'filter_scheduler__{k}': v for k, v in option.items()})
            selector.rng.seed()
            chosen |= set(hosts_of(selector.select(make_spec(), new(), 1)))
        assert len(chosen) > 1 and 'worse' not in chosen


def test_claims_are_of_the_consumer_only(cloud):
    """Nothing but the server's own allocation is left after a mix of refusals and successes."""
    cloud.add('h1', vcpus=1)
    selector = cloud.selector()
    uuids = new()
    selector.select(make_spec(), uuids, 1)
    fail(selector, make_spec())
    assert list(cloud.held()) == uuids
    cloud.client.delete_allocations(uuids[0])
    assert cloud.held() == {}


def pinned_spec():
    return make_spec(make_flavor(vcpus=2, extra_specs={'hw:cpu_policy': 'dedicated'}))


def test_dedicated_cpus_are_taken_where_they_are(cloud):
    cloud.add('old', vcpus=16)
    cloud.add('new', PCPU=4)
    selector, uuids = cloud.selector(), new()
    before = cloud.service.count('GET', '/allocation_candidates')
    assert hosts_of(selector.select(pinned_spec(), uuids, 0)) == ['new']
    assert cloud.held()[uuids[0]] == {'PCPU': 2, 'MEMORY_MB': 512, 'DISK_GB': 1}
    assert cloud.service.count('GET', '/allocation_candidates') - before == 1


def test_without_dedicated_cpus_shared_ones_are_taken(cloud):
    cloud.add('old')
    uuids = new()
    assert hosts_of(cloud.selector().select(pinned_spec(), uuids, 0)) == ['old']
    assert cloud.held()[uuids[0]] == {'VCPU': 2, 'MEMORY_MB': 512, 'DISK_GB': 1}
    strict = cloud.selector(workarounds__disable_fallback_pcpu_query=True)
    assert 'PCPU 2' in fail(strict, pinned_spec())


def test_providers_of_others_are_left_alone(cloud):
    cloud.add('ours')
    cloud.add('theirs', vcpus=16)
    cloud.client.change_traits(uuid_of('theirs'), remove=['OWNER_NOVA'])
    assert hosts_of(cloud.selector().select(make_spec(), new(), 0)) == ['ours']
