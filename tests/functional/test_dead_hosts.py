"""Hosts that die in the middle of a move, and what they find when they are back."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common.objects.server import Server
from kilonova.compute.service import Compute
from kilonova.tests.functional import moves
from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {
    'hosts': 3,
    'extra': """
[DEFAULT]
report_interval = 1
service_down_time = 4
graceful_shutdown_timeout = 1
[operations]
lease = 4
sweep_interval = 1
""",
}
pytestmark = pytest.mark.usefixtures('clean')


class Hosts:
    """Kills hosts, and brings them back with the guests that they had."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._computes = cloud.all.computes.computes
        self._dead: list[str] = []

    def _at(self, name: str) -> int:
        return [compute.host.name for compute in self._computes].index(name)

    def kill(self, name: str) -> None:
        """End a host without that it can finish anything."""
        self._computes[self._at(name)].stop()
        self._dead.append(name)
        self._wait_state(name, 'down')

    def revive(self) -> None:
        while self._dead:
            name = self._dead.pop()
            compute = Compute(self._cloud.conf, self._cloud.transport, name)
            compute.start()
            self._computes[self._at(name)] = compute
            self._wait_state(name, 'up')

    def force_down(self, name: str, down: bool) -> None:
        path = f'/os-services?binary=nova-compute&host={name}'
        (service,) = self._cloud.admin('GET', path).json['services']
        path = f'/os-services/{service["id"]}'
        assert self._cloud.admin('PUT', path, {'forced_down': down}).status == 200

    def _wait_state(self, name: str, state: str) -> None:
        path = f'/os-services?binary=nova-compute&host={name}'

        def is_so() -> bool:
            (service,) = self._cloud.admin('GET', path).json['services']
            return bool(service['state'] == state)

        wait(is_so, f'{name} is {state}')


@pytest.fixture
def hosts(cloud: Cloud) -> Iterator[Hosts]:
    made = Hosts(cloud)
    yield made
    for option in ('move_delay', 'live_migration_delay'):
        cloud.conf.clear_override(option, 'fake_driver')
    made.revive()


@pytest.fixture(scope='module')
def large(cloud: Cloud) -> str:
    return cloud.flavor('m1.large', vcpus=2, ram=1024, disk=2)


def boot(cloud: Cloud, flavor: str, image: str) -> tuple[str, str]:
    network = cloud.neutron.add_network()
    uuid = cloud.boot(flavor, image, networks=[{'uuid': network}])
    return uuid, str(cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'])


def check(cloud: Cloud, uuid: str, host: str) -> None:
    """See that a server is on one host alone, for everybody."""
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['OS-EXT-SRV-ATTR:host'] == host
    wait(lambda: moves.guests(cloud, uuid) == {host}, f'only {host} has it')
    assert cloud.placement.usages().keys() == {uuid}
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == host


def test_the_destination_dies_while_it_finishes(
    cloud: Cloud, flavor: str, large: str, image: str, hosts: Hosts
) -> None:
    uuid, source = boot(cloud, flavor, image)
    cloud.conf.set_override('move_delay', 6, 'fake_driver')
    assert cloud.action(uuid, resize={'flavorRef': large}).status == 202
    moves.wait_task(cloud, uuid, 'resize_finish')
    (move,) = moves.migrations(cloud, uuid)
    hosts.kill(move['dest_compute'])
    cloud.conf.set_override('move_delay', 0, 'fake_driver')
    server = cloud.wait_status(uuid, 'ACTIVE', seconds=60)
    assert (server['flavor']['vcpus'], server['OS-EXT-STS:power_state']) == (1, 1)
    assert moves.migrations(cloud, uuid)[0]['status'] == 'error'
    hosts.revive()
    check(cloud, uuid, source)


def test_the_source_dies_before_a_confirmation(
    cloud: Cloud, flavor: str, large: str, image: str, hosts: Hosts
) -> None:
    uuid, source = boot(cloud, flavor, image)
    assert cloud.action(uuid, resize={'flavorRef': large}).status == 202
    target = cloud.wait_status(uuid, 'VERIFY_RESIZE')['OS-EXT-SRV-ATTR:host']
    hosts.kill(source)
    answer = cloud.action(uuid, revertResize=None)
    assert answer.status == 409
    assert answer.json['conflictingRequest']['message'] == (
        f'Compute service of {source} is unavailable at this time.'
    )
    assert cloud.action(uuid, confirmResize=None).status == 204
    cloud.wait_status(uuid, 'ACTIVE')
    hosts.revive()
    check(cloud, uuid, target)


def test_a_source_that_restarts_keeps_what_it_may_have_to_give_back(
    cloud: Cloud, flavor: str, large: str, image: str, hosts: Hosts
) -> None:
    uuid, source = boot(cloud, flavor, image)
    assert cloud.action(uuid, resize={'flavorRef': large}).status == 202
    cloud.wait_status(uuid, 'VERIFY_RESIZE')
    hosts.kill(source)
    hosts.revive()
    assert cloud.action(uuid, revertResize=None).status == 202
    check(cloud, uuid, source)


def test_the_source_dies_during_a_live_migration(
    cloud: Cloud, flavor: str, image: str, hosts: Hosts
) -> None:
    uuid, source = boot(cloud, flavor, image)
    cloud.conf.set_override('live_migration_delay', 20, 'fake_driver')
    body: dict[str, Any] = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
    assert cloud.admin('POST', f'/servers/{uuid}/action', body).status == 202
    wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'running', 'it runs')
    (move,) = moves.migrations(cloud, uuid)
    hosts.kill(source)
    cloud.conf.set_override('live_migration_delay', 0, 'fake_driver')
    server = cloud.wait_status(uuid, 'ACTIVE', seconds=60)
    assert server['OS-EXT-SRV-ATTR:host'] == source
    assert moves.migrations(cloud, uuid)[0]['status'] == 'error'
    assert moves.guests(cloud, uuid) - {source} == set()
    hosts.revive()
    check(cloud, uuid, source)
    assert move['dest_compute'] != source


