"""The command ``openstack`` on servers: made, changed, put into every state, and deleted."""

from typing import Any

import pytest

from kilonova.tests.functional.clients import Failed, OpenStack
from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {'hosts': 2, 'extra': '[DEFAULT]\nreclaim_instance_interval = 0\n'}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(scope='module')
def network(cloud: Cloud) -> str:
    return cloud.neutron.add_network('private')


@pytest.fixture
def server(demo: OpenStack, flavor: str, image: str, network: str) -> str:
    return str(create(demo, flavor, image, '--network', 'private')['id'])


def create(osc: OpenStack, flavor: str, image: str, *words: object, name: str = 'walker') -> Any:
    return osc.show(
        'server create', '--flavor', flavor, '--image', image, *words, '--wait', name
    )  # fmt: skip


def status(osc: OpenStack, uuid: str) -> str:
    return str(osc.show('server show', uuid)['status'])


def test_create_with_everything(
    cloud: Cloud, demo: OpenStack, image: str, network: str, tmp_path: Any
) -> None:  # fmt: skip
    data = tmp_path / 'data'
    data.write_text('#!/bin/sh\n')
    flavor = cloud.flavor('roomy', **{'OS-FLV-EXT-DATA:ephemeral': 1, 'swap': 64})
    cloud.neutron.add_group('web', project='demo')
    demo.run('keypair create', 'mykey', '--private-key', tmp_path / 'key')
    demo.show('server group create', '--policy', 'soft-anti-affinity', 'apart')
    group = demo.show('server group show', 'apart')['id']
    made = create(
        demo, flavor, image, '--nic', f'net-id={network}', '--key-name', 'mykey',
        '--security-group', 'web', '--property', 'a=1', '--user-data', data, '--hint',
        f'group={group}', '--config-drive', 'true', '--tag', 'blue', '--description', 'text',
        '--hostname', 'walker', '--ephemeral', 'size=1', '--availability-zone', 'nova',
    )  # fmt: skip
    assert (made['status'], made['key_name'], made['properties']) == ('ACTIVE', 'mykey', {'a': '1'})
    assert made['addresses'].keys() == {'private'}
    assert (made['description'], made['tags'], made['server_groups']) == ('text', ['blue'], [group])
    assert made['config_drive'] == 'True' and made['OS-EXT-SRV-ATTR:hostname'] == 'walker'
    assert made['adminPass'] and made['security_groups']
    demo.run('server delete', '--wait', made['id'])
    demo.run('server group delete', 'apart')
    demo.run('keypair delete', 'mykey')


def test_two_at_once(demo: OpenStack, flavor: str, image: str) -> None:
    create(demo, flavor, image, '--nic', 'none', '--min', 2, '--max', 2, name='pair')
    listed = demo.show('server list', '--name', 'pair')
    assert {one['Name'] for one in listed} == {'pair-1', 'pair-2'}
    assert demo.show('server list', '--limit', 1) == listed[:1]
    assert demo.show('server list', '--marker', listed[0]['ID']) == listed[1:]
    assert demo.show('server list', '--max-items', 1) == listed[:1]
    demo.run('server delete', '--wait', 'pair-1', 'pair-2')
    assert demo.show('server list') == []


def test_list_and_show(
    cloud: Cloud, demo: OpenStack, admin: OpenStack, server: str, image: str, flavor: str
) -> None:
    (long,) = demo.show('server list', '--long')
    assert (long['ID'], long['Status'], long['Power State']) == (server, 'ACTIVE', 1)
    assert long['Image ID'] == image
    host = cloud.wait_status(server, 'ACTIVE')['OS-EXT-SRV-ATTR:host']
    ask = ('server list', '--all-projects')
    assert [one['ID'] for one in admin.show(*ask, '--host', host, '--project', 'demo')] == [server]
    for words in (
        ('--status', 'ERROR'), ('--deleted', '--name', 'walker-9'), ('--name', 'nobody'),
        ('--no-name-lookup', '--locked'),
        ('--changes-since', '2099-01-01T00:00:00Z'), ('--ip', '10.99'), ('--tags', 'none'),
    ):  # fmt: skip
        assert admin.show(*ask, *words) == [], words
    for fits in (('--flavor', flavor), ('--image', image), ('--user', 'demo'), ('-n',)):
        assert [one['ID'] for one in admin.show(*ask, *fits)] == [server], fits
    assert admin.show('server show', server)['OS-EXT-SRV-ATTR:host'] == host
    assert admin.show('server show', '--diagnostics', server)['uptime'] >= 0
    assert 'nodes' in admin.show('server show', '--topology', server)['topology']
    with pytest.raises(Failed, match='No server found for nobody|No Server found for nobody'):
        demo.run('server show', 'nobody')
    assert 'SSH to server' in demo.run('server ssh', '--help')


