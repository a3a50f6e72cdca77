"""Evacuation: servers of a host that is down, and the host when it is back."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional import moves
from kilonova.tests.functional.cloud import Answer, Cloud, wait

CLOUD = {'hosts': 3, 'extra': '[fake_driver]\nfail_spawn = */reborn\n'}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture
def dead(cloud: Cloud) -> Iterator[Any]:
    """Return what makes a host be down; it is back afterwards."""
    down: dict[str, str] = {}

    def kill(host: str) -> None:
        services = cloud.admin('GET', f'/os-services?binary=nova-compute&host={host}').json
        down[host] = services['services'][0]['id']
        answer = cloud.admin('PUT', f'/os-services/{down[host]}', {'forced_down': True})
        assert answer.status == 200, answer.text

    yield kill
    for host, service in down.items():
        cloud.admin('PUT', f'/os-services/{service}', {'forced_down': False})
        return_of(cloud, host)


def return_of(cloud: Cloud, host: str) -> None:
    """Let a host look at its guests, as it does when it starts."""
    (compute,) = [c for c in cloud.all.computes.computes if c.host.name == host]
    compute._recovery.run()


def boot(cloud: Cloud, flavor: str, image: str, **fields: Any) -> tuple[str, str]:
    uuid = cloud.boot(flavor, image, **fields)
    return uuid, str(cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'])


def evacuate(cloud: Cloud, uuid: str, version: str = '2.94', **body: Any) -> Answer:
    path = f'/servers/{uuid}/action'
    return cloud.admin('POST', path, {'evacuate': body}, version=version)


def test_away_and_back(cloud: Cloud, flavor: str, image: str, dead: Any) -> None:
    network = cloud.neutron.add_network()
    uuid, source = boot(cloud, flavor, image, networks=[{'uuid': network}])
    dead(source)
    with cloud.counted() as counts:
        answer = evacuate(cloud, uuid)
        assert (answer.status, answer.text) == (200, '')
        server = cloud.wait_status(uuid, 'ACTIVE')
    reads = ('call get_server', 'call get_host_changes')
    sent = [message for message in counts.rpc if message not in reads]
    assert sent[:3] == ['call evacuate_server', 'call select_destinations', 'cast perform']
    assert sent[-1] == 'call work_finished'
    assert [m for m, _ in counts.placement] == ['GET', 'GET', 'POST', 'PUT']
    target = server['OS-EXT-SRV-ATTR:host']
    assert target != source and moves.guests(cloud, uuid) == {source, target}
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == target
    (move,) = moves.migrations(cloud, uuid)
    assert (move['status'], move['migration_type']) == ('done', 'evacuation')
    assert cloud.placement.usages().keys() == {uuid, move['uuid']}
    assert moves.events(cloud, uuid) == (
        'evacuate',
        [
            ('rebuild_server', 'controller', 'Success'),
            ('compute_rebuild_instance', target, 'Success'),
        ],
    )

    return_of(cloud, source)
    assert moves.guests(cloud, uuid) == {target}
    assert cloud.placement.usages().keys() == {uuid}
    assert moves.migrations(cloud, uuid)[0]['status'] == 'completed'
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == target


@pytest.mark.parametrize(
    ('version', 'was', 'status'),
    [('2.94', 'ACTIVE', 'ACTIVE'), ('2.94', 'SHUTOFF', 'SHUTOFF'), ('2.95', 'ACTIVE', 'SHUTOFF')],
)
def test_on_or_off(
    cloud: Cloud, flavor: str, image: str, dead: Any, version: str, was: str, status: str
) -> None:
    uuid, source = boot(cloud, flavor, image)
    if was == 'SHUTOFF':
        cloud.action(uuid, **{'os-stop': None})
        cloud.wait_status(uuid, 'SHUTOFF')
    dead(source)
    assert evacuate(cloud, uuid, version).status == 200
    wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'done', 'it is done')
    server = cloud.wait_status(uuid, status)
    assert server['OS-EXT-SRV-ATTR:host'] != source
    assert server['OS-EXT-STS:power_state'] == (4 if status == 'SHUTOFF' else 1)


@pytest.mark.parametrize(
    ('version', 'more'),
    [
        ('2.1', {'onSharedStorage': False}),
        ('2.14', {}),
        ('2.29', {'force': True}),
        ('2.67', {'force': False}),
        ('2.68', {}),
    ],
)
def test_to_a_host(
    cloud: Cloud, flavor: str, image: str, dead: Any, version: str, more: dict[str, Any]
) -> None:
    uuid, source = boot(cloud, flavor, image)
    target = sorted({'controller-1', 'controller-2', 'controller-3'} - {source})[-1]
    dead(source)
    answer = evacuate(cloud, uuid, version, host=target, adminPass='secret', **more)
    assert answer.status == 200, answer.text
    if version == '2.1':
        assert answer.json == {'adminPass': 'secret'}
    else:
        assert answer.text == ''
    wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'done', 'it is done')
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == target


def test_a_server_in_error_comes_back_to_life(
    cloud: Cloud, flavor: str, image: str, dead: Any
) -> None:
    uuid, source = boot(cloud, flavor, image)
    body = {'os-resetState': {'state': 'error'}}
    assert cloud.admin('POST', f'/servers/{uuid}/action', body).status == 202
    dead(source)
    assert evacuate(cloud, uuid).status == 200
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] != source


def test_what_was_under_way_is_superseded(cloud: Cloud, flavor: str, image: str, dead: Any) -> None:
    uuid, source = boot(cloud, flavor, image)
    cloud.conf.set_override('live_migration_delay', 60, 'fake_driver')
    try:
        body = {'host': None, 'block_migration': 'auto'}
        path = f'/servers/{uuid}/action'
        assert cloud.admin('POST', path, {'os-migrateLive': body}).status == 202
        wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'running', 'it runs')
        dead(source)
        assert evacuate(cloud, uuid).status == 200
        wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'done', 'it is done')
    finally:
        cloud.conf.clear_override('live_migration_delay', 'fake_driver')
    evacuation, live = moves.migrations(cloud, uuid)
    assert live['status'] == 'error'
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == evacuation['dest_compute']


def test_no_host_takes_it(cloud: Cloud, flavor: str, image: str, dead: Any) -> None:
    network = cloud.neutron.add_network()
    uuid, source = boot(cloud, flavor, image, networks=[{'uuid': network}])
    cloud.call('PUT', f'/servers/{uuid}', {'server': {'name': 'reborn'}})
    before = cloud.placement.usages()
    dead(source)
    assert evacuate(cloud, uuid).status == 200
    server = cloud.wait_status(uuid, 'ERROR')
    assert server['OS-EXT-SRV-ATTR:host'] == source
    assert 'told to fail to build' in server['fault']['message']
    assert cloud.placement.usages() == before
    assert moves.migrations(cloud, uuid)[0]['status'] == 'error'
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == source
    # The guest of a host that comes back in the meantime is not touched.
    return_of(cloud, source)
    assert moves.guests(cloud, uuid) == {source}


def test_what_cannot_be_asked(cloud: Cloud, flavor: str, image: str, dead: Any) -> None:
    uuid, source = boot(cloud, flavor, image)

    def refused(status: int, kind: str, message: str, version: str = '2.94', **body: Any) -> None:
        answer = evacuate(cloud, uuid, version, **body)
        assert answer.status == status, answer.text
        assert message in answer.json[kind]['message']

    refused(400, 'badRequest', f'Compute service of {source} is still in use.')
    refused(400, 'badRequest', "The target host can't be the same one.", host=source)
    refused(404, 'itemNotFound', 'Compute host nohost not found.', host='nohost')
    refused(400, 'badRequest', 'force', force=True)
    dead(source)
    refused(400, 'badRequest', 'non-provided', '2.30', force=True)
    refused(400, 'badRequest', 'onSharedStorage', '2.13')
    refused(400, 'badRequest', 'existing disk', '2.13', onSharedStorage=True, adminPass='x')
    path = f'/servers/{uuid}/action'
    assert cloud.call('POST', path, {'evacuate': {}}).status == 403
    assert cloud.call('POST', path, {'evacuate': {}}, token='x:other').status == 404
    assert moves.migrations(cloud, uuid) == []


def test_deleted_before_the_host_is_back(cloud: Cloud, flavor: str, image: str, dead: Any) -> None:
    uuid, source = boot(cloud, flavor, image)
    dead(source)
    assert evacuate(cloud, uuid).status == 200
    wait(lambda: moves.migrations(cloud, uuid)[0]['status'] == 'done', 'it is done')
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)
    assert cloud.placement.usages() == {}
    cloud.conf.set_override('running_deleted_instance_timeout', 0)
    return_of(cloud, source)
    cloud.conf.clear_override('running_deleted_instance_timeout')
    assert moves.guests(cloud, uuid) == set()
