"""Volumes of servers that run: attached, shown, changed, swapped, detached."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.routes import NOBODY
from kilonova.tests.unit.api import reference

CLOUD = {
    'hosts': 1,
    'extra': '[fake_driver]\nfail_attach_volume = */closed\nfail_detach_volume = */sticky\n',
}
pytestmark = pytest.mark.usefixtures('clean')
CONTROLLER = 'volume_attachments.VolumeAttachmentController'
PATH = '/servers/{server_id}/os-volume_attachments'


@pytest.fixture(autouse=True)
def cinder(cloud: Cloud) -> Iterator[None]:
    fake = cloud.cinder
    fake.mend()
    for kind in (fake.volumes, fake.snapshots, fake.attachments):
        kind.clear()
    fake.completions.clear()
    yield
    fake.mend()


def boot(cloud: Cloud, flavor: str, image: str, **fields: Any) -> str:
    uuid = cloud.boot(flavor, image, **fields)
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def attach(cloud: Cloud, uuid: str, volume: str, version: str = '2.90', **more: Any) -> Any:
    body = {'volumeAttachment': {'volumeId': volume, **more}}
    return cloud.call('POST', f'/servers/{uuid}/os-volume_attachments', body, version=version)


def attached(cloud: Cloud, uuid: str, volume: str, **more: Any) -> None:
    answer = attach(cloud, uuid, volume, **more)
    assert answer.status == 200, answer.text
    wait(lambda: cloud.cinder.status(volume) == 'in-use', f'{volume} is attached')
    settled(cloud, uuid)


def settled(cloud: Cloud, uuid: str) -> None:
    """Wait until nothing is done with volumes."""

    def idle() -> bool:
        actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
        path = f'/servers/{uuid}/os-instance-actions/{actions[0]["request_id"]}'
        events = cloud.get(path, token='admin:admin')['instanceAction']['events']
        return all(event['finish_time'] for event in events)

    wait(idle, 'all actions have ended')


def guest(cloud: Cloud, uuid: str) -> dict[str, str]:
    """Return what the hypervisor has given to a guest."""
    found: dict[str, str] = driver_of(cloud)._guests[uuid].volumes
    return found


def driver_of(cloud: Cloud) -> Any:
    return cloud.all.computes.computes[0].host.driver


def one(cloud: Cloud, uuid: str, volume: str, **kwargs: Any) -> Any:
    return cloud.call('GET', f'/servers/{uuid}/os-volume_attachments/{volume}', **kwargs)


def refused(answer: Any, code: int, message: str) -> None:
    assert answer.status == code, answer.text
    assert message in answer.text


@pytest.mark.parametrize('version', ['2.1', '2.48', '2.49', '2.70', '2.79', '2.89', '2.100'])
def test_attach_and_detach(cloud: Cloud, flavor: str, image: str, version: str) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    answer = attach(cloud, uuid, volume, version)
    assert answer.status == 200, answer.text
    assert answer.json['volumeAttachment']['device'] == '/dev/vdb'
    theirs = reference.operations(CONTROLLER)
    expected = reference.schema_for(theirs['POST', PATH, None], 'response', version)
    reference.check(answer.json, expected)
    wait(lambda: guest(cloud, uuid) == {volume: '/dev/vdb'}, 'the guest has it')
    wait(lambda: cloud.cinder.status(volume) == 'in-use', 'it is attached')
    listed = cloud.get(f'/servers/{uuid}/os-volume_attachments', version=version)
    reference.check(listed, reference.schema_for(theirs['GET', PATH, None], 'response', version))
    shown = one(cloud, uuid, volume, version=version).json
    assert listed == {'volumeAttachments': [shown['volumeAttachment']]}
    server = cloud.get(f'/servers/{uuid}', version='2.3')['server']
    assert server['os-extended-volumes:volumes_attached'] == [
        {'id': volume, 'delete_on_termination': False}
    ]
    path = f'/servers/{uuid}/os-volume_attachments/{volume}'
    settled(cloud, uuid)
    assert cloud.call('DELETE', path, version=version).status == 202
    wait(lambda: cloud.cinder.status(volume) == 'available', 'it is detached')
    wait(lambda: cloud.call('GET', path).status == 404, 'it is forgotten')
    assert guest(cloud, uuid) == {} and cloud.cinder.attachments == {}
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [a['action'] for a in actions] == ['detach_volume', 'attach_volume', 'create']


def test_since_2_101_nothing_is_answered(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    answer = attach(cloud, uuid, volume, '2.101', tag='data', delete_on_termination=True)
    assert (answer.status, answer.text) == (202, '')
    wait(lambda: cloud.cinder.status(volume) == 'in-use', 'it is attached')
    shown = one(cloud, uuid, volume).json['volumeAttachment']
    assert (shown['tag'], shown['delete_on_termination']) == ('data', True)
    (attachment,) = cloud.cinder.attachments.values()
    assert shown['attachment_id'] == attachment['id'] and shown['bdm_uuid']
    cloud.call('DELETE', f'/servers/{uuid}')
    cloud.wait_gone(uuid)
    assert cloud.cinder.volumes == {}


def test_several_at_once(cloud: Cloud, flavor: str, image: str) -> None:
    """They neither wait for nor disturb one another, nor a stop that comes in between."""
    uuid = boot(cloud, flavor, image)
    volumes = [cloud.cinder.add_volume() for _ in range(4)]
    for volume in volumes[:2]:
        assert attach(cloud, uuid, volume).status == 200
    assert cloud.action(uuid, **{'os-stop': None}).status == 202
    cloud.wait_status(uuid, 'SHUTOFF')
    for volume in volumes[2:]:
        assert attach(cloud, uuid, volume).status == 200
    wait(
        lambda: {cloud.cinder.status(volume) for volume in volumes} == {'in-use'},
        'all are attached',
    )
    assert sorted(guest(cloud, uuid).values()) == ['/dev/vdb', '/dev/vdc', '/dev/vdd', '/dev/vde']
    page = cloud.get(f'/servers/{uuid}/os-volume_attachments?limit=2&offset=1')
    assert [one['volumeId'] for one in page['volumeAttachments']] == volumes[1:3]


def test_lists_do_not_ask_more_for_more_volumes(cloud: Cloud, flavor: str, image: str) -> None:
    counts = []
    uuid = boot(cloud, flavor, image)
    for _ in range(2):
        with cloud.counted() as counted:
            cloud.get('/servers/detail')
            cloud.get(f'/servers/{uuid}/os-volume_attachments')
        # Conductors that sweep meanwhile have statements, too.
        ours = [text for text in counted.sql if 'FROM instances' in text or 'FROM tags' in text]
        counts.append((len(ours), counted.rpc))
        attached(cloud, uuid, cloud.cinder.add_volume())
        attached(cloud, boot(cloud, flavor, image), cloud.cinder.add_volume())
    assert counts[0] == counts[1]


def test_a_multiattach_volume(cloud: Cloud, flavor: str, image: str) -> None:
    first, second = boot(cloud, flavor, image), boot(cloud, flavor, image)
    volume = cloud.cinder.add_volume(multiattach=True)
    refused(attach(cloud, first, volume, '2.59'), 400, 'Multiattach volumes are only supported')
    for uuid in (first, second):
        attached(cloud, uuid, volume, version='2.60')
    assert len(cloud.cinder.attachments) == 2
    assert cloud.call('DELETE', f'/servers/{first}/os-volume_attachments/{volume}').status == 202
    wait(lambda: len(cloud.cinder.attachments) == 1, 'one is detached')
    wait(lambda: cloud.cinder.status(volume) == 'in-use', 'the other one has it')
    assert one(cloud, second, volume).status == 200


# -- changes


def test_whether_it_is_deleted_with_the_server(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    attached(cloud, uuid, volume, tag='a')
    path = f'/servers/{uuid}/os-volume_attachments/{volume}'
    asked = {
        'volumeId': volume,
        'id': volume,
        'serverId': uuid,
        'device': '/dev/vdb',
        'tag': 'a',
        'delete_on_termination': 'yes',
    }
    assert cloud.call('PUT', path, {'volumeAttachment': asked}).status == 202
    assert one(cloud, uuid, volume).json['volumeAttachment']['delete_on_termination'] is True
    for name, value in {'id': NOBODY, 'serverId': NOBODY, 'device': '/dev/vdz', 'tag': 'b'}.items():
        answer = cloud.call('PUT', path, {'volumeAttachment': {**asked, name: value}})
        refused(answer, 400, f'The {name} property is not mutable')
    other = {'volumeAttachment': asked | {'volumeId': NOBODY}}
    assert cloud.call('PUT', path, other).status == 403
    cloud.call('DELETE', f'/servers/{uuid}')
    cloud.wait_gone(uuid)
    assert cloud.cinder.volumes == {}


@pytest.mark.parametrize('migration', [False, True])
def test_swap(cloud: Cloud, flavor: str, image: str, migration: bool) -> None:
    uuid = boot(cloud, flavor, image)
    old, new = cloud.cinder.add_volume(), cloud.cinder.add_volume(2)
    attached(cloud, uuid, old)
    if migration:
        cloud.cinder.volumes[old]['migration_status'] = 'migrating'
    path = f'/servers/{uuid}/os-volume_attachments/{old}'
    body = {'volumeAttachment': {'volumeId': new}}
    assert cloud.call('PUT', path, body, version='2.1').status == 403
    assert cloud.admin('PUT', path, body, version='2.1').status == 202
    wait(lambda: one(cloud, uuid, new).status == 200, 'the server has the new one')
    assert guest(cloud, uuid) == {new: '/dev/vdb'}
    assert (cloud.cinder.status(old), cloud.cinder.status(new)) == ('available', 'in-use')
    said = [('os-migrate_volume_completion', old, False)] if migration else []
    assert cloud.cinder.completions == said


def test_a_swap_that_fails(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = boot(cloud, flavor, image, name='fine')
    old, new = cloud.cinder.add_volume(), cloud.cinder.add_volume()
    attached(cloud, uuid, old)
    cloud.cinder.break_with(500, 'PUT .*/attachments/')
    path = f'/servers/{uuid}/os-volume_attachments/{old}'
    assert cloud.admin('PUT', path, {'volumeAttachment': {'volumeId': new}}).status == 202
    wait(lambda: cloud.cinder.status(new) == 'available', 'the new one is free')
    wait(lambda: cloud.cinder.status(old) == 'in-use', 'the old one stays')
    settled(cloud, uuid)
    assert one(cloud, uuid, old).status == 200 and guest(cloud, uuid) == {old: '/dev/vdb'}


def test_swaps_that_are_refused(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = boot(cloud, flavor, image)
    old, small = cloud.cinder.add_volume(2), cloud.cinder.add_volume(1)
    attached(cloud, uuid, old)
    path = f'/servers/{uuid}/os-volume_attachments/'
    taken = cloud.cinder.add_volume(2, status='reserved')

    def swap(volume: str, by: str = old) -> Any:
        return cloud.admin('PUT', path + by, {'volumeAttachment': {'volumeId': volume}})

    refused(swap(small), 400, 'New volume must be the same size or larger.')
    refused(swap(NOBODY), 400, f'Volume {NOBODY} could not be found.')
    refused(swap(old, NOBODY), 404, 'is not attached to volume')
    refused(swap(taken), 400, 'status must be available')
    assert cloud.cinder.status(old) == 'in-use' and len(cloud.cinder.attachments) == 1


# -- what goes wrong


def test_attaching_that_fails_lets_go_of_the_volume(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, volume = boot(cloud, flavor, image, name='closed'), cloud.cinder.add_volume()
    assert attach(cloud, uuid, volume).status == 200
    wait(lambda: cloud.cinder.attachments == {}, 'the volume is let go of')
    wait(lambda: one(cloud, uuid, volume).status == 404, 'the attachment is forgotten')
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['os-extended-volumes:volumes_attached'] == []
    (action, _) = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert (action['action'], action['message']) == ('attach_volume', 'Error')


def test_detaching_that_fails_keeps_the_volume(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, volume = boot(cloud, flavor, image, name='sticky'), cloud.cinder.add_volume()
    attached(cloud, uuid, volume)
    path = f'/servers/{uuid}/os-volume_attachments/{volume}'
    assert cloud.call('DELETE', path).status == 202
    wait(lambda: cloud.cinder.status(volume) == 'in-use', 'the volume stays')
    settled(cloud, uuid)
    assert cloud.call('GET', path).status == 200
    assert guest(cloud, uuid) == {volume: '/dev/vdb'}


def test_a_cinder_that_comes_back_lets_a_detaching_end(
    cloud: Cloud, flavor: str, image: str
) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    attached(cloud, uuid, volume)
    cloud.cinder.break_with(500, 'DELETE .*/attachments')
    path = f'/servers/{uuid}/os-volume_attachments/{volume}'
    assert cloud.call('DELETE', path).status == 202
    wait(lambda: guest(cloud, uuid) == {}, 'the guest has it no more')
    cloud.cinder.mend()
    wait(lambda: cloud.cinder.status(volume) == 'available', 'it is detached', 60)


@pytest.mark.parametrize('what', ['GET .*/volumes/', 'POST .*/attachments$'])
def test_a_cinder_that_is_away(cloud: Cloud, flavor: str, image: str, what: str) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    cloud.cinder.break_with(500, what)
    assert attach(cloud, uuid, volume).status == 503
    cloud.cinder.mend()
    nothing_happened(cloud, uuid)


def nothing_happened(cloud: Cloud, uuid: str) -> None:
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [action['action'] for action in actions] == ['create']
    assert cloud.cinder.attachments == {}
    assert cloud.get(f'/servers/{uuid}/os-volume_attachments') == {'volumeAttachments': []}


def test_what_cannot_be_attached(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = boot(cloud, flavor, image)
    taken = cloud.cinder.add_volume(status='error')
    foreign = cloud.cinder.add_volume(project='other')
    free = cloud.cinder.add_volume()
    refused(attach(cloud, uuid, NOBODY), 404, f'Volume {NOBODY} could not be found.')
    refused(attach(cloud, uuid, foreign), 404, f'Volume {foreign} could not be found.')
    refused(attach(cloud, uuid, taken), 400, 'Invalid volume')
    refused(attach(cloud, uuid, free, device='/dev/vda'), 409, 'is in use.')
    refused(attach(cloud, uuid, free, device='sdb'), 400, 'device')
    refused(attach(cloud, uuid, 'x'), 400, 'volumeId')
    refused(attach(cloud, uuid, free, '2.48', tag='x'), 400, 'tag')
    refused(attach(cloud, uuid, free, '2.78', delete_on_termination=True), 400, 'delete_on')
    nothing_happened(cloud, uuid)
    attached(cloud, uuid, free, device='/dev/vdx')
    refused(attach(cloud, uuid, free), 400, f'volume {free} already attached')
    assert guest(cloud, uuid) == {free: '/dev/vdx'}


def test_states_and_locks(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    attached(cloud, uuid, volume)
    more = cloud.cinder.add_volume()
    path = f'/servers/{uuid}/os-volume_attachments/{volume}'
    assert cloud.action(uuid, suspend=None).status == 202
    cloud.wait_status(uuid, 'SUSPENDED')
    message = f"Cannot 'attach_volume' instance {uuid} while it is in vm_state suspended"
    refused(attach(cloud, uuid, more), 409, message)
    message = f"Cannot 'detach_volume' instance {uuid} while it is in vm_state suspended"
    refused(cloud.call('DELETE', path), 409, message)
    assert cloud.action(uuid, resume=None).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.admin('POST', f'/servers/{uuid}/action', {'lock': None}).status == 202
    refused(attach(cloud, uuid, more), 409, f'Instance {uuid} is locked')
    refused(cloud.call('DELETE', path), 409, f'Instance {uuid} is locked')
    assert cloud.admin('POST', f'/servers/{uuid}/action', {'unlock': None}).status == 202
    assert cloud.cinder.status(more) == 'available'


def test_a_root_volume_stays(cloud: Cloud, flavor: str) -> None:
    volume = cloud.cinder.add_bootable()
    device = {
        'source_type': 'volume', 'destination_type': 'volume', 'boot_index': 0, 'uuid': volume
    }  # fmt: skip
    server = {
        'name': 'bfv', 'flavorRef': flavor, 'networks': 'none', 'block_device_mapping_v2': [device]
    }  # fmt: skip
    uuid = cloud.call('POST', '/servers', {'server': server}).json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    path = f'/servers/{uuid}/os-volume_attachments/{volume}'
    refused(cloud.call('DELETE', path), 400, 'Cannot detach a root device volume')
    assert cloud.cinder.status(volume) == 'in-use'


def test_another_projects_servers(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    attached(cloud, uuid, volume)
    theirs = cloud.cinder.add_volume(project='other')
    path = f'/servers/{uuid}/os-volume_attachments'
    body = {'volumeAttachment': {'volumeId': theirs}}
    for method, where, asked in (
        ('GET', path, None),
        ('POST', path, body),
        ('GET', f'{path}/{volume}', None),
        ('PUT', f'{path}/{volume}', {'volumeAttachment': {'volumeId': volume}}),
        ('DELETE', f'{path}/{volume}', None),
    ):
        answer = cloud.call(method, where, asked, token='someone:other')
        assert answer.status == 404, (method, where, answer.text)
    assert cloud.cinder.status(theirs) == 'available' and guest(cloud, uuid) == {volume: '/dev/vdb'}


# -- what Cinder tells and asks


def test_a_volume_that_has_grown(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    attached(cloud, uuid, volume)
    cloud.cinder.volumes[volume] |= {'size': 5, 'status': 'extending'}
    events = [
        {'name': 'volume-extended', 'server_uuid': uuid, 'tag': volume},
        {'name': 'volume-extended', 'server_uuid': uuid, 'tag': NOBODY},
    ]
    answer = cloud.admin('POST', '/os-server-external-events', {'events': events})
    assert [event['code'] for event in answer.json['events']] == [200, 404]
    expected = ('os-extend_volume_completion', volume, False)
    wait(lambda: expected in cloud.cinder.completions, 'Cinder is told')
    driver = driver_of(cloud)
    assert any(f'new size {5 * 1024**3}' in line for line in driver._guests[uuid].console)


def test_assisted_snapshots(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, volume = boot(cloud, flavor, image), cloud.cinder.add_volume()
    attached(cloud, uuid, volume)
    snapshot = cloud.cinder.add_snapshot(volume, status='creating')
    info = {'snapshot_id': snapshot, 'type': 'qcow2', 'new_file': 'new', 'id': NOBODY}
    body = {'snapshot': {'volume_id': volume, 'create_info': info}}
    path = '/os-assisted-volume-snapshots'
    assert cloud.call('POST', path, body).status == 403
    answer = cloud.admin('POST', path, body)
    assert answer.status == 200, answer.text
    assert answer.json == {'snapshot': {'id': NOBODY, 'volumeId': volume}}
    wait(lambda: cloud.cinder.snapshots[snapshot].get('progress') == '90%', 'Cinder is told')
    settled(cloud, uuid)
    delete = f'{path}/{snapshot}?delete_info='
    refused(cloud.admin('DELETE', delete + 'x'), 400, 'delete_info')
    refused(cloud.admin('DELETE', delete + '{}'), 400, 'volume_id')
    text = '{"volume_id": "%s", "file_to_merge": "new"}' % volume
    assert cloud.admin('DELETE', delete + text).status == 204
    wait(lambda: cloud.cinder.snapshots[snapshot]['status'] == 'deleting', 'Cinder is told')
    lines = driver_of(cloud)._guests[uuid].console
    assert f'{volume}: new' in lines[-2] and f'{volume}: merged new' in lines[-1]
    body['snapshot']['volume_id'] = NOBODY
    refused(cloud.admin('POST', path, body), 400, NOBODY)
