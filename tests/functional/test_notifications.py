"""What is said on the bus while servers live and resources come and go."""

from collections.abc import Iterator
from typing import Any

import oslo_messaging as messaging
import pytest

from kilonova.tests.functional import bus
from kilonova.tests.functional.bus import Reader
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.routes import KEY

EXTRA = 'notify_on_state_change = vm_and_task_state\n[fake_driver]\nfail_spawn = */bad\n'
CLOUD: dict[str, Any] = {'extra': bus.CONF + EXTRA}


@pytest.fixture
def versioned(cloud: Cloud) -> Iterator[Reader]:
    reader = Reader(cloud.conf, 'versioned_notifications')
    yield reader
    reader.close()


@pytest.fixture
def plain(cloud: Cloud) -> Iterator[Reader]:
    reader = Reader(cloud.conf, 'notifications')
    yield reader
    reader.close()


def _boot(cloud: Cloud, flavor: str, image: str) -> str:
    network = cloud.neutron.add_network()
    uuid = cloud.boot(flavor, image, [{'uuid': network}], metadata={'a': 'b'}, tags=['x'])
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def test_the_life_of_a_server(
    cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None
) -> None:
    uuid = _boot(cloud, flavor, image)
    for action, status in (('os-stop', 'SHUTOFF'), ('os-start', 'ACTIVE'), ('pause', 'PAUSED'),
                           ('unpause', 'ACTIVE')):  # fmt: skip
        assert cloud.action(uuid, **{action: None}).status == 202
        cloud.wait_status(uuid, status)
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)
    notes = versioned.wait(
        'instance.create.start', 'instance.create.end', 'instance.power_off.start',
        'instance.power_off.end', 'instance.power_on.start', 'instance.power_on.end',
        'instance.pause.start', 'instance.pause.end', 'instance.unpause.start',
        'instance.unpause.end', 'instance.delete.start', 'instance.shutdown.start',
        'instance.shutdown.end', 'instance.delete.end', about=uuid,
    )  # fmt: skip
    created, ended = notes[1], notes[-1]
    assert created.payload['nova_object.name'] == 'InstanceCreatePayload'
    assert (created.priority, created.publisher) == ('info', 'nova-compute:controller')
    data = created.data
    assert (data['state'], data['power_state'], data['task_state']) == ('active', 'running', None)
    assert (data['tenant_id'], data['action_initiator_user']) == ('demo', 'demo')
    assert (data['tags'], data['metadata'], data['image_uuid']) == (['x'], {'a': 'b'}, image)
    (address,) = data['ip_addresses']
    assert address['nova_object.data']['label'] == 'private'
    assert data['flavor']['nova_object.data']['flavorid'] == flavor
    assert data['request_id'].startswith('req-')
    assert 'auth_token' not in created.context
    assert notes[0].data['state'] == 'building' and notes[0].data['launched_at'] is None
    assert notes[2].data['task_state'] == 'powering-off'
    assert (ended.data['state'], bool(ended.data['deleted_at'])) == ('deleted', True)


def test_volumes_and_others(
    cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None
) -> None:
    uuid, volume = _boot(cloud, flavor, image), cloud.cinder.add_volume()
    path = f'/servers/{uuid}/os-volume_attachments'
    assert cloud.call('POST', path, {'volumeAttachment': {'volumeId': volume}}).status == 200
    (_, attached) = versioned.wait('instance.volume_attach.start', 'instance.volume_attach.end')
    assert attached.data['volume_id'] == volume
    assert cloud.action(uuid, lock={'locked_reason': 'why'}).status == 202
    assert cloud.action(uuid, unlock=None).status == 202
    assert cloud.action(uuid, createImage={'name': 'i'}).status == 202
    (lock, _, _, snapshot) = versioned.wait(
        'instance.lock', 'instance.unlock', 'instance.snapshot.start', 'instance.snapshot.end',
        about=uuid,
    )  # fmt: skip
    assert (lock.publisher, lock.data['locked_reason']) == ('nova-api:controller', 'why')
    assert snapshot.data['snapshot_image_id'] in cloud.glance.images
    cloud.wait_status(uuid, 'ACTIVE')


def test_changes_of_states(
    cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None
) -> None:
    uuid = _boot(cloud, flavor, image)
    assert cloud.call('PUT', f'/servers/{uuid}', {'server': {'name': 'renamed'}}).status == 200

    def changes() -> list[tuple[Any, ...]]:
        updates = [note for note in versioned.notes if note.type == 'instance.update']
        states = [note.data['state_update']['nova_object.data'] for note in updates]
        return [(s['old_state'], s['state'], s['old_task_state'], s['new_task_state'])
                for s in states]  # fmt: skip

    versioned.wait('instance.create.end', 'instance.update', about=uuid)
    assert ('building', 'active', 'spawning', None) in changes()
    (renamed,) = [note for note in versioned.notes if 'old_display_name' in str(note.payload)
                  and note.data.get('old_display_name')]  # fmt: skip
    assert (renamed.data['old_display_name'], renamed.data['display_name']) == ('test', 'renamed')


