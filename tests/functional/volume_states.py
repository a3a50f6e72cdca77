"""The states that examples of volumes, their snapshots and their attachments presume."""

import urllib.parse

from kilonova.api.versions import Version
from kilonova.tests.functional.cloud import wait
from kilonova.tests.functional.states import Prepare, Ready, World


def _volume(world: World, _asked: Version) -> Ready:
    volume = world.cloud.cinder.add_volume()
    return Ready({'volume_id': volume}, {'volume_id': volume, 'availability_zone': 'nova'})


def _free_volume(world: World, _asked: Version) -> Ready:
    volume = world.cloud.cinder.add_volume()
    return Ready({'server_id': world.server()}, {'volumeId': volume, 'device': None})


def _attached(world: World, _asked: Version) -> Ready:
    made = _free_volume(world, _asked)
    uuid, volume = made.path['server_id'], made.words['volumeId']
    path = f'/servers/{uuid}/os-volume_attachments'
    world.ask('POST', path, {'volumeAttachment': {'volumeId': volume, 'tag': 'known'}})
    wait(lambda: world.cloud.cinder.status(volume) == 'in-use', f'{volume} is attached')

    def ended() -> bool:
        actions = f'/servers/{uuid}/os-instance-actions'
        newest = world.ask('GET', actions)['instanceActions'][0]['request_id']
        events = world.ask('GET', f'{actions}/{newest}')['instanceAction']['events']
        return all(event['finish_time'] for event in events)

    wait(ended, f'{volume} is attached')
    device = world.ask('GET', f'{path}/{volume}')['volumeAttachment']['device']
    words = {'volumeId': volume, 'id': volume, 'serverId': uuid, 'device': device, 'tag': 'known'}
    return Ready({'server_id': uuid, 'volume_id': volume}, words)


def _to_swap(world: World, asked: Version) -> Ready:
    made = _attached(world, asked)
    made.words['volumeId'] = world.cloud.cinder.add_volume()
    return made


def _snapshot(world: World, asked: Version) -> Ready:
    made = _volume(world, asked)
    return Ready({'snapshot_id': world.cloud.cinder.add_snapshot(made.path['volume_id'])})


def _assisted(world: World, asked: Version) -> Ready:
    """A snapshot that Cinder begins: the volume is in use, the snapshot is its."""
    made = _attached(world, asked)
    volume = made.path['volume_id']
    snapshot = world.cloud.cinder.add_snapshot(volume, status='creating')
    info = f'{{"volume_id": "{volume}"}}'
    path = {'snapshot_id': snapshot, 'delete_info': urllib.parse.quote(info)}
    return Ready(path, {'volume_id': volume, 'snapshot_id': snapshot, 'id': snapshot})


def _host_down(world: World, _asked: Version) -> Ready:
    """A server whose host is down, and the name of another host."""
    while world.after:
        world.after.pop()()
    uuid = world.server()
    host = world.ask('GET', f'/servers/{uuid}')['server']['OS-EXT-SRV-ATTR:host']
    services = world.ask('GET', '/os-services?binary=nova-compute')['services']
    (down,) = [one['id'] for one in services if one['host'] == host]
    other = next(one['host'] for one in services if one['host'] != host and one['state'] == 'up')
    path = f'/os-services/{down}'
    world.ask('PUT', path, {'forced_down': True})
    world.after.append(lambda: world.ask('PUT', path, {'forced_down': False}))
    return Ready({'server_id': uuid}, {'host': other})


PREPARE: dict[str, Prepare] = {
    'volume': _volume,
    'free-volume': _free_volume,
    'volume-attached': _attached,
    'volume-to-swap': _to_swap,
    'snapshot': _snapshot,
    'assisted': _assisted,
    'host-down': _host_down,
}
