"""Candidates from the table: when, and that they are placement's."""

import collections
import contextlib
import threading
import uuid
from concurrent import futures
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.common import exception
from kilonova.common.objects.host import Amount, HostState, ProviderState
from kilonova.common.objects.server_group import Membership
from kilonova.scheduler import destination, loader, plain, request
from kilonova.scheduler.filters.base import PerHost
from kilonova.scheduler.hosts import Hosts
from kilonova.scheduler.offer import Offer
from kilonova.tests.fakes import placement_hosts
from kilonova.tests.fakes.placement_hosts import uuid_of
from kilonova.tests.unit.scheduler import builders
from kilonova.tests.unit.scheduler.builders import (
    PROJECT,
    USER,
    make_aggregate,
    make_conf,
    make_flavor,
    make_spec,
)

TRAITS = ('COMPUTE_ARCH_X86_64', 'HW_CPU_X86_VMX')
ZONES = (None, 'north', 'south')
KEPT = {
    'mine': {'filter_tenant_id': PROJECT},
    'theirs': {'filter_tenant_id': USER},
    'vmx': {'trait:HW_CPU_X86_VMX': 'required'},
    'gold': {'trait:CUSTOM_GOLD': 'required'},
}
"""Aggregates that are kept for a project, or for requests that need a trait."""


def new(count: int = 1) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def test_plain_boot_asks_for_the_claim_alone(cloud):
    for n in range(3):
        cloud.add(f'h{n}', told=True)
    selector = cloud.selector()
    selector.select(make_spec(), new(), 1)
    before, uuids = cloud.service.request_count, new()
    [[selection, *_]] = selector.select(make_spec(), uuids, 1, alternates=2)
    assert [(m, path) for m, path in cloud.service.requests[before:]] == [
        ('PUT', f'/allocations/{uuids[0]}')
    ]
    assert cloud.held()[uuids[0]] == {'VCPU': 1, 'MEMORY_MB': 512, 'DISK_GB': 1}
    assert selection.allocations.keys() == {uuid_of(selection.host)}


def test_own_picks_fill_the_table(cloud):
    cloud.add('h1', vcpus=2, told=True)
    cloud.add('h2', vcpus=2, told=True)
    selector = cloud.selector()
    for _ in range(4):
        selector.select(make_spec(), new(), 1)
    with pytest.raises(exception.NoValidHost, match='VCPU 1'):
        selector.select(make_spec(), new(), 1)
    assert cloud.service.count('GET', '/allocation_candidates') == 1


def test_many_servers_of_one_request(cloud):
    for n in range(3):
        cloud.add(f'h{n}', vcpus=2, told=True)
    found = cloud.selector().select(make_spec(), new(6), 1)
    assert sorted(one[0].host for one in found) == ['h0', 'h0', 'h1', 'h1', 'h2', 'h2']


def test_a_table_that_is_out_of_date_is_found_out(cloud):
    for n in range(6):
        cloud.add(f'h{n}', vcpus=8, told=True)
    for n in range(5):  # somebody else has filled them
        way = {uuid_of(f'h{n}'): {'resources': {'VCPU': 8}}}
        cloud.client.claim(new()[0], way, PROJECT, USER)
    selector = cloud.selector()
    assert selector.select(make_spec(), new(), 1)[0][0].host == 'h5'
    assert cloud.service.count('GET', '/allocation_candidates') == 1


@pytest.mark.parametrize(
    'extra_specs',
    [
        {'trait:CUSTOM_FAST': 'required'},
        {'resources1:VCPU': '1'},
        {'resources:CUSTOM_GPU': '1'},
        {'hw:cpu_policy': 'dedicated'},
    ],
)
def test_what_the_table_cannot_know_is_asked_for(cloud, extra_specs):
    cloud.add('h1', told=True)
    with contextlib.suppress(exception.NoValidHost):
        cloud.selector().select(make_spec(make_flavor(extra_specs=extra_specs)), new(), 1)
    assert cloud.service.count('GET', '/allocation_candidates') >= 1


