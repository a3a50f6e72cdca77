"""Whenever the conductor dies: a volume is reserved for a server that lives, or it is free."""

import pytest
from keystoneauth1 import loading as ks

from kilonova.common import base_config, config, exception
from kilonova.common.clients import cinder, keystone
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.image import Image
from kilonova.tests.fakes.cinder import FakeCinder
from kilonova.tests.unit.conductor.test_crashes import (
    crash_at_each_step,
    live_servers,
    make_world,  # noqa: F401
)


@pytest.fixture(scope='module')
def service():
    made = FakeCinder()
    yield made
    made.close()


@pytest.fixture
def fake(service, world):
    for kind in (service.volumes, service.snapshots, service.attachments):
        kind.clear()
    service.mend()
    config.register(base_config.list_opts(), world.conf)
    ks.register_auth_conf_options(world.conf, 'cinder')
    world.conf.set_override('auth_type', 'none', 'cinder')
    world.conf.set_override('endpoint_template', f'{service.url}/v3', 'cinder')
    world.cinder, world.fake = cinder.client(world.conf), service
    yield service
    keystone.forget()


def create(world, volume, gone=False):
    device = BlockDevice(
        source_type='volume',
        destination_type='volume',
        boot_index=0,
        volume_id=volume,
        volume_size=1,
        delete_on_termination=gone,
    )
    return world.create(block_devices=[device], image=Image())


def settled(fake):
    """Return what volumes are held by, and see that their states say so."""
    held = {a['volume_id']: a['instance'] for a in fake.attachments.values()}
    statuses = {a['volume_id']: a['status'] for a in fake.attachments.values()}
    wanted = {'reserved': 'reserved', 'attached': 'in-use', None: 'available'}
    for volume in fake.volumes.values():
        assert volume['status'] == wanted[statuses.get(volume['id'])]
    return held


def recorded(world, uuid):
    """Return the volumes that a server has, as it is recorded; each has its attachment."""
    devices = [device for device in world.server(uuid).block_devices if device.is_volume]
    assert all(device.attachment_id in world.fake.attachments for device in devices)
    return {device.volume_id for device in devices}


def device_for(volume):
    return BlockDevice(source_type='volume', destination_type='volume', volume_id=volume)


def test_build(make_world, fake):  # noqa: F811
    def look(world, volume):
        servers = live_servers(world)
        for server in servers:
            assert server.vm_state == 'active', server.fault
        assert set(settled(fake).values()) == {server.uuid for server in servers}
        for server in servers:
            world.conductor.delete_server(world.context, server.uuid)
        world.settle()
        assert settled(fake) == {}

    crash_at_each_step(
        lambda world: fake.add_volume(), lambda world, volume: create(world, volume), look
    )(make_world)


def test_a_build_that_fails(make_world, fake):  # noqa: F811
    def prepare(world):
        world.hosts['h1'].fail, world.hosts['h1'].reschedule = 'bad image', False
        return fake.add_volume()

    def look(world, volume):
        assert all(server.vm_state == 'error' for server in live_servers(world))
        assert settled(fake) == {}

    crash_at_each_step(prepare, lambda world, volume: create(world, volume), look)(make_world)


def test_a_delete_without_a_host(make_world, fake):  # noqa: F811
    def prepare(world):
        [uuid] = create(world, fake.add_volume(), gone=True)
        world.settle()
        world.down.add(world.server(uuid).host)
        world.advance(world.conf.service_down_time + 1)
        return uuid

    def delete(world, uuid):
        world.conductor.delete_server(world.context, uuid)

    def look(world, uuid):
        if world.server(uuid).deleted:
            assert settled(fake) == {} and fake.volumes == {}
        else:
            world.conductor.delete_server(world.context, uuid)
            world.settle()

    crash_at_each_step(prepare, delete, look)(make_world)


# -- servers that are there


def attach(world, uuid, volume):
    world.conductor.attach_volume(world.new_context(), uuid, device_for(volume))


def prepare_attached(world):
    uuid, volume = world.boot(), world.fake.add_volume()
    attach(world, uuid, volume)
    world.settle()
    return uuid, volume