def test_set_and_unset(cloud: Cloud, demo: OpenStack, admin: OpenStack, server: str) -> None:
    demo.run(
        'server set', server, '--name', 'renamed', '--property', 'color=red', '--description',
        'words', '--tag', 'one', '--hostname', 'other',
    )  # fmt: skip
    shown = demo.show('server show', server)
    assert (shown['name'], shown['properties']) == ('renamed', {'color': 'red'})
    assert (shown['description'], shown['tags'], shown['OS-EXT-SRV-ATTR:hostname']) == (
        'words',
        ['one'],
        'other',
    )
    demo.run('server unset', server, '--property', 'color', '--description', '--tag', 'one')
    shown = demo.show('server show', server)
    assert (shown['properties'], shown['description'], shown['tags']) == ({}, None, [])
    demo.run('server set', server, '--password', 'secret1')
    cloud.wait_status(server, 'ACTIVE')
    admin.run('server set', server, '--state', 'error', '--auto-approve')
    assert status(demo, server) == 'ERROR'
    admin.run('server set', server, '--state', 'active', '--auto-approve')
    assert status(demo, server) == 'ACTIVE'


@pytest.mark.parametrize(
    ('there', 'state', 'back'),
    [
        ('server stop', 'SHUTOFF', 'server start'),
        ('server pause', 'PAUSED', 'server unpause'),
        ('server suspend', 'SUSPENDED', 'server resume'),
        ('server rescue', 'RESCUE', 'server unrescue'),
        ('server shelve', 'SHELVED_OFFLOADED', 'server unshelve'),
    ],
)
def test_there_and_back(
    cloud: Cloud, demo: OpenStack, server: str, there: str, state: str, back: str
) -> None:
    demo.run(there, server)
    cloud.wait_status(server, state)
    assert status(demo, server) == state
    demo.run(back, server)
    cloud.wait_status(server, 'ACTIVE')


def test_those_that_wait(cloud: Cloud, demo: OpenStack, admin: OpenStack, server: str) -> None:
    """With --wait and --offload the client watches the server itself."""
    demo.run('server reboot', '--wait', server)
    demo.run('server reboot', '--hard', '--wait', server)
    demo.run('server shelve', '--wait', server)
    admin.run('server unshelve', '--wait', '--no-availability-zone', server)
    assert status(demo, server) == 'ACTIVE'
    demo.run('server delete', '--wait', server)


def test_lock(demo: OpenStack, admin: OpenStack, server: str) -> None:
    admin.run('server lock', '--reason', 'mine', server)
    assert demo.show('server show', server)['locked'] is True
    assert demo.show('server show', server)['locked_reason'] == 'mine'
    with pytest.raises(Failed, match='is locked'):
        demo.run('server stop', server)
    assert [one['ID'] for one in demo.show('server list', '--locked')] == [server]
    admin.run('server unlock', server)
    assert demo.show('server list', '--locked') == []


def test_rebuild(cloud: Cloud, demo: OpenStack, server: str, tmp_path: Any) -> None:
    other = cloud.glance.add('other')
    data = tmp_path / 'data'
    data.write_text('x')
    rebuilt = demo.show(
        'server rebuild', '--image', 'other', '--name', 'new', '--property', 'p=1', '--user-data',
        data, '--description', 'd', '--wait', server,
    )  # fmt: skip
    assert rebuilt['name'] == 'new' and other in str(rebuilt['image'])
    assert status(demo, server) == 'ACTIVE'


def test_images_of_servers(cloud: Cloud, demo: OpenStack, server: str) -> None:
    image = demo.show(
        'server image create', '--name', 'shot', '--property', 'k=v', '--wait', server
    )
    assert (image['name'], cloud.glance.images[image['id']]['status']) == ('shot', 'active')
    cloud.wait_status(server, 'ACTIVE')
    backup = demo.show(
        'server backup create', '--name', 'b', '--type', 'daily', '--rotate', 1, '--wait', server
    )
    assert cloud.glance.images[backup['id']]['backup_type'] == 'daily'
    cloud.wait_status(server, 'ACTIVE')


def test_dump_and_events(cloud: Cloud, demo: OpenStack, admin: OpenStack, server: str) -> None:
    demo.run('server dump create', server)

    def dumped() -> Any:
        events = demo.show('server event list', '--long', server)
        return [e for e in events if e['Action'] == 'trigger_crash_dump'] and events

    events = wait(dumped, 'the dump is an event')
    assert [one['Action'] for one in events][-1] == 'create'
    (last,) = demo.show('server event list', '--limit', 1, server)
    event = admin.show('server event show', server, events[-1]['Request ID'])
    assert event['action'] == 'create' and event['events']
    assert last['Request ID'] != event['request_id']


def test_consoles(demo: OpenStack, admin: OpenStack, server: str) -> None:
    assert demo.run('console log show', server).strip()
    assert demo.run('console log show', '--lines', 1, server).count('\n') <= 2
    url = demo.show('console url show', '--novnc', server)
    assert url['protocol'] == 'vnc' and 'token' in url['url']
    token = url['url'].split('token%3D')[-1].split('token=')[-1]
    found = admin.show('console connection show', token)
    assert found['instance_uuid'] == server and found['port']


def test_restore(cloud: Cloud, demo: OpenStack, admin: OpenStack, server: str) -> None:
    cloud.conf.set_override('reclaim_instance_interval', 3600)
    try:
        demo.run('server delete', server)
        cloud.wait_status(server, 'SOFT_DELETED')
        admin.run('server restore', server)
        cloud.wait_status(server, 'ACTIVE')
    finally:
        cloud.conf.clear_override('reclaim_instance_interval')
    admin.run('server delete', '--force', '--wait', server)
