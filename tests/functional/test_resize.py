"""Resize and cold migration: there, confirmed, back, refused, and with hosts that fail."""

from typing import Any

import pytest

from kilonova.tests.functional import moves
from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {
    'hosts': 3,
    'extra': """
[fake_driver]
fail_move = prepare/*/picky, leave/*/rooted, finish/*/unborn, prepare/controller-2/choosy,
            revert/*/doomed, finish/*/doomed
[quota]
cores = 8
""",
}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(scope='module')
def large(cloud: Cloud) -> str:
    return cloud.flavor('m1.large', vcpus=2, ram=1024, disk=2)


def boot(cloud: Cloud, flavor: str, image: str, **fields: Any) -> tuple[str, str]:
    """Return a server and its host."""
    uuid = cloud.boot(flavor, image, **fields)
    return uuid, str(cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'])


def limits(cloud: Cloud) -> tuple[int, int]:
    found = cloud.get('/limits')['limits']['absolute']
    return found['totalCoresUsed'], found['totalRAMUsed']


def resize(cloud: Cloud, uuid: str, flavor: str) -> dict[str, Any]:
    answer = cloud.action(uuid, resize={'flavorRef': flavor})
    assert answer.status == 202, answer.text
    return cloud.wait_status(uuid, 'VERIFY_RESIZE')


def test_resize_and_confirm(cloud: Cloud, flavor: str, large: str, image: str) -> None:
    network = cloud.neutron.add_network()
    uuid, source = boot(cloud, flavor, image, networks=[{'uuid': network}])
    with cloud.counted() as counts:
        server = resize(cloud, uuid, large)
    sent = [message for message in counts.rpc if message != 'call get_server']
    assert sent == [
        'call resize_server',
        'call select_destinations',
        *['cast perform', 'call work_finished'] * 3,
    ]
    assert [method for method, _ in counts.placement] == ['GET', 'GET', 'POST', 'PUT']
    target = server['OS-EXT-SRV-ATTR:host']
    assert target != source and moves.guests(cloud, uuid) == {source, target}
    assert (server['flavor']['vcpus'], server['OS-EXT-STS:power_state']) == (2, 1)
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == target
    (move,) = moves.migrations(cloud, uuid)
    assert (move['status'], move['migration_type']) == ('finished', 'resize')
    assert (move['source_compute'], move['dest_compute']) == (source, target)
    usages = cloud.placement.usages()
    assert usages[uuid]['VCPU'] == 2 and usages[move['uuid']]['VCPU'] == 1
    assert moves.events(cloud, uuid) == (
        'resize',
        [
            ('conductor_migrate_server', 'controller', 'Success'),
            ('cold_migrate', 'controller', 'Success'),
            ('compute_prep_resize', target, 'Success'),
            ('compute_resize_instance', source, 'Success'),
            ('compute_finish_resize', target, 'Success'),
        ],
    )

    assert cloud.action(uuid, confirmResize=None).status == 204
    cloud.wait_status(uuid, 'ACTIVE')
    assert moves.guests(cloud, uuid) == {target}
    assert moves.migrations(cloud, uuid)[0]['status'] == 'confirmed'
    assert cloud.placement.usages().keys() == {uuid}
    assert limits(cloud) == (2, 1024)
    assert moves.events(cloud, uuid) == (
        'confirmResize',
        [('compute_confirm_resize', source, 'Success')],
    )


def test_resize_and_revert(cloud: Cloud, flavor: str, large: str, image: str) -> None:
    network = cloud.neutron.add_network()
    uuid, source = boot(cloud, flavor, image, networks=[{'uuid': network}])
    before = cloud.placement.usages()
    target = resize(cloud, uuid, large)['OS-EXT-SRV-ATTR:host']
    assert limits(cloud) == (2, 1024)
    assert cloud.action(uuid, revertResize=None).status == 202
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert (server['OS-EXT-SRV-ATTR:host'], server['flavor']['vcpus']) == (source, 1)
    assert server['OS-EXT-STS:power_state'] == 1
    assert moves.guests(cloud, uuid) == {source}
    assert cloud.placement.usages() == before
    assert limits(cloud) == (1, 512)
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == source
    assert moves.migrations(cloud, uuid)[0]['status'] == 'reverted'
    assert moves.events(cloud, uuid) == (
        'revertResize',
        [
            ('compute_revert_resize', target, 'Success'),
            ('compute_finish_revert_resize', source, 'Success'),
        ],
    )


@pytest.mark.parametrize('end', ['confirmResize', 'revertResize'])
def test_what_was_off_stays_off(
    cloud: Cloud, flavor: str, large: str, image: str, end: str
) -> None:
    uuid, _ = boot(cloud, flavor, image)
    cloud.action(uuid, **{'os-stop': None})
    cloud.wait_status(uuid, 'SHUTOFF')
    server = resize(cloud, uuid, large)
    assert server['OS-EXT-STS:power_state'] == 4
    assert cloud.action(uuid, **{end: None}).status in (202, 204)
    assert cloud.wait_status(uuid, 'SHUTOFF')['OS-EXT-STS:power_state'] == 4


def test_cold_migration_to_a_host(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, source = boot(cloud, flavor, image)
    target = ({'controller-1', 'controller-2', 'controller-3'} - {source}).pop()
    path = f'/servers/{uuid}/action'
    assert cloud.call('POST', path, {'migrate': {'host': target}}).status == 403
    assert cloud.admin('POST', path, {'migrate': {'host': target}}).status == 202
    assert cloud.wait_status(uuid, 'VERIFY_RESIZE')['OS-EXT-SRV-ATTR:host'] == target
    assert moves.migrations(cloud, uuid)[0]['migration_type'] == 'migration'
    assert moves.events(cloud, uuid)[0] == 'migrate'
    cloud.action(uuid, confirmResize=None)
    cloud.wait_status(uuid, 'ACTIVE')
    for host, message in (
        (target, 'Cannot migrate to the host where the server exists.'),
        ('nohost', 'Compute host nohost could not be found.'),
    ):
        answer = cloud.admin('POST', path, {'migrate': {'host': host}})
        assert (answer.status, answer.json['badRequest']['message']) == (400, message)


def test_an_alternate_is_tried(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, source = boot(cloud, flavor, image, name='choosy')
    if source != 'controller-2':
        for _ in range(4):
            assert cloud.admin('POST', f'/servers/{uuid}/action', {'migrate': None}).status == 202
            server = cloud.wait_status(uuid, 'VERIFY_RESIZE')
            assert server['OS-EXT-SRV-ATTR:host'] != 'controller-2'
            cloud.action(uuid, confirmResize=None)
            cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.placement.usages().keys() == {uuid}


@pytest.mark.parametrize('name', ['picky', 'rooted', 'unborn'])
def test_a_failure_leaves_the_server_as_it_was(
    cloud: Cloud, flavor: str, large: str, image: str, name: str
) -> None:
    network = cloud.neutron.add_network()
    uuid, source = boot(cloud, flavor, image, name=name, networks=[{'uuid': network}])
    before = cloud.placement.usages()
    assert cloud.action(uuid, resize={'flavorRef': large}).status == 202
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert (server['OS-EXT-SRV-ATTR:host'], server['flavor']['vcpus']) == (source, 1)
    assert server['OS-EXT-STS:power_state'] == 1
    assert moves.guests(cloud, uuid) == {source}
    assert cloud.placement.usages() == before and limits(cloud) == (1, 512)
    (port,) = [p for p in cloud.neutron.ports.values() if p['device_id'] == uuid]
    assert port['binding:host_id'] == source
    assert moves.migrations(cloud, uuid)[0]['status'] == 'error'
    path = f'/servers/{uuid}/os-instance-actions'
    assert cloud.get(path)['instanceActions'][0]['message'] == 'Error'


def test_what_can_neither_go_nor_stay_is_in_error(
    cloud: Cloud, flavor: str, large: str, image: str
) -> None:
    uuid, source = boot(cloud, flavor, image, name='doomed')
    before = cloud.placement.usages()
    assert cloud.action(uuid, resize={'flavorRef': large}).status == 202
    server = cloud.wait_status(uuid, 'ERROR')
    assert server['OS-EXT-SRV-ATTR:host'] == source
    assert server['fault']['message'] == 'The fake driver was told to fail to finish.'
    assert cloud.placement.usages() == before


def test_no_host_is_left(cloud: Cloud, flavor: str, image: str) -> None:
    huge = cloud.flavor('m1.huge', ram=900000)
    uuid, source = boot(cloud, flavor, image)
    cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': {'ram': -1}})
    before = cloud.placement.usages()
    assert cloud.action(uuid, resize={'flavorRef': huge}).status == 202
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == source
    assert cloud.placement.usages() == before
    (move,) = moves.migrations(cloud, uuid)
    assert (move['status'], move['dest_compute']) == ('error', None)
    assert moves.events(cloud, uuid)[1][-1][2] == 'Error'


def test_what_cannot_be_asked(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, _ = boot(cloud, flavor, image)
    zero = cloud.flavor('m1.zero', disk=0)
    cores = cloud.flavor('m1.cores', vcpus=9)

    def refused(status: int, kind: str, message: str, **body: Any) -> None:
        answer = cloud.action(uuid, **body)
        assert answer.status == status, answer.text
        assert message in answer.json[kind]['message']

    refused(400, 'badRequest', 'must change flavor!', resize={'flavorRef': flavor})
    refused(400, 'badRequest', 'Flavor nope could not be found.', resize={'flavorRef': 'nope'})
    refused(400, 'badRequest', 'zero disk flavor is not allowed', resize={'flavorRef': zero})
    refused(403, 'forbidden', 'Quota exceeded for cores', resize={'flavorRef': cores})
    for action in ('confirmResize', 'revertResize'):
        text = f"Cannot '{action}' instance {uuid} while it is in vm_state active"
        refused(409, 'conflictingRequest', text, **{action: None})
    assert cloud.action(uuid, resize={}).status == 400
    for body in ({'resize': {'flavorRef': cores}}, {'confirmResize': None}, {'migrate': None}):
        assert (
            cloud.call('POST', f'/servers/{uuid}/action', body, token='other:other').status == 404
        )
    assert moves.migrations(cloud, uuid) == [] and limits(cloud) == (1, 512)


def test_a_smaller_disk_is_refused_by_the_source(
    cloud: Cloud, flavor: str, large: str, image: str
) -> None:
    uuid, source = boot(cloud, large, image)
    assert cloud.action(uuid, resize={'flavorRef': flavor}).status == 202
    assert cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'] == source
    assert limits(cloud) == (2, 1024)
    path = f'/servers/{uuid}/os-instance-actions'
    request_id = cloud.get(path)['instanceActions'][0]['request_id']
    shown = cloud.get(f'{path}/{request_id}', token='admin:admin')['instanceAction']
    failed = [event for event in shown['events'] if event['result'] == 'Error']
    assert 'Unable to resize disk down.' in failed[0]['details']


@pytest.mark.parametrize('host', ['source', 'target'])
def test_deleting_cleans_both_hosts(
    cloud: Cloud, flavor: str, large: str, image: str, host: str
) -> None:
    uuid, _ = boot(cloud, flavor, image)
    resize(cloud, uuid, large)
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)
    assert cloud.placement.usages() == {}
    wait(lambda: moves.guests(cloud, uuid) == set(), 'both hosts are clean')
    assert moves.migrations(cloud, uuid)[0]['status'] == 'confirmed'


def test_automatic_confirmation(cloud: Cloud, flavor: str, large: str, image: str) -> None:
    uuid, _ = boot(cloud, flavor, image)
    resize(cloud, uuid, large)
    cloud.conf.set_override('resize_confirm_window', 1)
    try:
        cloud.wait_status(uuid, 'ACTIVE', seconds=60)
    finally:
        cloud.conf.clear_override('resize_confirm_window')
    assert moves.migrations(cloud, uuid)[0]['status'] == 'confirmed'


def test_on_the_same_host(cloud: Cloud, flavor: str, large: str, image: str) -> None:
    uuid, source = boot(cloud, flavor, image)
    cloud.conf.set_override('allow_resize_to_same_host', True)
    others = {'controller-1', 'controller-2', 'controller-3'} - {source}
    services = cloud.admin('GET', '/os-services?binary=nova-compute').json['services']
    ids = [service['id'] for service in services if service['host'] in others]
    try:
        for one in ids:
            assert cloud.admin('PUT', f'/os-services/{one}', {'status': 'disabled'}).status == 200
        assert resize(cloud, uuid, large)['OS-EXT-SRV-ATTR:host'] == source
        assert cloud.placement.usages()[uuid]['VCPU'] == 2
        assert cloud.action(uuid, revertResize=None).status == 202
        assert cloud.wait_status(uuid, 'ACTIVE')['flavor']['vcpus'] == 1
        resize(cloud, uuid, large)
        assert cloud.action(uuid, confirmResize=None).status == 204
        assert cloud.wait_status(uuid, 'ACTIVE')['flavor']['vcpus'] == 2
    finally:
        cloud.conf.clear_override('allow_resize_to_same_host')
        for one in ids:
            cloud.admin('PUT', f'/os-services/{one}', {'status': 'enabled'})
    assert moves.guests(cloud, uuid) == {source}
