"""The algorithm, on the real placement."""

import collections
import threading
import uuid
from concurrent import futures

import pytest

from kilonova.common import exception
from kilonova.common.objects.server_group import Membership
from kilonova.tests.fakes.placement_hosts import uuid_of
from kilonova.tests.unit.scheduler.builders import (
    PROJECT,
    USER,
    make_aggregate,
    make_flavor,
    make_spec,
)


def new(count: int = 1) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def hosts_of(selections) -> list[str]:
    """Return the claimed host of each server."""
    return [one[0].host for one in selections]


def fail(selector, spec, uuids=None) -> str:
    """Return the text of the NoValidHost that has to come."""
    with pytest.raises(exception.NoValidHost) as caught:
        selector.select(spec, uuids or new(), 0)
    return str(caught.value)


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


# -- no host: what it says


def test_no_host_at_all(cloud):
    assert (
        fail(cloud.selector(), make_spec()) == 'No valid host was found. There is no compute host.'
    )


def test_too_large(cloud):
    cloud.add('h1')
    assert fail(cloud.selector(), make_spec(make_flavor(vcpus=8))) == (
        'No valid host was found. Placement: none of 1 known hosts has what is asked for: '
        'DISK_GB 1 (1 host), MEMORY_MB 512 (1 host), VCPU 8 (no host)'
    )


def test_what_is_missing(cloud):
    cloud.add('h1', vcpus=16, traits=('COMPUTE_STATUS_DISABLED',))
    cloud.add('h2', vcpus=16, traits=('HW_CPU_X86_VMX', 'COMPUTE_STATUS_DISABLED'))
    cloud.add('h3', aggregates=[make_aggregate('z', availability_zone='north')])
    extra_specs = {'trait:HW_CPU_X86_VMX': 'required', 'trait:HW_CPU_X86_SVM': 'forbidden'}
    spec = make_spec(make_flavor(vcpus=8, extra_specs=extra_specs), availability_zone='north')
    selector = cloud.selector()
    assert fail(selector, spec).endswith(
        'DISK_GB 1 (3 hosts), MEMORY_MB 512 (3 hosts), VCPU 8 (2 hosts), trait HW_CPU_X86_VMX '
        '(1 host), no trait HW_CPU_X86_SVM (3 hosts), membership in the required aggregates '
        '(1 host), enabled (1 host)'
    )
    asked = cloud.service.count('GET', '/resource_providers')
    fail(selector, spec)
    assert cloud.service.count('GET', '/resource_providers') == asked


def test_what_is_missing_cannot_be_found_out(cloud):
    cloud.add('h1')
    cloud.service.intercept = lambda method, path: (
        (503, '', 'down') if path.startswith('/resource_providers') else None
    )
    assert fail(cloud.selector(), make_spec(make_flavor(vcpus=8))).endswith(
        'DISK_GB 1, MEMORY_MB 512, VCPU 8'
    )


def test_unknown_to_the_conductor(cloud):
    cloud.add('h1', known=False)
    text = fail(cloud.selector(), make_spec())
    assert 'Placement offers 1 providers that are no known hosts.' in text


def test_disabled_and_down(cloud):
    cloud.add('h1', service={'disabled': True})
    cloud.add('h2', service={'disabled': True})
    cloud.add('h3', service={'up': False})
    cloud.add('h4', vcpus=1)
    assert fail(cloud.selector(), make_spec(make_flavor(vcpus=2))) == (
        'No valid host was found. Placement: 1 of 4 hosts left out: 1 without DISK_GB 1, '
        'MEMORY_MB 512, VCPU 2; ComputeFilter: 3 of 3 hosts left out: 2 disabled, '
        '1 down since 2026-01-02 03:04'
    )


def test_several_filters(cloud):
    cloud.add('h1', service={'disabled': True})
    cloud.add('h2')
    text = fail(cloud.selector(), make_spec(properties={'hw_architecture': 'aarch64'}))
    assert 'ComputeFilter: 1 of 2 hosts left out: 1 disabled' in text
    assert 'ImagePropertiesFilter: 1 of 1 host left out: 1 unable to run aarch64 guests' in text


def test_unknown_trait(cloud):
    cloud.add('h1')
    text = fail(cloud.selector(), make_spec(extra_specs={'trait:CUSTOM_NOBODY': 'required'}))
    assert 'none of 1 known hosts' in text and 'trait CUSTOM_NOBODY (unknown to placement)' in text


def test_malformed_request(cloud):
    cloud.add('h1')
    text = fail(cloud.selector(), make_spec(extra_specs={'trait1:HW_CPU_X86_VMX': 'required'}))
    assert 'Placement answered 400' in text


def test_request_for_nothing(cloud):
    cloud.add('h1')
    extra_specs = {f'resources:{name}': '0' for name in ('VCPU', 'MEMORY_MB', 'DISK_GB')}
    assert 'asks for no resources' in fail(cloud.selector(), make_spec(extra_specs=extra_specs))


def test_placement_down(cloud):
    cloud.add('h1')
    selector = cloud.selector()
    cloud.service.intercept = lambda method, path: (503, '', 'down')
    with pytest.raises(exception.FellowServiceError, match='placement'):
        selector.select(make_spec(), new(), 1)


