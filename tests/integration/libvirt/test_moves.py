"""Guests that go from host to host: as they run, and shut down."""

import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from kilonova.common import exception
from kilonova.common.objects.migration import Progress
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec, PowerState
from kilonova.tests.integration.libvirt import hosts
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.libvirt.hosts import Host, make_port, make_server
from kilonova.tests.integration.libvirt.storage import Storage, device

pytestmark = pytest.mark.integration

Pair = tuple[Host, Host]
DRIVE = {'openstack/latest/meta_data.json': b'{"uuid": "x", "hostname": "mover"}'}


@pytest.fixture(scope='module')
def pair(libvirt_folder: pathlib.Path) -> Iterator[Pair]:
    with hosts.two(libvirt_folder) as found:
        yield found


@pytest.fixture(scope='module')
def storage(pair: Pair) -> Iterator[Storage]:
    found = Storage(pair[0], pair[0].instances.parent / 'storage')
    yield found
    found.close()


@pytest.fixture
def guest(pair: Pair, guest_image: pathlib.Path) -> Iterator[Callable[..., Server]]:
    """Makes guests on the first host; nothing of them is left on either one."""
    made: list[tuple[Server, list[VIF]]] = []

    def make(ports: list[VIF] | None = None, **flavor: int) -> Server:
        server = make_server(**flavor)
        made.append((server, ports or []))
        pair[0].driver.spawn(
            GuestSpec(server=server, vifs=ports or [], config_drive=lambda places: DRIVE),
            File(guest_image),
            lambda start: start(),
        )
        return server

    yield make
    for server, ports in made:
        for host in pair:
            host.driver.destroy(server, ports)
            host.driver.confirm_move(server)
            assert server.uuid not in host.domains()
            assert [p for p in host.instances.iterdir() if server.uuid in p.name] == []


class Steer:
    """Notes how far it is; wishes what it is told."""

    def __init__(self, wish: Callable[[Progress], str | None] = lambda _: None) -> None:
        self.seen: list[Progress] = []
        self._wish = wish

    def __call__(self, progress: Progress) -> str | None:
        self.seen.append(progress)
        return self._wish(progress)


def prepare(
    pair: Pair,
    server: Server,
    ports: list[VIF],
    block: bool | None = None,
    there: Server | None = None,
) -> dict[str, Any]:
    source, target = pair
    data = target.driver.check_live_destination(server, block, False)
    data = source.driver.check_live_source(server, data)
    devices = [device for device in server.block_devices if device.is_volume]
    received = target.driver.receive_live(there or server, ports, data)
    return received | {'volumes': msgspec.to_builtins(devices)}


def arrive(pair: Pair, server: Server, ports: list[VIF], data: dict[str, Any]) -> None:
    source, target = pair
    target.driver.arrive_live(server, ports, data)
    source.driver.clean_live(server, ports, data)
    source.driver.clean_live(server, ports, data)
    assert server.uuid not in source.domains()
    assert target.driver.get_power_state(server.uuid) == PowerState.RUNNING


def test_live_with_disks_ports_and_a_volume(
    pair: Pair, guest: Callable[..., Server], storage: Storage
) -> None:
    source, target = pair
    ports = [make_port(1), make_port(2)]
    server = guest(ports)
    source.ready(server)
    volume = device(1, 'vdb', storage.nbd(storage.file('volume')))
    source.driver.attach_volume(server, volume)
    server.block_devices = [volume]
    data = prepare(pair, server, ports)
    assert data['block_migration'] and not data['shared']
    steer = Steer()
    source.conf.set_override('live_migration_bandwidth', 30, 'libvirt')  # for some to be seen
    source.driver.migrate_live(server, target.name, data, steer)
    source.conf.clear_override('live_migration_bandwidth', 'libvirt')
    source.driver.migrate_live(server, target.name, data, steer)  # after a crash: it is there
    arrive(pair, server, ports, data)
    assert any(one.memory_total for one in steer.seen), steer.seen
    assert any(one.disk_total for one in steer.seen)
    assert target.daemon.virsh('domiflist', server.uuid).count('br-data') == 2
    assert target.daemon.virsh('domblklist', server.uuid).count('vd') == 2
    assert server.uuid in target.daemon.virsh('list', '--all', '--persistent', '--uuid')
    # It has not been started again, and is a guest like any other there.
    target.driver.detach_volume(server, volume)
    server.block_devices = []
    target.says(server, 'hotplug action=remove')
    assert 'boot=2' not in target.console(server)
    target.driver.reboot(server, ports, 'HARD')
    text = target.ready(server)
    assert 'boot=2' in text and 'hostname=mover' in text  # which the config drive says
    # The image came from the other host's cache.
    (base,) = (p for p in (target.instances / '_base').iterdir() if not p.suffix)
    assert base.stat().st_size == 96 * 2**20


