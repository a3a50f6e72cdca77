"""Aggregates, zones, and their mirror in placement."""

import pytest

from kilonova.common import exception
from kilonova.tests.unit.conductor.hosts_world import CTX


@pytest.fixture
def aggregates(hosts_world):
    return hosts_world.aggregates


def test_life(aggregates):
    made = aggregates.create_aggregate(CTX, 'one', 'zone1')
    assert (made.name, made.metadata, made.hosts) == ('one', {'availability_zone': 'zone1'}, [])
    assert aggregates.create_aggregate(CTX, 'two', None).metadata == {}
    with pytest.raises(exception.AggregateNameExists, match='Aggregate one already exists'):
        aggregates.create_aggregate(CTX, 'one', None)
    with pytest.raises(exception.AggregateNameExists):
        aggregates.update_aggregate(CTX, made.id, {'name': 'two'})
    changed = aggregates.update_aggregate(CTX, made.id, {'name': 'uno', 'availability_zone': 'z'})
    assert (changed.name, changed.availability_zone) == ('uno', 'z')
    assert aggregates.get_aggregate(CTX, made.id) == changed
    aggregates.delete_aggregate(CTX, made.id)
    with pytest.raises(exception.AggregateNotFound):
        aggregates.delete_aggregate(CTX, made.id)
    assert [a.name for a in aggregates.list_aggregates(CTX)] == ['two']


def test_metadata(aggregates):
    made = aggregates.create_aggregate(CTX, 'one', None)
    assert aggregates.set_aggregate_metadata(CTX, made.id, {'a': '1', 'b': '2'}).metadata == {
        'a': '1',
        'b': '2',
    }
    changed = aggregates.set_aggregate_metadata(CTX, made.id, {'a': None, 'b': '3', 'c': None})
    assert changed.metadata == {'b': '3'}
    with pytest.raises(exception.InvalidAggregateAction, match='empty name'):
        aggregates.set_aggregate_metadata(CTX, made.id, {'availability_zone': ''})


def test_members_are_mirrored(hosts_world, aggregates):
    node = hosts_world.add_host('h1')
    made = aggregates.create_aggregate(CTX, 'one', 'zone1')
    before = hosts_world.version()
    assert aggregates.add_aggregate_host(CTX, made.id, 'h1').hosts == ['h1']
    assert hosts_world.placement.get_aggregates(node.uuid) == {made.uuid}
    assert hosts_world.version() == before + 1
    assert hosts_world.services.list_services(CTX)[0].availability_zone == 'zone1'
    with pytest.raises(exception.AggregateHostExists):
        aggregates.add_aggregate_host(CTX, made.id, 'h1')
    with pytest.raises(exception.InvalidAggregateAction, match='not empty'):
        aggregates.delete_aggregate(CTX, made.id)
    assert aggregates.remove_aggregate_host(CTX, made.id, 'h1').hosts == []
    assert hosts_world.placement.get_aggregates(node.uuid) == set()
    with pytest.raises(exception.AggregateHostNotFound):
        aggregates.remove_aggregate_host(CTX, made.id, 'h1')


def test_unknown_hosts_and_aggregates(hosts_world, aggregates):
    made = aggregates.create_aggregate(CTX, 'one', None)
    with pytest.raises(exception.HostMappingNotFound, match="Host 'nobody' is not mapped"):
        aggregates.add_aggregate_host(CTX, made.id, 'nobody')
    hosts_world.add_host('h1')
    with pytest.raises(exception.AggregateNotFound):
        aggregates.add_aggregate_host(CTX, 999, 'h1')


def test_a_failing_placement_leaves_nothing_changed(hosts_world, aggregates, placement_fixture):
    hosts_world.add_host('h1')
    made = aggregates.create_aggregate(CTX, 'one', None)
    placement_fixture.intercept = lambda method, path: (503, 'x', 'y')
    with pytest.raises(exception.FellowServiceError):
        aggregates.add_aggregate_host(CTX, made.id, 'h1')
    assert aggregates.get_aggregate(CTX, made.id).hosts == []
    placement_fixture.intercept = None
    aggregates.add_aggregate_host(CTX, made.id, 'h1')
    placement_fixture.intercept = lambda method, path: (503, 'x', 'y')
    with pytest.raises(exception.FellowServiceError):
        aggregates.remove_aggregate_host(CTX, made.id, 'h1')
    assert aggregates.get_aggregate(CTX, made.id).hosts == ['h1']


def test_a_host_without_provider_is_mirrored_when_it_starts(hosts_world, aggregates):
    node = hosts_world.add_host('h1', provider=False)
    made = aggregates.create_aggregate(CTX, 'one', None)
    assert aggregates.add_aggregate_host(CTX, made.id, 'h1').hosts == ['h1']
    hosts_world.placement.ensure_provider(node.uuid, 'h1')
    aggregates.mirror_host('h1')
    assert hosts_world.placement.get_aggregates(node.uuid) == {made.uuid}


def test_a_host_is_in_one_zone(hosts_world, aggregates):
    hosts_world.add_host('h1')
    one = aggregates.create_aggregate(CTX, 'one', 'zone1')
    same = aggregates.create_aggregate(CTX, 'same', 'zone1')
    other = aggregates.create_aggregate(CTX, 'other', 'zone2')
    plain = aggregates.create_aggregate(CTX, 'plain', None)
    for aggregate in (one, same, plain):
        aggregates.add_aggregate_host(CTX, aggregate.id, 'h1')
    with pytest.raises(exception.InvalidAggregateAction, match=r"zone\(s\) \['zone1'\]"):
        aggregates.add_aggregate_host(CTX, other.id, 'h1')
    for change in (
        lambda: aggregates.update_aggregate(CTX, plain.id, {'availability_zone': 'zone2'}),
        lambda: aggregates.set_aggregate_metadata(CTX, plain.id, {'availability_zone': 'zone2'}),
    ):
        with pytest.raises(exception.InvalidAggregateAction, match='already in availability zone'):
            change()
    assert aggregates.update_aggregate(CTX, plain.id, {'availability_zone': 'zone1'})


def test_servers_keep_their_zone(hosts_world, aggregates):
    hosts_world.add_host('h1')
    made = aggregates.create_aggregate(CTX, 'one', 'zone1')
    hosts_world.add_server('h1')
    with pytest.raises(exception.InvalidAggregateAction, match='contain instances'):
        aggregates.add_aggregate_host(CTX, made.id, 'h1')
    plain = aggregates.create_aggregate(CTX, 'plain', None)
    aggregates.add_aggregate_host(CTX, plain.id, 'h1')
    with pytest.raises(exception.InvalidAggregateAction, match='contain instances'):
        aggregates.set_aggregate_metadata(CTX, plain.id, {'availability_zone': 'zone1'})
    aggregates.set_aggregate_metadata(CTX, plain.id, {'ssd': 'true'})
    aggregates.remove_aggregate_host(CTX, plain.id, 'h1')


def test_a_zone_with_servers_is_not_left(hosts_world, aggregates):
    hosts_world.add_host('h1')
    made = aggregates.create_aggregate(CTX, 'one', 'zone1')
    aggregates.add_aggregate_host(CTX, made.id, 'h1')
    hosts_world.add_server('h1')
    with pytest.raises(exception.InvalidAggregateAction, match='contain instances'):
        aggregates.remove_aggregate_host(CTX, made.id, 'h1')
    with pytest.raises(exception.InvalidAggregateAction, match='contain instances'):
        aggregates.set_aggregate_metadata(CTX, made.id, {'availability_zone': None})
