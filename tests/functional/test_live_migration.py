"""Live migration: to where it is sent, cancelled, forced, refused, and with hosts that fail."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional import moves
from kilonova.tests.functional.cloud import Answer, Cloud, wait

CLOUD = {
    'hosts': 3,
    'extra': """
[fake_driver]
fail_move = check/controller-2/choosy, check/*/picky, receive/*/unready, migrate/*/sticky,
            arrive/*/lost, clean/*/dirty
""",
}
pytestmark = pytest.mark.usefixtures('clean')
HOSTS = {'controller-1', 'controller-2', 'controller-3'}


@pytest.fixture
def slow(cloud: Cloud) -> Iterator[None]:
    """Copying memory takes long."""
    cloud.conf.set_override('live_migration_delay', 60, 'fake_driver')
    yield
    cloud.conf.clear_override('live_migration_delay', 'fake_driver')


def boot(cloud: Cloud, flavor: str, image: str, **fields: Any) -> tuple[str, str]:
    uuid = cloud.boot(flavor, image, **fields)
    return uuid, str(cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'])


def migrate(
    cloud: Cloud, uuid: str, host: str | None = None, version: str = '2.90', **more: Any
) -> Answer:
    body = {'host': host, 'block_migration': 'auto', **more}
    path = f'/servers/{uuid}/action'
    return cloud.admin('POST', path, {'os-migrateLive': body}, version=version)


def status(cloud: Cloud, uuid: str, *wanted: str) -> dict[str, Any]:
    """Wait for the status of the newest move."""

    def check() -> Any:
        found = moves.migrations(cloud, uuid)[0]
        return found if found['status'] in wanted else None

    found: dict[str, Any] = wait(check, f'{uuid} is {wanted}')
    return found


@pytest.mark.parametrize('ahead', [False, True])
def test_there(cloud: Cloud, flavor: str, image: str, ahead: bool) -> None:
    cloud.neutron.extensions = ['binding', *(['binding-extended'] if ahead else [])]
    network = cloud.neutron.add_network()
    uuid, source = boot(cloud, flavor, image, networks=[{'uuid': network}])
    before = cloud.placement.usages()
    with cloud.counted() as counts:
        assert migrate(cloud, uuid).status == 202
        server = cloud.wait_status(uuid, 'ACTIVE')
    target = server['OS-EXT-SRV-ATTR:host']
    assert target != source and server['OS-EXT-STS:power_state'] == 1
    sent = [message for message in counts.rpc if message != 'call get_server']
    assert sent[:2] == ['call live_migrate_server', 'call select_destinations']
    assert sent.count('cast perform') == sent.count('call work_finished') == 6
    assert [m for m, _ in counts.placement] == ['GET', 'GET', 'POST', 'PUT', 'DELETE']
    assert moves.guests(cloud, uuid) == {target}
    driver = moves.drivers(cloud)[target]
    assert driver._guests[uuid].boots == 1
    assert cloud.placement.usages() == before
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == target
    assert not cloud.neutron.bindings.get(port['id'])
    (move,) = moves.migrations(cloud, uuid)
    assert (move['status'], move['migration_type']) == ('completed', 'live-migration')
    assert (move['source_compute'], move['dest_compute']) == (source, target)
    assert moves.events(cloud, uuid) == (
        'live-migration',
        [
            ('conductor_live_migrate_instance', 'controller', 'Success'),
            ('compute_check_can_live_migrate_destination', target, 'Success'),
            ('compute_check_can_live_migrate_source', source, 'Success'),
            ('compute_pre_live_migration', target, 'Success'),
            ('compute_live_migration', source, 'Success'),
            ('compute_post_live_migration_at_destination', target, 'Success'),
        ],
    )


def test_a_paused_server_stays_paused(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, source = boot(cloud, flavor, image)
    cloud.action(uuid, pause=None)
    cloud.wait_status(uuid, 'PAUSED')
    assert migrate(cloud, uuid).status == 202
    server = cloud.wait_status(uuid, 'PAUSED')
    assert server['OS-EXT-SRV-ATTR:host'] != source and server['OS-EXT-STS:power_state'] == 3


def test_to_a_host(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, source = boot(cloud, flavor, image)
    for version, more in (
        ('2.1', {'block_migration': True, 'disk_over_commit': False}),
        ('2.25', {}),
        ('2.30', {'force': True}),
        ('2.67', {'force': False}),
        ('2.90', {}),
    ):
        target = sorted(HOSTS - {source})[0]
        answer = migrate(cloud, uuid, target, version, **more)
        assert answer.status == 202, answer.text
        assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == target
        source = target
    assert cloud.placement.usages().keys() == {uuid}


def test_cancelled(cloud: Cloud, flavor: str, image: str, slow: None) -> None:
    network = cloud.neutron.add_network()
    cloud.neutron.extensions = ['binding', 'binding-extended']
    uuid, source = boot(cloud, flavor, image, networks=[{'uuid': network}])
    before = cloud.placement.usages()
    assert migrate(cloud, uuid).status == 202
    move = status(cloud, uuid, 'running')
    path = f'/servers/{uuid}/migrations'
    (shown,) = cloud.admin('GET', path).json['migrations']
    assert (shown['id'], shown['server_uuid']) == (move['id'], uuid)
    wait(lambda: cloud.admin('GET', path).json['migrations'][0]['memory_total_bytes'], 'progress')
    shown = cloud.admin('GET', f'{path}/{move["id"]}').json['migration']
    assert shown['memory_total_bytes'] == 512 * 1024 * 1024
    assert shown['memory_remaining_bytes'] < shown['memory_total_bytes']
    assert cloud.call('DELETE', f'{path}/{move["id"]}').status == 403
    assert cloud.admin('DELETE', f'{path}/{move["id"]}', version='2.23').status == 404
    assert cloud.admin('DELETE', f'{path}/{move["id"]}').status == 202
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['OS-EXT-SRV-ATTR:host'] == source and server['OS-EXT-STS:power_state'] == 1
    assert status(cloud, uuid, 'cancelled')
    assert moves.guests(cloud, uuid) == {source} and cloud.placement.usages() == before
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == source and not cloud.neutron.bindings.get(port['id'])
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [a['action'] for a in actions][:2] == ['live_migration_cancel', 'live-migration']
    assert cloud.admin('GET', path).json == {'migrations': []}
    assert cloud.admin('GET', f'{path}/{move["id"]}').status == 404


def test_forced_to_its_end(cloud: Cloud, flavor: str, image: str, slow: None) -> None:
    uuid, source = boot(cloud, flavor, image)
    assert migrate(cloud, uuid).status == 202
    move = status(cloud, uuid, 'running')
    path = f'/servers/{uuid}/migrations/{move["id"]}/action'
    assert cloud.admin('POST', path, {'force_complete': None}, version='2.21').status == 404
    assert cloud.admin('POST', path, {'force_complete': 1}).status == 400
    assert cloud.admin('POST', path, {'force_complete': None}).status == 202
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] != source
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert actions[0]['action'] == 'live_migration_force_complete'


def test_one_leaves_a_host_at_a_time(cloud: Cloud, flavor: str, image: str, slow: None) -> None:
    first, source = boot(cloud, flavor, image)
    found = [boot(cloud, flavor, image) for _ in range(6)]
    second = next(uuid for uuid, host in found if host == source)
    assert migrate(cloud, first).status == 202
    status(cloud, first, 'running')
    assert migrate(cloud, second).status == 202
    waiting = status(cloud, second, 'queued')
    path = f'/servers/{second}/migrations/{waiting["id"]}'
    for version, code in (('2.64', 400), ('2.65', 202)):
        assert cloud.admin('DELETE', path, version=version).status == code
    cloud.wait_status(second, 'ACTIVE')
    assert status(cloud, second, 'cancelled')
    move = status(cloud, first, 'running')
    assert cloud.admin('DELETE', f'/servers/{first}/migrations/{move["id"]}').status == 202
    cloud.wait_status(first, 'ACTIVE')


@pytest.mark.parametrize('name', ['picky', 'unready', 'sticky'])
def test_a_failure_leaves_the_server_at_its_source(
    cloud: Cloud, flavor: str, image: str, name: str
) -> None:
    cloud.neutron.extensions = ['binding', 'binding-extended']
    network = cloud.neutron.add_network()
    uuid, source = boot(cloud, flavor, image, name=name, networks=[{'uuid': network}])
    before = cloud.placement.usages()
    assert migrate(cloud, uuid).status == 202
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['OS-EXT-SRV-ATTR:host'] == source and server['OS-EXT-STS:power_state'] == 1
    assert moves.guests(cloud, uuid) == {source} and cloud.placement.usages() == before
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == source and not cloud.neutron.bindings.get(port['id'])
    assert moves.migrations(cloud, uuid)[0]['status'] == 'error'


def test_a_port_that_cannot_be_bound(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.neutron.extensions = ['binding-extended']
    network = cloud.neutron.add_network()
    uuid, source = boot(cloud, flavor, image, networks=[{'uuid': network}])
    cloud.neutron.unbindable = HOSTS - {source}
    try:
        assert migrate(cloud, uuid).status == 202
        assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == source
    finally:
        cloud.neutron.unbindable = set()
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert not cloud.neutron.bindings.get(port['id'])


@pytest.mark.parametrize('name', ['lost', 'dirty'])
def test_what_fails_after_the_arrival(cloud: Cloud, flavor: str, image: str, name: str) -> None:
    uuid, source = boot(cloud, flavor, image, name=name)
    assert migrate(cloud, uuid).status == 202
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['OS-EXT-SRV-ATTR:host'] != source
    assert cloud.placement.usages().keys() == {uuid}


def test_another_host_is_tried(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, host = boot(cloud, flavor, image, name='choosy')
    if host == 'controller-2':
        pytest.skip('it was born on the host that does not take it')
    for _ in range(3):
        assert migrate(cloud, uuid).status == 202
        new = cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host']
        assert new not in (host, 'controller-2')
        host = new


def test_old_versions_wait_for_the_checks(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, source = boot(cloud, flavor, image, name='picky')
    answer = migrate(cloud, uuid, version='2.33')
    assert answer.status == 400 and 'told to fail to check' in answer.json['badRequest']['message']
    answer = migrate(cloud, uuid, source, '2.29')
    assert answer.status == 400
    assert answer.json['badRequest']['message'] == (
        f'Unable to migrate instance ({uuid}) to current host ({source}).'
    )
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == source
    assert cloud.placement.usages().keys() == {uuid}


def test_what_cannot_be_asked(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, _ = boot(cloud, flavor, image)
    answer = migrate(cloud, uuid, 'nohost')
    assert answer.status == 400
    assert answer.json['badRequest']['message'] == 'Compute host nohost could not be found.'
    assert migrate(cloud, uuid, version='2.30', force=True).status == 400
    assert migrate(cloud, uuid, force=True).status == 400
    assert migrate(cloud, uuid, version='2.24').status == 400
    body = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
    assert cloud.call('POST', f'/servers/{uuid}/action', body).status == 403
    assert cloud.call('POST', f'/servers/{uuid}/action', body, token='x:other').status == 404
    path = f'/servers/{uuid}/migrations/77'
    for call, rule in (
        (lambda: cloud.admin('DELETE', path), 'abort live migration'),
        (
            lambda: cloud.admin('POST', f'{path}/action', {'force_complete': None}),
            'force_complete',
        ),
    ):
        answer = call()
        assert answer.status == 409
        assert answer.json['conflictingRequest']['message'] == (
            f"Instance {uuid} is in an invalid state for '{rule}'"
        )
    cloud.action(uuid, **{'os-stop': None})
    cloud.wait_status(uuid, 'SHUTOFF')
    answer = migrate(cloud, uuid)
    assert answer.status == 409
    assert answer.json['conflictingRequest']['message'] == (
        f"Cannot 'os-migrateLive' instance {uuid} while it is in vm_state stopped"
    )
    assert moves.migrations(cloud, uuid) == []


def test_deleted_on_the_way(cloud: Cloud, flavor: str, image: str, slow: None) -> None:
    uuid, _ = boot(cloud, flavor, image)
    assert migrate(cloud, uuid).status == 202
    status(cloud, uuid, 'running')
    started = time.monotonic()
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)
    assert time.monotonic() - started < 30
    wait(lambda: moves.guests(cloud, uuid) == set(), 'both hosts are clean')
    assert cloud.placement.usages() == {}
    assert moves.migrations(cloud, uuid)[0]['status'] == 'error'
