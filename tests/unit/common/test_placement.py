"""The placement client against the real service."""

import collections
import threading
import uuid
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import pytest

from kilonova.common import exception
from kilonova.common.clients import placement
from kilonova.tests.fakes import placement_hosts
from kilonova.tests.fakes.placement_fixture import PlacementFixture

PROJECT, USER = 'p' * 32, 'u' * 32


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PlacementFixture]:
    with PlacementFixture(tmp_path) as fixture:
        yield fixture


@pytest.fixture
def client(service: PlacementFixture) -> placement.Placement:
    return placement.Placement(service.adapter())


def new() -> str:
    return str(uuid.uuid4())


def vcpus(provider: str, amount: int) -> placement.Resources:
    return {provider: {'resources': {'VCPU': amount}}}


def claim(client: placement.Placement, consumer: str, allocations: placement.Resources) -> int:
    return client.claim(consumer, allocations, PROJECT, USER)


def test_new_claim_is_one_request(service, client):
    host = placement_hosts.add_host(client, 'h1')
    before = service.request_count
    consumer = new()
    assert claim(client, consumer, vcpus(host, 3)) == 1
    assert service.requests[before:] == [('PUT', f'/allocations/{consumer}')]
    held = client.get_allocations(consumer)
    assert held.allocations == {host: {'resources': {'VCPU': 3}}}
    assert (held.project_id, held.user_id, held.consumer_generation) == (PROJECT, USER, 1)


def test_connection_is_kept(service, client):
    for _ in range(5):
        client.find_provider('x')
    assert len(service.connections) == 1


def test_claim_replaces_what_is_held(service, client):
    one, two = (placement_hosts.add_host(client, name) for name in ('h1', 'h2'))
    consumer = new()
    claim(client, consumer, vcpus(one, 3))
    assert claim(client, consumer, vcpus(two, 4)) == 2
    assert client.get_allocations(consumer).allocations == {two: {'resources': {'VCPU': 4}}}


def test_same_claim_again_changes_nothing(client):
    host = placement_hosts.add_host(client, 'h1')
    consumer = new()
    claim(client, consumer, vcpus(host, 3))
    assert claim(client, consumer, vcpus(host, 3)) == 1


def test_refused_claim_leaves_nothing_and_is_not_retried(service, client):
    host = placement_hosts.add_host(client, 'h1', vcpus=4)
    before = service.request_count
    with pytest.raises(placement.ClaimRefused, match='Unable to allocate inventory'):
        claim(client, new(), vcpus(host, 5))
    assert service.request_count == before + 1
    assert service.usages() == {}


def test_claim_on_unknown_provider_is_refused(service, client):
    with pytest.raises(placement.ClaimRefused):
        claim(client, new(), vcpus(new(), 1))
    assert service.usages() == {}


def test_refused_replacement_keeps_the_old_claim(service, client):
    host = placement_hosts.add_host(client, 'h1', vcpus=4)
    consumer = new()
    claim(client, consumer, vcpus(host, 2))
    with pytest.raises(placement.ClaimRefused):
        claim(client, consumer, vcpus(host, 5))
    assert service.usages() == {consumer: {'VCPU': 2}}


def test_conflict_is_retried(service, client):
    host = placement_hosts.add_host(client, 'h1')
    answers = iter([(409, 'placement.concurrent_update', 'changed'), None])
    service.intercept = lambda method, path: next(answers, None) if method == 'PUT' else None
    consumer = new()
    assert claim(client, consumer, vcpus(host, 1)) == 1
    assert service.usages() == {consumer: {'VCPU': 1}}


def test_endless_conflict_is_an_error(service, client):
    host = placement_hosts.add_host(client, 'h1')
    service.intercept = lambda method, path: (
        (409, 'placement.concurrent_update', 'changed') if method == 'PUT' else None
    )
    with pytest.raises(placement.ConcurrentUpdate):
        claim(client, new(), vcpus(host, 1))
    assert service.usages() == {}


def test_answer_that_got_lost(service, client):
    """The claim was written but its answer was a gateway's 502."""
    host = placement_hosts.add_host(client, 'h1')
    consumer = new()
    other = placement.Placement(service.adapter())
    lost = iter([True])

    def intercept(method, path):
        if method == 'PUT' and next(lost, False):
            claim(other, consumer, vcpus(host, 1))
            return (502, '', 'bad gateway')
        return None

    service.intercept = intercept
    assert claim(client, consumer, vcpus(host, 1)) == 1
    assert service.usages() == {consumer: {'VCPU': 1}}