def test_attach(make_world, fake):  # noqa: F811
    """The server has the volume, or nobody does."""

    def look(world, known):
        uuid, volume = known
        held = settled(fake)
        assert recorded(world, uuid) == ({volume} if volume in held else set())
        assert world.server(uuid).vm_state == 'active'

    crash_at_each_step(
        lambda world: (world.boot(), fake.add_volume()),
        lambda world, known: attach(world, *known),
        look,
    )(make_world)


def test_an_attachment_that_fails_at_the_host(make_world, fake):  # noqa: F811
    def prepare(world):
        uuid, volume = world.boot(), fake.add_volume()
        world.hosts[world.server(uuid).host].cannot = {'AttachVolume'}
        return uuid, volume

    def look(world, known):
        assert known[1] not in settled(fake) and recorded(world, known[0]) == set()

    crash_at_each_step(prepare, lambda world, known: attach(world, *known), look)(make_world)


def test_detach(make_world, fake):  # noqa: F811
    def look(world, known):
        uuid, volume = known
        held = settled(fake)
        assert recorded(world, uuid) == ({volume} if volume in held else set())

    crash_at_each_step(
        prepare_attached,
        lambda world, known: world.conductor.detach_volume(world.new_context(), *known),
        look,
    )(make_world)


def test_swap(make_world, fake):  # noqa: F811
    def prepare(world):
        return *prepare_attached(world), fake.add_volume()

    def swap(world, known):
        uuid, old, new = known
        world.conductor.swap_volume(world.new_context(), uuid, old, device_for(new), False)

    def look(world, known):
        uuid, *both = known
        (held,) = set(both) & set(settled(fake))
        assert recorded(world, uuid) == {held}

    crash_at_each_step(prepare, swap, look)(make_world)


def test_a_server_is_deleted_while_a_volume_comes(world, fake):
    uuid, volume = world.boot(), fake.add_volume()
    attach(world, uuid, volume)
    world.conductor.delete_server(world.context, uuid)
    world.settle()
    assert settled(fake) == {} and world.server(uuid).deleted


def test_only_one_thing_is_done_with_a_volume(world, fake):
    uuid, volume = prepare_attached(world)
    world.conductor.detach_volume(world.new_context(), uuid, volume)
    with pytest.raises(exception.InvalidVolume, match='is being worked on'):
        world.conductor.detach_volume(world.new_context(), uuid, volume)
    assert fake.status(volume) == 'detaching'
    world.settle()
    assert settled(fake) == {}


def test_a_host_that_is_down_detaches_nothing(world, fake):
    uuid, volume = prepare_attached(world)
    world.down.add(world.server(uuid).host)
    world.advance(world.conf.service_down_time + 1)
    with pytest.raises(exception.Conflict, match='is unavailable at this time'):
        world.conductor.detach_volume(world.new_context(), uuid, volume)
    assert fake.status(volume) == 'in-use'


# -- what is refused


def test_a_volume_that_is_taken_refuses_all(world, fake):
    free, taken = fake.add_volume(), fake.add_volume(status='in-use')
    devices = [
        BlockDevice(source_type='volume', destination_type='volume', boot_index=n, volume_id=one)
        for n, one in enumerate((free, taken))
    ]
    with pytest.raises(exception.InvalidVolume, match='status must be available'):
        world.create(block_devices=devices, image=Image())
    assert world.usage() == 0 and live_servers(world) == [] and fake.attachments == {}


def test_a_cinder_that_does_not_say_whether_it_has_reserved(world, fake):
    """The booking stays until the sweep could look."""
    volume = fake.add_volume()
    fake.break_with(500, 'POST .*/attachments')
    fake.break_with(500, 'GET .*/attachments')
    with pytest.raises(exception.FellowServiceError):
        create(world, volume)
    assert world.usage() == 1
    sweep = world.conductor.engine.chores[0]
    world.advance(world.conf.operations.booking_time + 1)
    sweep()
    assert world.usage() == 1
    fake.mend()
    world.advance(1)
    sweep()
    assert world.usage() == 0
    assert settled(fake) == {}