def test_what_fails(cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None) -> None:
    uuid = cloud.boot(flavor, image, name='bad')
    cloud.wait_status(uuid, 'ERROR')
    (error,) = versioned.wait('instance.create.error', about=uuid)
    assert error.priority == 'error'
    fault = error.data['fault']['nova_object.data']
    assert 'told to fail' in fault['exception_message']


def test_resources(cloud: Cloud, versioned: Reader) -> None:
    body: dict[str, Any] = {'keypair': {'name': 'k', 'public_key': KEY}}
    assert cloud.call('POST', '/os-keypairs', body).status == 201
    assert cloud.call('DELETE', '/os-keypairs/k').status == 204
    assert cloud.call('POST', '/os-keypairs', {'keypair': {'name': 'm'}}).status == 201
    made = cloud.admin('POST', '/os-aggregates', {'aggregate': {'name': 'a'}}).json['aggregate']
    path = f'/os-aggregates/{made["id"]}'
    for action in ({'add_host': {'host': 'controller'}}, {'set_metadata': {'metadata': {'a': 'b'}}},
                   {'remove_host': {'host': 'controller'}}):  # fmt: skip
        assert cloud.admin('POST', f'{path}/action', action).status == 200
    assert cloud.admin('PUT', path, {'aggregate': {'name': 'b'}}).status == 200
    assert cloud.admin('DELETE', path).status == 200
    flavor = cloud.flavor('told')
    specs = {'extra_specs': {'hw:numa_nodes': '1'}}
    assert cloud.admin('POST', f'/flavors/{flavor}/os-extra_specs', specs).status == 200
    assert cloud.admin('DELETE', f'/flavors/{flavor}').status == 202
    group = {'server_group': {'name': 'g', 'policy': 'affinity'}}
    group_id = cloud.call('POST', '/os-server-groups', group).json['server_group']['id']
    assert cloud.call('DELETE', f'/os-server-groups/{group_id}').status == 204
    (service,) = cloud.get('/os-services?binary=nova-compute', token='admin:admin')['services']
    for status in ('disabled', 'enabled'):
        body = {'status': status}
        assert cloud.admin('PUT', f'/os-services/{service["id"]}', body).status == 200
    notes = versioned.wait(
        'keypair.import.start', 'keypair.import.end', 'keypair.delete.start',
        'keypair.delete.end', 'keypair.create.start', 'keypair.create.end',
        'aggregate.create.start', 'aggregate.create.end', 'aggregate.add_host.start',
        'aggregate.add_host.end', 'aggregate.update_metadata.end', 'aggregate.remove_host.end',
        'aggregate.update_prop.end', 'aggregate.delete.start', 'aggregate.delete.end',
        'flavor.create', 'flavor.update', 'flavor.delete', 'server_group.create',
        'server_group.delete', 'service.update', 'service.update',
    )  # fmt: skip
    by_type = {note.type: note for note in notes}
    assert by_type['keypair.delete.end'].data['name'] == 'k'
    assert by_type['aggregate.create.start'].data['id'] is None
    assert by_type['aggregate.add_host.end'].data['hosts'] == ['controller']
    assert by_type['aggregate.delete.end'].data['name'] == 'b'
    assert by_type['flavor.update'].data['extra_specs'] == {'hw:numa_nodes': '1'}
    assert by_type['server_group.create'].data['policy'] == 'affinity'
    assert [note.data['disabled'] for note in notes[-2:]] == [True, False]
    assert {note.publisher for note in notes[:-2]} == {'nova-api:controller'}


def test_members_of_groups(
    cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None
) -> None:
    body = {'server_group': {'name': 'g', 'policy': 'affinity'}}
    group = cloud.call('POST', '/os-server-groups', body).json['server_group']['id']
    server = {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}
    hints = {'server': server, 'os:scheduler_hints': {'group': group}}
    made = cloud.call('POST', '/servers', hints)
    assert made.status == 202, made.text
    (joined,) = versioned.wait('server_group.add_member')
    assert joined.data['members'] == [made.json['server']['id']]
    cloud.wait_status(made.json['server']['id'], 'ACTIVE')


def test_the_plain_ones(cloud: Cloud, flavor: str, image: str, plain: Reader, clean: None) -> None:
    uuid = _boot(cloud, flavor, image)
    (_, end) = plain.wait('compute.instance.create.start', 'compute.instance.create.end',
                          about=uuid)  # fmt: skip
    assert end.publisher == 'compute.controller'
    assert (end.payload['instance_id'], end.payload['state']) == (uuid, 'active')
    assert end.payload['memory_mb'] == 512 and end.payload['fixed_ips'][0]['label'] == 'private'


def test_a_bus_that_is_away_holds_up_nothing(
    cloud: Cloud, flavor: str, image: str, monkeypatch: pytest.MonkeyPatch, clean: None
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise messaging.MessageDeliveryFailure('away')

    monkeypatch.setattr(messaging.Notifier, '_notify', refuse)
    uuid = _boot(cloud, flavor, image)
    assert cloud.action(uuid, **{'os-stop': None}).status == 202
    cloud.wait_status(uuid, 'SHUTOFF')
