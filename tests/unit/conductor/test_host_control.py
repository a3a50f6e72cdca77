"""What os-hosts shows and does, and images that hosts are to keep ready."""

import pytest

from kilonova.common import exception
from kilonova.common.objects.host import Amounts
from kilonova.conductor.host_control import HostControl
from kilonova.conductor.image_caching import ImageCaching
from kilonova.tests.unit.conductor.hosts_world import CTX


@pytest.fixture
def control(hosts_world):
    world = hosts_world
    return HostControl(world.conf, world.cell_db, world.compute)


def test_resources(control, hosts_world):
    hosts_world.add_host('h1', reserved_host_cpus=1)
    hosts_world.add_server('h1')
    hosts_world.add_server('h1', project_id='q', vcpus=4)
    hosts_world.add_server('h1', deleted=3)
    found = control.get_host_resources(CTX, 'h1')
    assert found.total == Amounts(8, 8192, 100)
    assert found.used_now == Amounts(7, 2560, 22)
    assert found.used_max == Amounts(6, 2048, 22)
    assert found.projects == {'p': Amounts(2, 1024, 11), 'q': Amounts(4, 1024, 11)}
    with pytest.raises(exception.ComputeHostNotFound):
        control.get_host_resources(CTX, 'h2')


def test_orders_go_to_hosts_that_are_up(control, hosts_world):
    hosts_world.add_host('h1')
    assert control.host_power_action(CTX, 'h1', 'reboot') == 'reboot'
    assert control.set_host_maintenance(CTX, 'h1', True) is True
    assert hosts_world.compute.told == [('h1', 'reboot'), ('h1', True)]
    with pytest.raises(exception.ComputeHostNotFound):
        control.host_power_action(CTX, 'h2', 'reboot')
    (service,) = hosts_world.services.list_services(CTX, host='h1')
    hosts_world.services.update_service(CTX, service.uuid, forced_down=True)
    with pytest.raises(exception.ComputeServiceUnavailable):
        control.host_power_action(CTX, 'h1', 'reboot')


class Background:
    """Runs nothing until it is told to."""

    def __init__(self):
        self.work = []

    def __call__(self, function):
        self.work.append(function)

    def run(self):
        while self.work:
            self.work.pop(0)()


@pytest.fixture
def aggregate(hosts_world):
    for host in ('h1', 'h2', 'h3', 'down', 'other'):
        hosts_world.add_host(host)
    made = hosts_world.aggregates.create_aggregate(CTX, 'a', None)
    for host in ('h1', 'h2', 'h3', 'down'):
        hosts_world.aggregates.add_aggregate_host(CTX, made.id, host)
    (service,) = hosts_world.services.list_services(CTX, host='down')
    hosts_world.services.update_service(CTX, service.uuid, forced_down=True)
    hosts_world.compute.told.clear()
    return made.id


@pytest.mark.parametrize('concurrency', [1, 2])
def test_images_are_cached_on_the_members_that_are_up(hosts_world, aggregate, concurrency):
    world, background = hosts_world, Background()
    world.conf.set_override('precache_concurrency', concurrency, 'image_cache')
    caching = ImageCaching(world.conf, world.api_db, world.cell_db, world.compute, background)
    caching.cache_images(CTX, aggregate, ['i1', 'i2'])
    caching.cache_images(CTX, aggregate, ['i3'])
    assert len(background.work) == concurrency
    background.run()
    hosts = ('h1', 'h2', 'h3')
    expected = [(host, 'i1', 'i2') for host in hosts] + [(host, 'i3') for host in hosts]
    assert world.compute.told == expected
    caching.cache_images(CTX, aggregate, ['i4'])
    assert len(background.work) == concurrency


@pytest.mark.parametrize('error', [exception.ServiceUnavailable(), ValueError('a bug')])
def test_a_host_that_fails_keeps_no_other_back(hosts_world, aggregate, error):
    world, background = hosts_world, Background()
    caching = ImageCaching(world.conf, world.api_db, world.cell_db, world.compute, background)
    world.compute.error = error
    caching.cache_images(CTX, aggregate, ['i1'])
    background.run()
    assert [told[0] for told in world.compute.told] == ['h1', 'h2', 'h3']


def test_no_such_aggregate(hosts_world):
    world, background = hosts_world, Background()
    caching = ImageCaching(world.conf, world.api_db, world.cell_db, world.compute, background)
    with pytest.raises(exception.AggregateNotFound):
        caching.cache_images(CTX, 9, ['i1'])
    assert not background.work