def test_live_is_aborted_and_rolled_back(pair: Pair, guest: Callable[..., Server]) -> None:
    source, target = pair
    server = guest()
    source.ready(server)
    source.conf.set_override('live_migration_bandwidth', 1, 'libvirt')
    try:
        data = prepare(pair, server, [])
        steer = Steer(lambda progress: 'abort' if progress.memory_processed else None)
        with pytest.raises(exception.MigrationAborted):
            source.driver.migrate_live(server, target.name, data, steer)
        target.driver.rollback_live(server, [], data)
        target.driver.rollback_live(server, [], data)
        assert source.driver.get_power_state(server.uuid) == PowerState.RUNNING
        assert target.domains() == []
        assert not (target.instances / server.uuid).exists()
        assert not list((source.instances / server.uuid).glob('base.*'))

        # The time is up: the same.
        source.conf.set_override('live_migration_completion_timeout', 1, 'libvirt')
        data = prepare(pair, server, [])
        with pytest.raises(exception.MigrationAborted):
            source.driver.migrate_live(server, target.name, data, Steer())
        target.driver.rollback_live(server, [], data)
        assert source.driver.get_power_state(server.uuid) == PowerState.RUNNING
    finally:
        source.conf.clear_override('live_migration_bandwidth', 'libvirt')
        source.conf.clear_override('live_migration_completion_timeout', 'libvirt')


@pytest.mark.parametrize('post_copy', [False, True])
def test_live_is_forced(pair: Pair, guest: Callable[..., Server], post_copy: bool) -> None:
    source, target = pair
    server = guest()
    source.conf.set_override('live_migration_bandwidth', 20, 'libvirt')
    source.conf.set_override('live_migration_permit_post_copy', post_copy, 'libvirt')
    source.conf.set_override('live_migration_permit_auto_converge', True, 'libvirt')
    try:
        data = prepare(pair, server, [])
        steer = Steer(lambda progress: 'force_complete')
        source.driver.migrate_live(server, target.name, data, steer)
        arrive(pair, server, [], data)
        target.ready(server)
    finally:
        for name in ('bandwidth', 'permit_post_copy', 'permit_auto_converge'):
            source.conf.clear_override(f'live_migration_{name}', 'libvirt')


def test_reasons_are_told_before_anything_is_done(pair: Pair, guest: Callable[..., Server]) -> None:
    source, target = pair
    server = guest()
    data = target.driver.check_live_destination(server, None, False)

    def why(**changes: Any) -> str:
        with pytest.raises(exception.MigrationPreCheckError) as caught:
            source.driver.check_live_source(server, data | changes)
        return str(caught.value)

    assert 'does not share the disks' in why(block_migration=False)
    assert '0 MiB of disk space left, the disks take 1024 MiB' in why(disk_available=2**19)
    assert 'cannot be reached' in why(address='10.99.77.3')
    assert 'run by kvm, those here by qemu' in why(virt_type='kvm')
    own = source.driver.check_live_destination
    with pytest.raises(exception.MigrationPreCheckError, match='has a guest of that server'):
        own(server, None, False)
    source.driver.power_off(server, 0)
    assert 'does not run' in why()


def test_the_target_dies(pair: Pair, guest: Callable[..., Server]) -> None:
    """The guest goes on at its source, and the error says what happened."""
    source, target = pair
    server = guest()
    source.ready(server)
    source.conf.set_override('live_migration_bandwidth', 2, 'libvirt')
    try:
        data = prepare(pair, server, [])
        killed = threading.Event()

        def kill(progress: Progress) -> None:
            if progress.memory_processed and not killed.is_set():
                killed.set()
                target.daemon.inside('pkill', '-KILL', '-f', 'qemu-system.*incoming')

        with pytest.raises(exception.VirtDriverError):
            source.driver.migrate_live(server, target.name, data, Steer(kill))
        assert killed.is_set()
        assert source.driver.get_power_state(server.uuid) == PowerState.RUNNING
        target.driver.rollback_live(server, [], data)
        assert target.domains() == []
    finally:
        source.conf.clear_override('live_migration_bandwidth', 'libvirt')