def test_placement_goes_down_between_two_claims(cloud):
    cloud.add('h1')
    selector, uuids = cloud.selector(), new(2)
    cloud.service.intercept = lambda method, path: (
        (503, '', 'down') if method == 'PUT' and uuids[1] in path else None
    )
    with pytest.raises(exception.FellowServiceError):
        selector.select(make_spec(), uuids, 1)
    assert cloud.held() == {}
    assert selector.cache.get(0).num_instances.tolist() == [0]


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


# -- destinations and prefilters


def test_disabled_by_trait(cloud):
    cloud.add('h1', vcpus=8, traits=('COMPUTE_STATUS_DISABLED',))
    cloud.add('h2')
    assert hosts_of(cloud.selector().select(make_spec(), new(), 1)) == ['h2']


def test_forced_host_is_not_filtered(cloud):
    cloud.add('h1', service={'up': False})
    cloud.add('h2')
    spec = make_spec(forced_host='h1')
    assert hosts_of(cloud.selector().select(spec, new(), 1)) == ['h1']


def test_requested_host_is_filtered(cloud):
    cloud.add('h1', service={'up': False})
    cloud.add('h2')
    text = fail(cloud.selector(), make_spec(requested_host='h1'))
    assert 'ComputeFilter: 1 of 1 host left out' in text
    spec = make_spec(requested_hypervisor_hostname='h2')
    assert hosts_of(cloud.selector().select(spec, new(), 1)) == ['h2']


def test_unknown_requested_host(cloud):
    cloud.add('h1')
    assert 'Host nowhere is not known.' in fail(cloud.selector(), make_spec(forced_host='nowhere'))


def test_ignored_hosts(cloud):
    cloud.add('h1', vcpus=8)
    cloud.add('h2')
    spec = make_spec(ignore_hosts=['h1'])
    assert hosts_of(cloud.selector().select(spec, new(), 1)) == ['h2']
    text = fail(cloud.selector(), make_spec(ignore_hosts=['h1', 'h2']))
    assert 'IgnoredHosts: 2 of 2 hosts left out: 2 tried before' in text


def test_availability_zones(cloud):
    north = make_aggregate('north', availability_zone='north')
    cloud.add('h1', aggregates=[north])
    cloud.add('h2', vcpus=8)
    selector = cloud.selector()
    [[selection]] = selector.select(make_spec(availability_zone='north'), new(), 1)
    assert (selection.host, selection.availability_zone) == ('h1', 'north')
    assert f'member_of=in:{north.uuid}' in cloud.service.requests[-2][1]
    [[selection]] = selector.select(make_spec(availability_zone='nova'), new(), 1)
    assert selection.host == 'h2'
    text = fail(selector, make_spec(availability_zone='south'))
    assert 'Availability zone south has no hosts.' in text


def test_tenants_of_aggregates(cloud):
    ours = make_aggregate('ours', filter_tenant_id3=PROJECT)
    cloud.add('h1', aggregates=[ours])
    cloud.add('h2', vcpus=8)
    on = {'scheduler__limit_tenants_to_placement_aggregate': True}
    assert hosts_of(cloud.selector().select(make_spec(), new(), 1)) == ['h2']
    assert hosts_of(cloud.selector(**on).select(make_spec(), new(), 1)) == ['h1']
    other = make_spec(project_id='other')
    assert hosts_of(cloud.selector(**on).select(other, new(), 1)) == ['h2']
    on['scheduler__placement_aggregate_required_for_tenants'] = True
    assert 'No aggregate is meant for the project.' in fail(cloud.selector(**on), other)


def test_isolated_aggregates(cloud):
    kept = make_aggregate('kept', **{'trait:CUSTOM_LICENCE': 'required'})
    cloud.add('h1', vcpus=8, aggregates=[kept], traits=('CUSTOM_LICENCE',))
    cloud.add('h2')
    selector = cloud.selector(scheduler__enable_isolated_aggregate_filtering=True)
    assert hosts_of(selector.select(make_spec(), new(), 1)) == ['h2']
    licensed = make_spec(extra_specs={'trait:CUSTOM_LICENCE': 'required'})
    assert hosts_of(selector.select(licensed, new(), 1)) == ['h1']
    assert hosts_of(cloud.selector().select(make_spec(), new(), 1)) == ['h1']


def test_image_type_and_models(cloud):
    cloud.add('h1', traits=('COMPUTE_IMAGE_TYPE_QCOW2', 'COMPUTE_NET_VIF_MODEL_VIRTIO'))
    cloud.add('h2', vcpus=8)
    spec = make_spec(properties={'hw_vif_model': 'virtio'})
    spec.image.disk_format = 'qcow2'
    assert hosts_of(cloud.selector().select(spec, new(), 1)) == ['h2']
    for option in ('query_placement_for_image_type_support', 'image_metadata_prefilter'):
        selector = cloud.selector(**{f'scheduler__{option}': True})
        assert hosts_of(selector.select(spec, new(), 1)) == ['h1']


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