def test_service_that_fails(service, client):
    service.intercept = lambda method, path: (503, '', 'down')
    with pytest.raises(exception.FellowServiceError, match='placement'):
        client.get_allocations(new())
    assert service.request_count == 2


def test_service_that_is_gone(service, client):
    service.stop()
    with pytest.raises(exception.FellowServiceError):
        client.get_allocations(new())
    service.start()


def test_delete_allocations(service, client):
    host = placement_hosts.add_host(client, 'h1')
    consumer = new()
    claim(client, consumer, vcpus(host, 1))
    assert client.delete_allocations(consumer) is True
    assert client.delete_allocations(consumer) is False
    assert client.get_allocations(consumer).consumer_generation is None
    assert service.usages() == {}


def test_an_exchange_may_be_repeated_and_overwrites_nothing_else(service, client):
    host = placement_hosts.add_host(client, 'h1')
    consumer = new()
    claim(client, consumer, vcpus(host, 1))
    held = client.get_allocations(consumer)
    for _ in range(2):
        client.exchange(consumer, held, vcpus(host, 3))
        assert service.usages() == {consumer: {'VCPU': 3}}
    with pytest.raises(placement.ConcurrentUpdate):
        client.exchange(consumer, held, vcpus(host, 2))
    held = client.get_allocations(consumer)
    with pytest.raises(placement.ClaimRefused):
        client.exchange(consumer, held, vcpus(host, 3000))
    assert service.usages() == {consumer: {'VCPU': 3}}
    client.delete_allocations(consumer)
    with pytest.raises(placement.ConcurrentUpdate):
        client.exchange(consumer, held, vcpus(host, 1))
    assert service.usages() == {}


def test_release_gives_back_only_the_own_claim(service, client):
    host = placement_hosts.add_host(client, 'h1')
    consumer = new()
    mine = claim(client, consumer, vcpus(host, 1))
    theirs = claim(client, consumer, vcpus(host, 2))
    assert client.release(consumer, mine) is False
    assert service.usages() == {consumer: {'VCPU': 2}}
    assert client.release(consumer, theirs) is True
    assert client.release(consumer, theirs) is False
    assert service.usages() == {}


def test_move(service, client):
    one, two = (placement_hosts.add_host(client, name) for name in ('h1', 'h2'))
    server, migration = new(), new()
    claim(client, server, vcpus(one, 2))
    client.move_allocations(server, migration, vcpus(two, 3))
    assert client.get_allocations(migration).allocations == vcpus(one, 2)
    assert client.get_allocations(server).allocations == vcpus(two, 3)
    client.move_allocations(migration, server)
    assert client.get_allocations(server).allocations == vcpus(one, 2)
    assert service.usages() == {server: {'VCPU': 2}}


def test_racing_claims_take_what_is_there_and_no_more(service, client):
    host = placement_hosts.add_host(client, 'h1', vcpus=5)
    gate = threading.Barrier(8)

    def one() -> bool:
        mine = placement.Placement(service.adapter())
        gate.wait()
        try:
            claim(mine, new(), vcpus(host, 1))
        except placement.ClaimRefused:
            return False
        return True

    with futures.ThreadPoolExecutor(8) as pool:
        results = [f.result() for f in [pool.submit(one) for _ in range(8)]]
    assert collections.Counter(results) == {True: 5, False: 3}
    assert len(service.usages()) == 5


def test_racing_claims_of_one_consumer_leave_one(service, client):
    hosts = [placement_hosts.add_host(client, f'h{n}') for n in range(4)]
    consumer = new()
    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda host: claim(client, consumer, vcpus(host, 1)), hosts))
    assert service.usages() == {consumer: {'VCPU': 1}}
    client.delete_allocations(consumer)
    assert service.usages() == {}


def test_candidates(client):
    host = placement_hosts.add_host(client, 'h1', traits=('CUSTOM_GOLD',))
    placement_hosts.add_host(client, 'h2')
    found = client.get_candidates('resources=VCPU:1&required=CUSTOM_GOLD')
    assert [list(request.allocations) for request in found.allocation_requests] == [[host]]
    assert found.provider_summaries[host].resources['VCPU'].capacity == 4
    assert found.provider_summaries[host].root_provider_uuid == host


