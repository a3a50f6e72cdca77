"""Volumes and snapshots by way of the compute API, and servers below os-volumes_boot."""

from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.routes import NOBODY
from kilonova.tests.unit.api import reference

VOLUMES, SNAPSHOTS = 'volumes.VolumeController', 'snapshots.SnapshotController'


@pytest.fixture(autouse=True)
def empty(cloud: Cloud) -> None:
    cloud.cinder.mend()
    cloud.cinder.volumes.clear()
    cloud.cinder.snapshots.clear()


def ask(cloud: Cloud, method: str, path: str, body: Any = None, token: str = 'demo:demo') -> Any:
    return cloud.call(method, path, body, version='2.35', token=token)


def check(controller: str, method: str, path: str, answer: Any) -> None:
    theirs = reference.operations(controller)[method, path, None]
    reference.check(answer, reference.schema_for(theirs, 'response', '2.35'))


def test_a_volume_is_created_shown_and_deleted(cloud: Cloud) -> None:
    asked = {
        'size': '3',
        'display_name': 'one',
        'display_description': 'text',
        'volume_type': 'fast',
        'metadata': {'a': 'b'},
        'availability_zone': 'dublin',
    }
    answer = ask(cloud, 'POST', '/os-volumes', {'volume': asked})
    assert answer.status == 200, answer.text
    check(VOLUMES, 'POST', '/os-volumes', answer.json)
    volume = answer.json['volume']
    assert {key: volume[key] for key in ('displayName', 'volumeType', 'size', 'metadata')} == {
        'displayName': 'one',
        'volumeType': 'fast',
        'size': 3,
        'metadata': {'a': 'b'},
    }
    assert volume['availabilityZone'] == 'dublin' and volume['attachments'] == [{}]
    shown = ask(cloud, 'GET', f'/os-volumes/{volume["id"]}')
    check(VOLUMES, 'GET', '/os-volumes/{id}', shown.json)
    assert shown.json['volume'] == volume
    for path in ('/os-volumes', '/os-volumes/detail'):
        listed = ask(cloud, 'GET', path)
        check(VOLUMES, 'GET', path, listed.json)
        assert listed.json['volumes'] == [volume]
    assert ask(cloud, 'DELETE', f'/os-volumes/{volume["id"]}').status == 202
    assert ask(cloud, 'GET', f'/os-volumes/{volume["id"]}').status == 404


def test_an_attached_volume_shows_its_server(cloud: Cloud) -> None:
    volume = cloud.cinder.add_volume(
        status='in-use',
        attachments=[
            {'volume_id': NOBODY, 'server_id': NOBODY, 'device': '/dev/vdb', 'id': NOBODY},
            {'volume_id': NOBODY, 'server_id': NOBODY, 'device': '/dev/vdc', 'id': NOBODY},
        ],
    )
    answer = ask(cloud, 'GET', f'/os-volumes/{volume}')
    check(VOLUMES, 'GET', '/os-volumes/{id}', answer.json)
    expected = {'id': NOBODY, 'volumeId': NOBODY, 'serverId': NOBODY, 'device': '/dev/vdb'}
    assert answer.json['volume']['attachments'] == [expected]


def test_a_snapshot_and_a_volume_of_it(cloud: Cloud) -> None:
    volume = cloud.cinder.add_volume(2, status='in-use')
    refused = ask(cloud, 'POST', '/os-snapshots', {'snapshot': {'volume_id': volume}})
    assert refused.status == 400 and 'must be available' in refused.text
    body = {'snapshot': {'volume_id': volume, 'force': 'true', 'display_name': 's'}}
    answer = ask(cloud, 'POST', '/os-snapshots', body)
    check(SNAPSHOTS, 'POST', '/os-snapshots', answer.json)
    snapshot = answer.json['snapshot']
    assert (snapshot['size'], snapshot['volumeId'], snapshot['displayName']) == (2, volume, 's')
    assert ask(cloud, 'GET', f'/os-snapshots/{snapshot["id"]}').json['snapshot'] == snapshot
    for path in ('/os-snapshots', '/os-snapshots/detail'):
        listed = ask(cloud, 'GET', path)
        check(SNAPSHOTS, 'GET', path, listed.json)
        assert listed.json['snapshots'] == [snapshot]
    asked = {'size': 2, 'snapshot_id': snapshot['id']}
    made = ask(cloud, 'POST', '/os-volumes', {'volume': asked})
    assert made.json['volume']['snapshotId'] == snapshot['id']
    assert ask(cloud, 'DELETE', f'/os-snapshots/{snapshot["id"]}').status == 202
    assert ask(cloud, 'GET', f'/os-snapshots/{snapshot["id"]}').status == 404


