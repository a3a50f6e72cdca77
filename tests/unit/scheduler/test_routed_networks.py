"""Segments of networks, with a Neutron and the real placement."""

import uuid

import pytest
from keystoneauth1 import adapter, noauth, session

from kilonova.common import exception
from kilonova.common.clients.neutron import Neutron
from kilonova.common.objects.network import NetworkRequest
from kilonova.scheduler.routed_networks import RoutedNetworks
from kilonova.tests.fakes.neutron import FakeNeutron
from kilonova.tests.fakes.placement_hosts import uuid_of
from kilonova.tests.unit.scheduler.builders import make_aggregate, make_spec


@pytest.fixture
def fake():
    service = FakeNeutron()
    yield service
    service.close()


@pytest.fixture
def neutron(fake):
    auth = noauth.NoAuth(endpoint=fake.url)
    return Neutron(adapter.Adapter(session.Session(auth), endpoint_override=fake.url))


def add_segments(fake, cloud, network: str, *aggregates: str | None) -> list[str]:
    """Put each subnet of the network into a segment of that aggregate; returns the subnets."""
    [first] = fake.things['networks'][network]['subnets']
    subnets = [first]
    for _ in aggregates[1:]:
        other = str(uuid.uuid4())
        fake.things['subnets'][other] = {**fake.things['subnets'][first], 'id': other}
        subnets.append(other)
    for subnet, aggregate in zip(subnets, aggregates, strict=True):
        segment = str(uuid.uuid4())
        fake.things['subnets'][subnet]['segment_id'] = segment
        if aggregate is not None:
            cloud.client.ensure_provider(segment, f'segment {segment}')
            cloud.client.add_aggregate(segment, uuid_of(aggregate))
    return subnets


def chosen(cloud, neutron, *networks: NetworkRequest) -> str:
    selector = cloud.selector(neutron)
    return selector.select(make_spec(networks=list(networks)), [str(uuid.uuid4())], 0)[0][0].host


def test_a_host_in_the_segment_of_the_port_is_taken(cloud, fake, neutron):
    cloud.add('big', vcpus=16)
    for rack in ('rack1', 'rack2'):
        cloud.add(rack, aggregates=[make_aggregate(rack)])
    network = fake.add_network()
    _, second = add_segments(fake, cloud, network, 'rack1', 'rack2')
    port = NetworkRequest(network_id=network, port_id='p', subnets=[second])
    assert chosen(cloud, neutron, port) == 'rack2'
    assert chosen(cloud, neutron, NetworkRequest(network_id=network)) in ('rack1', 'rack2')
    plain = NetworkRequest(network_id=fake.add_network())
    assert chosen(cloud, neutron, plain) == chosen(cloud, neutron) == 'big'


def test_all_networks_have_to_be_reached(cloud, fake, neutron):
    both = [make_aggregate('east'), make_aggregate('fast')]
    cloud.add('one', vcpus=16, aggregates=both[:1])
    cloud.add('two', aggregates=both)
    networks = [fake.add_network(), fake.add_network()]
    for network, aggregate in zip(networks, both, strict=True):
        add_segments(fake, cloud, network, aggregate.name)
    before = len(fake.requests)
    assert chosen(cloud, neutron, *(NetworkRequest(network_id=one) for one in networks)) == 'two'
    assert len(fake.requests) - before == 1


def test_a_segment_without_hosts(cloud, fake, neutron):
    cloud.add('h1')
    network = fake.add_network()
    add_segments(fake, cloud, network, None)
    with pytest.raises(exception.NoValidHost, match='known to reach the network segments'):
        chosen(cloud, neutron, NetworkRequest(network_id=network))


def test_no_network_asks_nobody(cloud, fake, neutron):
    before = len(fake.requests)
    routed = RoutedNetworks(neutron, cloud.client)
    assert routed.aggregates_for([]) == []
    assert len(fake.requests) == before