def test_sharing_providers_are_placements_business(cloud):
    cloud.add('h1', told=True)
    provider = placement_hosts.add_host(cloud.client, 'nfs', vcpus=0, memory_mb=0, disk_gb=1000)
    generation = cloud.client.get_provider(provider).generation
    cloud.client.set_traits(provider, ('MISC_SHARES_VIA_AGGREGATE',), generation)
    cloud.selector().select(make_spec(), new(), 1)
    assert cloud.service.count('GET', '/allocation_candidates') == 1


def test_a_host_that_has_not_told_is_asked_about(cloud):
    cloud.add('h1', told=True)
    cloud.add('h2')
    cloud.selector().select(make_spec(), new(), 1)
    assert cloud.service.count('GET', '/allocation_candidates') == 1


# -- the two ways give the same answers

amounts = st.builds(
    lambda total, reserved, step, ratio, most: Amount(
        total=total,
        reserved=min(reserved, total),
        min_unit=1,
        max_unit=min(most, total),
        step_size=step,
        allocation_ratio=ratio,
    ),
    total=st.integers(1, 16),
    reserved=st.integers(0, 4),
    step=st.sampled_from([1, 1, 2]),
    ratio=st.sampled_from([1.0, 1.5, 4.0]),
    most=st.integers(1, 16),
)
cloud_hosts = st.lists(
    st.fixed_dictionaries(
        {
            'VCPU': amounts,
            'MEMORY_MB': amounts,
            'DISK_GB': amounts,
            'traits': st.sets(st.sampled_from(TRAITS)),
            'zone': st.sampled_from(ZONES),
            'kept': st.sets(st.sampled_from(sorted(KEPT)), max_size=2),
            'disabled': st.booleans(),
            'used': st.integers(0, 4),
        }
    ),
    min_size=1,
    max_size=5,
)
requests = st.fixed_dictionaries(
    {
        'vcpus': st.integers(1, 8),
        'memory_mb': st.integers(1, 8),
        'root_gb': st.integers(0, 8),
        'required': st.sets(st.sampled_from(TRAITS), max_size=1),
        'forbidden': st.sets(st.sampled_from(TRAITS), max_size=1),
        'zone': st.sampled_from(ZONES),
        'named': st.sampled_from([None, None, 'forced_host', 'requested_host']),
        'group': st.sampled_from([None, 'affinity', 'anti-affinity']),
        'members': st.integers(0, 5),
        'tenants': st.booleans(),
        'isolated': st.booleans(),
    }
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(described=cloud_hosts, wanted=requests)
def test_table_and_placement_agree(cloud, described, wanted):
    states = [_make(cloud, one) for one in described]
    try:
        _compare(cloud, states, wanted)
    finally:
        for state in states:
            cloud.client.delete_allocations(uuid_of(f'of {state.node.uuid}'))
            cloud.client.delete_provider(state.node.uuid)


def _make(cloud, one) -> HostState:
    """Make a host in placement and in the table."""
    name = str(uuid.uuid4())
    inventories = {kind: one[kind] for kind in ('VCPU', 'MEMORY_MB', 'DISK_GB')}
    traits = ('OWNER_NOVA', *one['traits'])
    aggregates = [make_aggregate(one['zone'], availability_zone=one['zone'])] if one['zone'] else []
    aggregates += [make_aggregate(kind, **KEPT[kind]) for kind in sorted(one['kept'])]
    if one['disabled']:
        traits += ('COMPUTE_STATUS_DISABLED',)
    provider = uuid_of(name)
    cloud.client.ensure_provider(provider, name)
    wanted = {
        kind: {key: getattr(found, key) for key in found.__struct_fields__}
        for kind, found in inventories.items()
    }
    generation = cloud.client.set_inventories(provider, wanted, 0)
    cloud.client.set_traits(provider, traits, generation)
    for aggregate in aggregates:
        cloud.client.add_aggregate(provider, aggregate.uuid)
    used = _use(cloud, provider, inventories['VCPU'], one['used'])
    return builders.make_host(
        name,
        aggregates=aggregates,
        service={'disabled': one['disabled']},
        node_uuid=provider,
        node_vcpus_used=used,
        node_provider=ProviderState(inventories=inventories, traits=list(traits)),
    )


def _use(cloud, provider: str, vcpus: Amount, amount: int) -> int:
    amount = min(amount, vcpus.max_unit, int(vcpus.capacity))
    amount -= amount % vcpus.step_size
    if amount:
        way = {provider: {'resources': {'VCPU': amount}}}
        cloud.client.claim(uuid_of(f'of {provider}'), way, PROJECT, USER)
    return amount


def _compare(cloud, states, wanted) -> None:
    extra_specs = {f'trait:{name}': 'required' for name in wanted['required']}
    extra_specs |= {
        f'trait:{name}': 'forbidden' for name in wanted['forbidden'] - wanted['required']
    }
    flavor = make_flavor(
        wanted['vcpus'], wanted['memory_mb'], wanted['root_gb'], extra_specs=extra_specs
    )
    spec = make_spec(flavor, availability_zone=wanted['zone'], **_places(states, wanted))
    conf, hosts = make_conf(**_prefilters(wanted)), Hosts(states)
    asked = request.from_spec(spec)
    try:
        destination.restrict(asked, spec, hosts, conf)
    except exception.NoValidHost:
        return  # before anybody is asked
    assert plain.is_plain(asked, hosts)
    by_table = plain.TableOffer(hosts, asked)
    by_placement = Offer(hosts, cloud.client.get_candidates(asked.query(1000)))
    assert by_table.hosts().tolist() == by_placement.hosts().tolist()
    for i in by_table.hosts():
        assert by_table.ways(int(i)) == by_placement.ways(int(i))
    everyone = np.arange(len(hosts))
    assert by_table.fitting(everyone)[by_table.hosts()].all()
    filters = [*destination.filters_for(conf), *loader.load_filters(conf)]
    assert _left(filters, hosts, by_table, spec) == _left(filters, hosts, by_placement, spec)


def _places(states, wanted) -> dict[str, Any]:
    """Return where the request has to go: to a named host, to a group's hosts or away from them."""
    names = [state.service.host for state in states]
    found: dict[str, Any] = {wanted['named']: names[-1]} if wanted['named'] else {}
    if wanted['group']:
        members = {uuid_of(f'in {name}'): [name] for name in names[: wanted['members']]}
        found['group'] = Membership(policy=wanted['group'], hosts=members)
    return found


def _prefilters(wanted) -> dict[str, bool]:
    return {
        'scheduler__limit_tenants_to_placement_aggregate': wanted['tenants'],
        'scheduler__enable_isolated_aggregate_filtering': wanted['isolated'],
    }


def _left(filters, hosts, offer, spec) -> list[int]:
    """Return who is left of an offer after the filters."""
    alive = offer.hosts()
    for one in filters:
        mask = one.passes(hosts, alive, spec)
        alive = alive if mask is None else alive[mask]
    return alive.tolist()


def test_four_schedulers_fill_a_cloud_to_the_last_slot(cloud):
    for n in range(8):
        cloud.add(f'h{n}', vcpus=2 + n % 3, told=True)
    room = sum(2 + n % 3 for n in range(8))
    selectors = [cloud.selector() for _ in range(4)]
    gate = threading.Barrier(4)

    def work(selector) -> list[str]:
        gate.wait()
        placed = []
        for _ in range(room // 4 + 2):
            with contextlib.suppress(exception.NoValidHost):
                placed.append(selector.select(make_spec(), new(), 1)[0][0].host)
        return placed

    with futures.ThreadPoolExecutor(4) as pool:
        placed = [host for found in pool.map(work, selectors) for host in found]
    assert collections.Counter(placed) == {f'h{n}': 2 + n % 3 for n in range(8)}
    assert len(cloud.held()) == room


def test_a_filter_that_fails_says_so_and_the_scheduler_goes_on(cloud):
    cloud.add('h1', told=True)
    selector = cloud.selector()

    class Broken:
        def host_passes(self, host_state, spec_obj):
            raise KeyError('gold')

    selector.filters.append(PerHost(selector.conf, Broken()))
    with pytest.raises(exception.NoValidHost, match='Broken failed: KeyError'):
        selector.select(make_spec(), new(), 1)
    selector.filters.pop()
    assert selector.select(make_spec(), new(), 1)[0][0].host == 'h1'