def test_the_source_dies_after_the_guest_has_arrived(
    cloud: Cloud, flavor: str, image: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The destination is asked, even when it does not answer at once; nothing is rolled back."""
    uuid, source = boot(cloud, flavor, image)
    cloud.conf.set_override('live_migration_delay', 20, 'fake_driver')
    body: dict[str, Any] = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
    assert cloud.admin('POST', f'/servers/{uuid}/action', body).status == 202
    wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'running', 'it runs')
    (move,) = moves.migrations(cloud, uuid)
    target = moves.drivers(cloud)[move['dest_compute']]
    asked: list[str] = []
    before = target.calls['rollback']

    def has_arrived(server: Server) -> bool:
        asked.append(server.uuid)
        return True

    monkeypatch.setattr(target, 'has_arrived_live', has_arrived)
    hosts.force_down(move['dest_compute'], True)  # as one that is too busy to report
    hosts.kill(source)
    cloud.conf.set_override('live_migration_delay', 0, 'fake_driver')
    given_up = ('compute_live_migration', source, 'Error')
    wait(lambda: given_up in moves.events(cloud, uuid)[1], 'the source is given up', 60)
    hosts.force_down(move['dest_compute'], False)
    wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'completed', 'it is done', 60)
    hosts.revive()
    check(cloud, uuid, move['dest_compute'])
    assert asked[0] == uuid and target.calls['rollback'] == before


def test_a_source_that_restarts_goes_on_with_a_live_migration(
    cloud: Cloud, flavor: str, image: str, hosts: Hosts
) -> None:
    uuid, source = boot(cloud, flavor, image)
    cloud.conf.set_override('live_migration_delay', 20, 'fake_driver')
    body: dict[str, Any] = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
    assert cloud.admin('POST', f'/servers/{uuid}/action', body).status == 202
    wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'running', 'it runs')
    (move,) = moves.migrations(cloud, uuid)
    (compute,) = [c for c in cloud.all.computes.computes if c.host.name == source]
    compute.stop()
    cloud.conf.set_override('live_migration_delay', 0, 'fake_driver')
    again = Compute(cloud.conf, cloud.transport, source)
    again.start()
    computes = cloud.all.computes.computes
    computes[computes.index(compute)] = again
    check(cloud, uuid, move['dest_compute'])


def test_an_evacuated_host_comes_back(cloud: Cloud, flavor: str, image: str, hosts: Hosts) -> None:
    uuid, source = boot(cloud, flavor, image)
    hosts.kill(source)
    path = f'/servers/{uuid}/action'
    assert cloud.admin('POST', path, {'evacuate': {}}).status == 200
    wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'done', 'it is done')
    target = moves.host_of(cloud, uuid)
    assert target != source
    hosts.revive()
    check(cloud, uuid, target)
    assert moves.migrations(cloud, uuid)[0]['status'] == 'completed'