@pytest.mark.parametrize('kind', ['volumes', 'snapshots'])
def test_lists_come_in_parts(cloud: Cloud, kind: str) -> None:
    for _ in range(3):
        cloud.cinder.add_snapshot(cloud.cinder.add_volume())
    whole = ask(cloud, 'GET', f'/os-{kind}').json[kind]
    assert len(whole) == 3
    assert ask(cloud, 'GET', f'/os-{kind}?limit=2').json[kind] == whole[:2]
    assert ask(cloud, 'GET', f'/os-{kind}/detail?offset=1&limit=1').json[kind] == whole[1:2]
    assert ask(cloud, 'GET', f'/os-{kind}?offset={"9" * 40}').json[kind] == []
    assert ask(cloud, 'GET', f'/os-{kind}?limit=-1').status == 400


def test_another_projects_are_not_there(cloud: Cloud) -> None:
    volume = cloud.cinder.add_volume(project='other')
    snapshot = cloud.cinder.add_snapshot(volume)
    for method in ('GET', 'DELETE'):
        for path in (f'/os-volumes/{volume}', f'/os-snapshots/{snapshot}'):
            assert ask(cloud, method, path).status == 404
    assert ask(cloud, 'GET', '/os-volumes').json == {'volumes': []}
    assert ask(cloud, 'GET', '/os-snapshots').json == {'snapshots': []}
    body = {'volume': {'size': 1, 'snapshot_id': snapshot}}
    assert ask(cloud, 'POST', '/os-volumes', body).status == 404
    body = {'snapshot': {'volume_id': volume, 'force': True}}
    assert ask(cloud, 'POST', '/os-snapshots', body).status == 400
    assert list(cloud.cinder.volumes) == [volume] and list(cloud.cinder.snapshots) == [snapshot]


@pytest.mark.parametrize('size', [0, -1, 'x', None, '', [], 1.5])
def test_a_bad_size(cloud: Cloud, size: Any) -> None:
    answer = ask(cloud, 'POST', '/os-volumes', {'volume': {'size': size}})
    assert answer.status == 400 and 'size' in answer.text
    assert not cloud.cinder.volumes


def test_what_cinder_refuses(cloud: Cloud) -> None:
    volume = cloud.cinder.add_volume(status='in-use')
    answer = ask(cloud, 'DELETE', f'/os-volumes/{volume}')
    assert answer.status == 400 and 'must be available' in answer.text
    cloud.cinder.quota = 1
    answer = ask(cloud, 'POST', '/os-volumes', {'volume': {'size': 1}})
    cloud.cinder.quota = 1000
    assert answer.status == 403 and 'Maximum number of volumes' in answer.text


def test_a_cinder_that_fails_is_said_to(cloud: Cloud) -> None:
    cloud.cinder.break_with(500)
    for path in ('/os-volumes', '/os-snapshots', f'/os-volumes/{NOBODY}'):
        assert ask(cloud, 'GET', path).status == 503


@pytest.mark.parametrize('path', ['/os-volumes', '/os-snapshots', f'/os-volumes/{NOBODY}'])
def test_they_end_with_2_35(cloud: Cloud, path: str) -> None:
    assert cloud.call('GET', path, version='2.36').status == 404


def test_servers_below_their_old_name(cloud: Cloud, flavor: str, image: str) -> None:
    body = {'server': {'name': 'old', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}}
    answer = cloud.call('POST', '/os-volumes_boot', body, version='2.102')
    assert answer.status == 202, answer.text
    uuid = answer.json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    path = f'/os-volumes_boot/{uuid}'
    assert cloud.get(path) == cloud.get(f'/servers/{uuid}')
    assert cloud.get('/os-volumes_boot/detail') == cloud.get('/servers/detail')
    assert cloud.call('GET', path, version='2.103').status == 404
    assert cloud.call('GET', path, token='x:other').status == 404
    stop, pause = ({'os-stop': None}, {'pause': None})
    assert cloud.call('POST', f'{path}/action', pause).status == 400
    assert cloud.call('POST', f'{path}/action', stop).status == 202
    cloud.wait_status(uuid, 'SHUTOFF')
    assert cloud.call('PUT', path, {'server': {'name': 'new'}}).json['server']['name'] == 'new'
    assert cloud.call('DELETE', path).status == 204
    cloud.wait_gone(uuid)
