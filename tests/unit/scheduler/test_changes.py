"""The table is kept up to date piece by piece."""

import datetime
import time

import pytest

from kilonova.common.objects.host import HostTable
from kilonova.common.objects.host_changes import HostChanges, HostMark, Occupied, ServerPlace
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.numa import NumaNode, NumaTopology
from kilonova.common.objects.pci import PciDevice
from kilonova.scheduler import cache as cache_module
from kilonova.scheduler.cache import HostCache
from kilonova.scheduler.changes import Changes
from kilonova.tests.fakes.placement_hosts import uuid_of
from kilonova.tests.unit.scheduler.builders import (
    make_aggregate,
    make_flavor,
    make_host,
    make_service,
    make_spec,
)

AT = datetime.datetime(2026, 1, 1)
SPEC = make_spec(make_flavor(vcpus=2, memory_mb=1000, root_gb=10))


class Conductor:
    """Answers what the test has put there, and remembers what it was asked with."""

    def __init__(self) -> None:
        self.answers: list[HostChanges] = []
        self.marks: list[dict[str, HostMark]] = []

    def ask(self, marks):
        self.marks.append(dict(marks))
        return [self.answers.pop(0)]

    def say(self, version: int = 1, after: int | None = None, **values) -> None:
        mark = HostMark(version=version, at=AT, after=after)
        self.answers.append(HostChanges(mark=mark, **{'nodes': 2, **values}))


def place(uuid: str, host: str | None, vcpus: int = 1) -> ServerPlace:
    return ServerPlace(uuid, host, host or '', 'p', vcpus, 512, 1, False)


@pytest.fixture
def conductor():
    found = Conductor()
    found.say(first=True, after=1, hosts=[make_host('h1')])
    aggregates = [make_aggregate('z', availability_zone='north')]
    aggregates[0].hosts = ['h2']
    found.say(hosts=[make_host('h2')], servers=[place('s1', 'h1')], aggregates=aggregates)
    return found


@pytest.fixture
def cache(conductor):
    cache = HostCache(lambda: HostTable(version=0, hosts=[]), changes=Changes(conductor.ask))
    cache.get(1)
    return cache


def again(cache):
    return cache.newer_than(time.monotonic())


def test_a_first_look_comes_in_pieces(cache, conductor):
    hosts = cache.get(1)
    assert [state.node.host for state in hosts.states] == ['h1', 'h2']
    assert hosts.free_vcpus.tolist() == [3, 4]
    assert hosts.zones == ['nova', 'north']
    assert hosts.states[0].instances == {'s1': 'p'}
    assert [marks.get('None') and marks['None'].after for marks in conductor.marks] == [None, 1]


def test_servers_move_and_go(cache, conductor):
    hosts = cache.get(1)
    conductor.say(servers=[place('s1', 'h2', 2), place('s2', 'h1')])
    assert again(cache) is hosts
    assert hosts.free_vcpus.tolist() == [3, 2]
    assert hosts.num_instances.tolist() == [1, 1]
    conductor.say(servers=[place('s1', None), place('s2', None), place('s3', None)])
    again(cache)
    assert hosts.free_vcpus.tolist() == [4, 4]
    assert hosts.amounts.fitting({'VCPU': 1}).tolist() == [False, False]  # nobody has told
    assert hosts.servers == hosts.loads == {}


def test_the_same_news_twice_change_nothing(cache, conductor):
    for _ in range(2):
        conductor.say(servers=[place('s1', 'h2', 2)])
        hosts = again(cache)
        assert hosts.free_vcpus.tolist() == [4, 2]


def test_a_changed_node_keeps_its_servers(cache, conductor):
    conductor.say(version=2, hosts=[make_host('h1', node_vcpus=8)])
    hosts = again(cache)
    assert hosts.free_vcpus.tolist() == [7, 4]
    assert hosts.states[0].instances == {'s1': 'p'}
    assert hosts.version == 2


def test_new_and_gone_nodes(cache, conductor):
    conductor.say(version=2, hosts=[make_host('h3')], nodes=3)
    hosts = again(cache)
    assert [state.node.host for state in hosts.states] == ['h1', 'h2', 'h3']
    assert hosts.free_vcpus.tolist() == [3, 4, 4]
    conductor.say(version=3, nodes=2)
    conductor.say(first=True, version=3, hosts=[make_host('h2'), make_host('h3')])
    hosts = again(cache)
    assert [state.node.host for state in hosts.states] == ['h2', 'h3']
    assert hosts.servers == {}


