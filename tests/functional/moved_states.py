"""The states that examples of moves, consoles and shares presume."""

from collections.abc import Callable
from typing import Any

from kilonova.api.versions import Version
from kilonova.tests.functional.cloud import wait
from kilonova.tests.functional.states import Prepare, Ready, World

CONF = """
[spice]
enabled = true
spice_direct_proxy_base_url = http://127.0.0.1:13002/nova
[serial_console]
enabled = true
[mks]
enabled = true
"""


def _larger(world: World) -> str:
    """Return a flavor that servers can be resized to."""
    known = world.ask('GET', '/flavors')['flavors']
    found = [one['id'] for one in known if one['id'] == 'larger']
    return found[0] if found else world.cloud.flavor('larger', id='larger', ram=1024)


def _resizable(world: World, _asked: Version) -> Ready:
    return Ready({'server_id': world.server()}, {'flavorRef': _larger(world)})


def _resized(world: World, _asked: Version) -> Ready:
    uuid = world.server()
    path = f'/servers/{uuid}/action'
    world.ask('POST', path, {'resize': {'flavorRef': _larger(world)}})
    world.cloud.wait_status(uuid, 'VERIFY_RESIZE')
    return Ready({'server_id': uuid})


def _shelved(world: World, _asked: Version) -> Ready:
    """Shelved, and still on its host."""
    world.cloud.conf.set_override('shelved_offload_time', -1)
    world.after.append(lambda: world.cloud.conf.clear_override('shelved_offload_time'))
    uuid = world.server()
    world.ask('POST', f'/servers/{uuid}/action', {'shelve': None})
    world.cloud.wait_status(uuid, 'SHELVED')
    return Ready({'server_id': uuid})


def _movable(world: World, asked: Version) -> Ready:
    """A server that can be sent to the other host, with its disks."""
    uuid = world.server()
    host = world.ask('GET', f'/servers/{uuid}')['server']['OS-EXT-SRV-ATTR:host']
    services = world.ask('GET', '/os-services?binary=nova-compute')['services']
    other = next(one['host'] for one in services if one['host'] != host and one['state'] == 'up')
    words = {'host': other, 'block_migration': True if asked < (2, 25) else 'auto'}
    return Ready({'server_id': uuid}, words)


def _live_migrating(world: World, _asked: Version) -> Ready:
    # A host sends one at a time.
    world.tidy()
    conf = world.cloud.conf
    conf.set_override('live_migration_delay', 60, 'fake_driver')
    world.after.append(lambda: conf.clear_override('live_migration_delay', 'fake_driver'))
    uuid = world.server()
    body = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
    world.ask('POST', f'/servers/{uuid}/action', body)
    path = f'/servers/{uuid}/migrations'

    def running() -> Any:
        found = world.ask('GET', path)['migrations']
        return found if found and found[0]['status'] == 'running' else None

    (found,) = wait(running, f'{uuid} is migrating')
    return Ready({'server_id': uuid, 'migration_id': str(found['id'])})


def _migrations(world: World, asked: Version) -> Ready:
    """Two moves that are over; the newer one is the marker."""
    for _ in range(2):
        _resized(world, asked)
    found = world.ask('GET', '/os-migrations')['migrations']
    return Ready({'migration_uuid': found[0]['uuid']})


def _console(world: World, _asked: Version) -> Ready:
    return Ready()


def _share(world: World, _asked: Version) -> Ready:
    return Ready({'server_id': world.server('SHUTOFF')}, {'share_id': world.cloud.manila.add()})


def _share_attached(status: str) -> Callable[[World, Version], Ready]:
    def prepare(world: World, asked: Version) -> Ready:
        made = _share(world, asked)
        uuid, share = made.path['server_id'], made.words['share_id']
        path = f'/servers/{uuid}/shares'
        world.ask('POST', path, {'share': {'share_id': share, 'tag': 'data'}}, version='2.97')
        wait(
            lambda: (
                world.ask('GET', f'{path}/{share}', version='2.97')['share']['status'] == status
            ),
            f'{share} is {status}',
        )
        return Ready({'server_id': uuid, 'share_id': share})

    return prepare


PREPARE: dict[str, Prepare] = {
    'resizable': _resizable,
    'VERIFY_RESIZE': _resized,
    'SHELVED': _shelved,
    'movable': _movable,
    'live-migrating': _live_migrating,
    'migrations': _migrations,
    'console': _console,
    'share': _share,
    'share-attached': _share_attached('inactive'),
}
