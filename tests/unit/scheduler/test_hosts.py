"""The host table's copy, and what is laid over it."""

import threading
import time
from concurrent import futures

import numpy as np

from kilonova.common.objects.host import HostTable
from kilonova.scheduler import cache as cache_module
from kilonova.scheduler.cache import HostCache
from kilonova.scheduler.hosts import Hosts
from kilonova.tests.unit.scheduler.builders import (
    PROJECT,
    make_aggregate,
    make_flavor,
    make_host,
    make_spec,
)

SPEC = make_spec(
    make_flavor(vcpus=2, memory_mb=1000, root_gb=10),
    properties={'os_distro': 'debian', 'note': 'x'},
)


class Conductor:
    """Answers get_host_table, and counts."""

    def __init__(self) -> None:
        self.version, self.calls, self.delay = 1, 0, 0.0
        self.instances: dict[str, str] = {}

    def get(self) -> HostTable:
        self.calls += 1
        time.sleep(self.delay)
        state = make_host('h1', instances=dict(self.instances))
        return HostTable(version=self.version, hosts=[state])


def test_fetches_when_older_than_asked_for_or_too_old():
    conductor = Conductor()
    cache = HostCache(conductor.get, max_age=0.2)
    cache.get(0)
    cache.get(1)
    assert conductor.calls == 1
    conductor.version = 2
    assert cache.get(2).version == 2
    assert conductor.calls == 2
    time.sleep(0.25)
    cache.get(2)
    assert conductor.calls == 3


def test_requests_that_wait_share_one_fetch():
    conductor = Conductor()
    conductor.delay = 0.1
    cache = HostCache(conductor.get)
    moment = time.monotonic()
    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cache.newer_than(moment), range(8)))
    assert conductor.calls == 1
    cache.newer_than(time.monotonic())
    assert conductor.calls == 2


def test_pick_stays_counted_until_the_conductor_knows_it(monkeypatch):
    conductor = Conductor()
    cache = HostCache(conductor.get)
    cache.take(cache.get(0), 0, 's1', SPEC)
    for known in ({}, {'s1': PROJECT}):
        conductor.instances = known
        hosts = cache.newer_than(time.monotonic())
        assert hosts.states[0].instances == {'s1': PROJECT}
        assert hosts.free_vcpus.tolist() == [4 if known else 2]
    conductor.instances = {}
    for pick in cache._picks.values():
        pick.until = 0.0
    assert cache.newer_than(time.monotonic()).states[0].instances == {}


def test_take_on_an_older_copy_counts_in_the_newest_too():
    cache = HostCache(Conductor().get)
    old = cache.get(0)
    new = cache.newer_than(time.monotonic())
    cache.take(old, 0, 's1', SPEC)
    assert old.num_instances.tolist() == new.num_instances.tolist() == [1]
    assert new.states[0].image_properties == {'os_distro': {'debian': 1}}


def test_a_server_that_is_placed_anew_leaves_the_host_it_had_been_picked_for():
    cache = HostCache(lambda: HostTable(version=1, hosts=[make_host('h1'), make_host('h2')]))
    hosts = cache.get(0)
    cache.take(hosts, 0, 's1', SPEC)
    cache.take(hosts, 1, 's1', SPEC)
    assert hosts.num_instances.tolist() == [0, 1]
    assert hosts.count_of(['s1']).tolist() == [0, 1]


def test_give_undoes_take():
    cache = HostCache(Conductor().get)
    hosts = cache.get(0)
    before = [hosts.free_ram_mb[0], hosts.free_disk_mb[0], hosts.free_vcpus[0], hosts.num_io_ops[0]]
    cache.take(hosts, 0, 's1', SPEC)
    assert hosts.free_ram_mb[0] == before[0] - 1000
    assert hosts.count_of(['s1']).tolist() == [1]
    cache.give('s1', SPEC)
    after = [hosts.free_ram_mb[0], hosts.free_disk_mb[0], hosts.free_vcpus[0], hosts.num_io_ops[0]]
    assert after == before
    assert hosts.count_of(['s1']).tolist() == [0]
    assert hosts.states[0].image_properties == {'os_distro': {'debian': 0}}
    assert cache.newer_than(time.monotonic()).states[0].instances == {}


def test_pick_memory_is_longer_than_a_conductor_needs():
    assert 1 < cache_module.PICK_MEMORY < cache_module.MAX_AGE


def test_zone():
    zone = make_aggregate('z', availability_zone='north')
    states = [
        make_host('a', aggregates=[make_aggregate('ssd', ssd='1'), zone]),
        make_host('b', service={'availability_zone': 'default'}),
        make_host('c'),
    ]
    assert Hosts(states).zones == ['north', 'default', 'nova']


def test_aggregate_numbers():
    states = [
        make_host('a', aggregates=[make_aggregate('x', limit='5'), make_aggregate('y', limit='3')]),
        make_host('b', aggregates=[make_aggregate('w', limit='many')]),
        make_host('c'),
    ]
    hosts = Hosts(states)
    assert list(np.atleast_1d(hosts.aggregate_numbers('limit', 9.0))) == [3, 9, 9]
    assert hosts.aggregate_numbers('other', 9.0) == 9.0


def test_no_hosts():
    hosts = Hosts([])
    assert len(hosts) == 0 and not len(hosts.up)


def test_concurrent_takes_are_all_counted():
    cache = HostCache(Conductor().get)
    hosts = cache.get(0)
    gate = threading.Barrier(4)

    def take_many(worker: int) -> None:
        gate.wait()
        for n in range(200):
            cache.take(hosts, 0, f'{worker}-{n}', SPEC)

    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(take_many, range(4)))
    assert hosts.num_instances.tolist() == [800]