def test_the_source_process_dies_on_the_way(pair: Pair, guest: Callable[..., Server]) -> None:
    """libvirt goes on; the next process finds the guest moving, and sees it arrive."""
    source, target = pair
    server = guest()
    source.conf.set_override('live_migration_bandwidth', 20, 'libvirt')
    try:
        data = prepare(pair, server, [])

        class Death(Exception):
            pass

        def die(progress: Progress) -> None:
            if progress.memory_processed:
                raise Death

        with pytest.raises(Death):
            source.driver.migrate_live(server, target.name, data, Steer(die))
        source.conf.clear_override('live_migration_bandwidth', 'libvirt')
        source.again()
        source.driver.migrate_live(server, target.name, data, Steer())
        assert target.driver.has_arrived_live(server)
        # What has arrived is not rolled back, whoever asks.
        with pytest.raises(exception.VirtDriverError, match='has arrived'):
            target.driver.rollback_live(server, [], data)
        arrive(pair, server, [], data)
    finally:
        source.conf.clear_override('live_migration_bandwidth', 'libvirt')


# -- shut down


def test_resize_there_and_back_and_there(pair: Pair, guest: Callable[..., Server]) -> None:
    source, target = pair
    ports = [make_port(5)]
    server = guest(ports)
    source.ready(server)
    larger = msgspec.structs.replace(
        server.flavor, memory_mb=160, root_gb=2, swap=16, name='larger'
    )
    target.driver.prepare_move(server, larger)
    for _ in range(2):
        data = source.driver.leave(server, ports, larger, 90)
    assert source.domains() == []
    assert server.uuid in source.driver.list_guests()
    grown = msgspec.structs.replace(server, flavor=larger)
    for _ in range(2):
        target.driver.finish_move(grown, ports, data, lambda start: start())
    text = target.ready(grown)
    assert 'boot=2' in text and 'hostname=mover' in text
    assert f'block=vda bytes={2 * 2**30}' in text and 'block=vdb bytes=16777216' in text

    target.driver.destroy(grown, ports)
    for _ in range(2):
        source.driver.revert_move(server, ports, True)
    source.says(server, 'boot=2', 200)
    assert target.domains() == []

    data = source.driver.leave(server, ports, larger, 90)
    target.driver.finish_move(grown, ports, data, None)
    assert target.driver.get_power_state(server.uuid) == PowerState.SHUTDOWN
    for _ in range(2):
        source.driver.confirm_move(server)
    assert server.uuid not in source.driver.list_guests()
    target.driver.power_on(grown, ports)
    assert 'boot=3' in target.ready(grown)


def test_resize_on_the_same_host(pair: Pair, guest: Callable[..., Server]) -> None:
    host = pair[0]
    server = guest()
    host.ready(server)
    larger = msgspec.structs.replace(server.flavor, root_gb=2, name='larger')
    grown = msgspec.structs.replace(server, flavor=larger)
    data = host.driver.leave(server, [], larger, 90)
    host.driver.finish_move(grown, [], data, lambda start: start())
    assert f'block=vda bytes={2 * 2**30}' in host.ready(grown)
    host.driver.revert_move(server, [], False)
    assert host.driver.get_power_state(server.uuid) == PowerState.SHUTDOWN
    assert 'aside' not in host.daemon.virsh('domblklist', server.uuid)


def test_a_cold_move_that_fails_leaves_nothing(pair: Pair, guest: Callable[..., Server]) -> None:
    source, target = pair
    server = guest()
    data = source.driver.leave(server, [], server.flavor, 0)
    with pytest.raises(exception.VirtDriverError, match='cannot be fetched from'):
        target.driver.finish_move(server, [], data | {'address': '10.99.77.3'}, None)
    assert not (target.instances / server.uuid).exists()

    def unplugged(start: Callable[[], None]) -> None:
        start()
        raise exception.VirtualInterfacePlugTimeout(uuid=server.uuid, ports='p')

    with pytest.raises(exception.VirtualInterfacePlugTimeout):
        target.driver.finish_move(server, [], data, unplugged)
    assert target.domains() == []
    assert not (target.instances / server.uuid).exists()
    source.driver.revert_move(server, [], True)
    assert source.driver.get_power_state(server.uuid) == PowerState.RUNNING
