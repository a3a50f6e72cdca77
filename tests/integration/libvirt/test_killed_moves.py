"""nova-compute is killed at each step of moves between two hosts: at the source, and at the destination.

A process that returns at once goes on; the guest is on one host in the end, and nothing on the other.
"""

import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.libvirt import guest_cloud
from kilonova.tests.integration.libvirt.guest_cloud import READY, GuestCloud
from kilonova.tests.integration.libvirt.killing import Killing, on
from kilonova.tests.integration.processes import wait_for

pytestmark = pytest.mark.integration

MOST = 40
LIVE = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}


@pytest.fixture(scope='module')
def both(
    libvirt_folder: pathlib.Path, mariadb: MariaDB, rabbitmq: RabbitMQ, guest_image: pathlib.Path
) -> Iterator[dict[str, Killing]]:
    folder = libvirt_folder / 'killed-moves'
    with (
        guest_cloud.pair(libvirt_folder) as hosts,
        on(folder, mariadb, rabbitmq, guest_image, hosts) as made,
    ):
        yield made


@pytest.fixture(scope='module')
def cloud(both: dict[str, Killing]) -> GuestCloud:
    return next(iter(both.values())).cloud


@pytest.fixture(scope='module')
def server(both: dict[str, Killing], cloud: GuestCloud) -> str:
    one = next(iter(both.values()))
    uuid = cloud.boot(one.flavors[0], one.image)
    cloud.settled(uuid, 'ACTIVE')
    cloud.ready(uuid)
    return uuid


def roles(both: dict[str, Killing], cloud: GuestCloud, uuid: str) -> dict[str, Killing]:
    """Return what is a server's source by now, and what its destination."""
    here = cloud.host_of(uuid).name
    return {'source' if name == here else 'target': one for name, one in both.items()}


def check(both: dict[str, Killing], cloud: GuestCloud, uuid: str, what: list[str]) -> None:
    """See that the guest runs where the record says, and that nothing is elsewhere."""
    here = cloud.host_of(uuid)
    assert here.daemon.virsh('domstate', uuid).strip() == 'running', what
    for one in both.values():
        if one.host is not here:
            wait_for(f'{one.name} has nothing', lambda one=one: not one.host.left(), 60, 0.5)  # type: ignore[misc]
    assert len(cloud.allocations(uuid)) == 1, what
    moves = cloud.get(f'/os-migrations?instance_uuid={uuid}', token='admin:admin')['migrations']
    over = {'completed', 'confirmed', 'reverted', 'error', 'failed', 'cancelled'}
    assert {move['status'] for move in moves} <= over, (moves, what)


@pytest.mark.parametrize('role', ['source', 'target'])
def test_live(both: dict[str, Killing], cloud: GuestCloud, server: str, role: str) -> None:
    """It arrives, or goes on at the source; it is never started again."""
    moved = 0
    for step in range(1, MOST):
        one, before = roles(both, cloud, server)[role], cloud.host_of(server).name
        died = one.strike(server, step, 'ACTIVE', **LIVE)
        cloud.wait_computes()
        check(both, cloud, server, one.orders.steps())
        moved += cloud.host_of(server).name != before
        if not died:
            assert step > 2 and moved
            assert 'boot=2' not in cloud.console(server)
            return
    raise AssertionError('it does not end')


@pytest.mark.parametrize('role', ['source', 'target'])
def test_cold(both: dict[str, Killing], cloud: GuestCloud, server: str, role: str) -> None:
    """It is moved, and that confirmed, whatever dies."""
    for step in range(1, MOST):
        one = roles(both, cloud, server)[role]
        died = one.strike(server, step, 'VERIFY_RESIZE', migrate={'host': None})
        cloud.wait_computes()
        source = next(other for other in both.values() if other.host is not cloud.host_of(server))
        if role == 'source':
            died |= source.strike(server, step, 'ACTIVE', confirmResize=None)
        else:
            source.act(server, 'ACTIVE', confirmResize=None)
        cloud.wait_computes()
        check(both, cloud, server, one.orders.steps())
        if not died:
            assert step > 3
            return
    raise AssertionError('it does not end')


def test_the_destination_is_killed(
    both: dict[str, Killing], cloud: GuestCloud, server: str
) -> None:
    """QEMU dies there while memory flows: the guest goes on at the source, the move says why."""
    found = roles(both, cloud, server)
    source, target = found['source'], found['target']
    cloud.ready(server)
    boots = cloud.console(server).count(READY)
    cloud.act(server, 'admin:admin', **LIVE)
    wait_for('QEMU dies at the destination', lambda: _kill_incoming(target), 60, 0.05)
    source.settled(server, 'ACTIVE')
    check(both, cloud, server, ['the destination is killed'])
    assert cloud.host_of(server) is source.host
    assert cloud.console(server).count(READY) == boots
    path = f'/servers/{server}/os-instance-actions'
    action = cloud.get(path, token='admin:admin')['instanceActions'][0]
    assert (action['action'], action['message']) == ('live-migration', 'Error')
    shown = cloud.get(f'{path}/{action["request_id"]}', token='admin:admin')['instanceAction']
    failed = [event for event in shown['events'] if event['result'] == 'Error']
    assert failed and failed[-1]['details'], shown


def _kill_incoming(one: Killing) -> bool:
    try:
        one.host.daemon.inside('pkill', '-KILL', '-f', 'qemu-system.*incoming')
    except subprocess.CalledProcessError:
        return False  # there is none yet
    return True


def test_nothing_is_left(both: dict[str, Killing], cloud: GuestCloud, server: str) -> None:
    cloud.delete(server)
    cloud.assert_clean()