@pytest.mark.parametrize(
    'query', ['resources=VCPU:1&required=CUSTOM_NOBODY', 'resources=CUSTOM_NOTHING:1']
)
def test_candidates_of_unknown_names_are_none(client, query):
    placement_hosts.add_host(client, 'h1')
    assert client.get_candidates(query).allocation_requests == []


def test_malformed_candidates_query(client):
    with pytest.raises(placement.PlacementError, match='400'):
        client.get_candidates('resources=VCPU:many')


def test_ensure_provider_renames_and_refuses_a_taken_name(client):
    uuid_1, uuid_2 = new(), new()
    assert client.ensure_provider(uuid_1, 'a').generation == 0
    assert client.ensure_provider(uuid_1, 'a').name == 'a'
    assert client.ensure_provider(uuid_1, 'b').name == 'b'
    with pytest.raises(placement.ProviderNameTaken) as caught:
        client.ensure_provider(uuid_2, 'b')
    assert caught.value.kwargs['other'] == uuid_1


def test_tree(client):
    root, child = new(), new()
    client.ensure_provider(root, 'host')
    client.ensure_provider(child, 'host_numa0', parent=root)
    tree = {provider.uuid: provider for provider in client.get_tree(child)}
    assert set(tree) == {root, child}
    assert tree[child].parent_provider_uuid == root
    with pytest.raises(placement.ProviderInUse):
        client.delete_provider(root)
    assert client.delete_provider(child) and client.delete_provider(root)
    assert client.delete_provider(root) is False
    assert client.get_tree(root) == []


def test_inventories_with_an_old_generation(client):
    host = placement_hosts.add_host(client, 'h1')
    claim(client, new(), vcpus(host, 1))  # raises the provider's generation
    client.set_inventories(host, {'VCPU': {'total': 9}, 'CUSTOM_FPGA': {'total': 1}}, 0)
    inventories = client.get_inventories(host)
    assert {name: inventory['total'] for name, inventory in inventories.items()} == {
        'VCPU': 9,
        'CUSTOM_FPGA': 1,
    }


def test_inventory_in_use(client):
    host = placement_hosts.add_host(client, 'h1')
    claim(client, new(), vcpus(host, 1))
    with pytest.raises(placement.ProviderInUse):
        client.set_inventories(host, {'MEMORY_MB': {'total': 9}})
    with pytest.raises(placement.ProviderInUse):
        client.delete_provider(host)


def test_bad_inventory(client):
    host = placement_hosts.add_host(client, 'h1')
    with pytest.raises(placement.PlacementError, match='400'):
        client.set_inventories(host, {'VCPU': {'total': 1, 'reserved': 2}})


def test_traits(service, client):
    host = placement_hosts.add_host(client, 'h1')
    client.set_traits(host, ['CUSTOM_A', 'HW_CPU_X86_VMX'])
    assert client.change_traits(host, add=['COMPUTE_STATUS_DISABLED'], remove=['CUSTOM_A'])
    assert client.get_traits(host) == {'HW_CPU_X86_VMX', 'COMPUTE_STATUS_DISABLED'}
    assert not client.change_traits(host, remove=['CUSTOM_A'])
    client.set_traits(host, ['CUSTOM_A'])
    assert service.count('PUT', '/traits/CUSTOM_A') == 1


def test_aggregates_changed_at_the_same_time(client):
    host = placement_hosts.add_host(client, 'h1')
    aggregates = [new() for _ in range(4)]
    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda aggregate: client.add_aggregate(host, aggregate), aggregates))
    assert client.get_aggregates(host) == set(aggregates)
    assert client.add_aggregate(host, aggregates[0]) is False
    assert client.remove_aggregate(host, aggregates[0]) is True
    assert client.remove_aggregate(host, aggregates[0]) is False
    assert client.get_aggregates(host) == set(aggregates[1:])


@pytest.mark.parametrize(
    'call', ['get_inventories', 'get_traits', 'get_aggregates', 'get_provider']
)
def test_unknown_provider(client, call):
    with pytest.raises(placement.ProviderNotFound):
        getattr(client, call)(new())
    with pytest.raises(placement.ProviderNotFound):
        client.add_aggregate(new(), new())


def test_requests_are_reported(service):
    seen: list[tuple[str, str]] = []
    client = placement.Placement(
        service.adapter(), lambda method, path: seen.append((method, path))
    )
    client.find_provider('x')
    assert seen == [('GET', '/resource_providers')]