def test_services(cache, conductor):
    conductor.say(troubled=[make_service('h1', disabled=True), make_service('h2', up=False)])
    hosts = again(cache)
    assert (hosts.enabled.tolist(), hosts.up.tolist()) == ([False, True], [True, False])
    conductor.say()
    again(cache)
    assert hosts.enabled.all() and hosts.up.all()
    assert not hosts.states[0].service.disabled


def test_aggregates_are_told_as_a_whole(cache, conductor):
    other = make_aggregate('x', availability_zone='south')
    other.hosts = ['h1', 'h2']
    conductor.say(version=2, aggregates=[other])
    hosts = again(cache)
    assert hosts.zones == ['south', 'south']
    assert hosts.states[0].aggregates[0] is hosts.states[1].aggregates[0]


def test_layouts(cache, conductor):
    topology = NumaTopology(nodes=[NumaNode(id=0, vcpus=[0], memory_mb=1)])
    conductor.say(occupied=[Occupied(host='h1', node='h1', guests=[topology], devices=['a'])])
    hosts = again(cache)
    assert hosts.states[0].guests == [topology]
    assert hosts.states[0].pci_taken == ['a']
    conductor.say(occupied=[])
    assert again(cache).states[0].guests == []


def pick_with_device(cache, uuid: str, address: str) -> None:
    device = PciDevice(address=address, vendor_id='8086', product_id='1572')
    cache.take(cache.get(1), 0, uuid, SPEC, Layout(devices=[device]))


def test_devices_of_a_pick_are_free_when_the_conductor_has_nothing_new(cache, conductor):
    conductor.say(occupied=[Occupied(host='h1', node='h1', devices=['a'])])
    hosts = again(cache)
    pick_with_device(cache, 's9', 'b')
    conductor.say(servers=[place('s9', None)])  # not written down yet
    again(cache)
    assert hosts.states[0].pci_taken == ['a', 'b']
    conductor.say(servers=[ServerPlace('s9', deleted=True)])  # the devices are as they were
    again(cache)
    assert hosts.states[0].pci_taken == ['a']


def test_a_server_that_is_placed_anew_is_not_where_it_was_picked(cache, conductor):
    hosts = cache.get(1)
    pick_with_device(cache, 's9', 'b')
    assert hosts.free_vcpus.tolist() == [1, 4]
    assert cache.forget(['s1', 's9'])
    conductor.say()
    again(cache)
    assert hosts.free_vcpus.tolist() == [3, 4]
    assert hosts.states[0].pci_taken == []
    assert not cache.forget(['s9'])


def test_a_pick_counts_until_the_conductor_tells_of_it(cache, conductor):
    hosts = cache.get(1)
    cache.take(hosts, 1, 's9', SPEC)
    conductor.say(servers=[place('s9', None)])  # its host is not written down yet
    again(cache)
    assert hosts.free_vcpus.tolist() == [3, 2]
    conductor.say(servers=[place('s9', 'h1', 2)])
    again(cache)
    assert hosts.free_vcpus.tolist() == [1, 4]
    conductor.say(servers=[place('s9', None)])  # and now it is gone
    again(cache)
    assert hosts.free_vcpus.tolist() == [3, 4]


def test_a_pick_that_nobody_hears_of_is_given_up(cache, conductor, monkeypatch):
    monkeypatch.setattr(cache_module, 'PICK_MEMORY', -1.0)
    hosts = cache.get(1)
    cache.take(hosts, 1, 's9', SPEC)
    conductor.say()
    again(cache)
    assert hosts.free_vcpus.tolist() == [3, 4]


def test_alike_hosts_share_what_is_alike(cache):
    first, second = cache.get(1).states
    assert first.node.supported_instances is second.node.supported_instances
    assert first.node.uuid == uuid_of('h1')


def test_a_pick_that_is_deleted_is_forgotten_at_once(cache, conductor):
    hosts = cache.get(1)
    cache.take(hosts, 1, 's9', SPEC)
    conductor.say(servers=[ServerPlace('s9', deleted=True)])
    again(cache)
    assert hosts.free_vcpus.tolist() == [3, 4]
