"""The command ``nova`` on servers."""

from collections.abc import Iterator
from typing import Any

import pytest
from novaclient import exceptions

from kilonova.tests.functional.clients import Clients
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.moves import host_of
from kilonova.tests.functional.nova_shell import Nova

CLOUD = {'hosts': 2}
pytestmark = pytest.mark.usefixtures('clean')
HOSTS = {'controller-1', 'controller-2'}


@pytest.fixture(scope='module')
def nova(clients: Clients) -> Nova:
    return Nova(clients, 'demo')


@pytest.fixture(scope='module')
def boss(clients: Clients) -> Nova:
    return Nova(clients, 'admin')


@pytest.fixture(scope='module')
def network(cloud: Cloud) -> str:
    return cloud.neutron.add_network('private')


@pytest.fixture
def server(cloud: Cloud, nova: Nova, flavor: str, image: str, network: str) -> str:
    booted = nova.show(
        'boot', '--flavor', flavor, '--image', image, '--nic', 'net-name=private', '--meta', 'a=1',
        '--tags', 'blue', 'walker',
    )  # fmt: skip
    assert booted['adminPass']
    cloud.wait_status(booted['id'], 'ACTIVE')
    return booted['id']


def other(cloud: Cloud, server: str) -> str:
    (found,) = HOSTS - {host_of(cloud, server)}
    return found


def test_show_and_list(cloud: Cloud, nova: Nova, boss: Nova, server: str) -> None:
    (row,) = nova.rows('list')
    assert (row['ID'], row['Status'], row['Power State']) == (server, 'ACTIVE', 'Running')
    assert row['Networks'].startswith('private=')
    assert boss.rows('list') == []
    (row,) = boss.rows('list', '--all-tenants', '--host', host_of(cloud, server))
    assert row['Tenant ID'] == 'demo'
    assert nova.rows('list', '--limit', 1, '--sort', 'display_name:asc') != []
    assert nova.rows('list', '--status', 'ERROR') == []
    shown = nova.show('show', 'walker')
    assert (shown['id'], shown['metadata'], shown['tags']) == (server, '{"a": "1"}', '["blue"]')
    nova.run('update', '--name', 'runner', '--description', 'words', server)
    nova.run('meta', server, 'set', 'b=2')
    nova.run('meta', server, 'delete', 'a')
    shown = nova.show('show', server)
    assert (shown['name'], shown['metadata']) == ('runner', '{"b": "2"}')
    assert nova.run('console-log', '--length', 2, server).strip()
    assert boss.show('diagnostics', server)['state'] == 'running'
    assert 'nodes' in boss.run('server-topology', server)
    assert '--login' in nova.run('help', 'ssh')


def test_tags(nova: Nova, server: str) -> None:
    nova.run('server-tag-add', server, 'one', 'two')
    assert {row['Tag'] for row in nova.rows('server-tag-list', server)} == {'blue', 'one', 'two'}
    nova.run('server-tag-delete', server, 'one')
    nova.run('server-tag-set', server, 'red')
    assert [row['Tag'] for row in nova.rows('server-tag-list', server)] == ['red']
    nova.run('server-tag-delete-all', server)
    assert nova.rows('server-tag-list', server) == []


@pytest.mark.parametrize(
    ('there', 'state', 'back'),
    [
        ('stop', 'SHUTOFF', 'start'),
        ('pause', 'PAUSED', 'unpause'),
        ('suspend', 'SUSPENDED', 'resume'),
        ('rescue', 'RESCUE', 'unrescue'),
        ('shelve', 'SHELVED_OFFLOADED', 'unshelve'),
    ],
)
def test_there_and_back(
    cloud: Cloud, nova: Nova, server: str, there: str, state: str, back: str
) -> None:
    nova.run(there, server)
    cloud.wait_status(server, state)
    assert nova.show('show', server)['status'] == state
    nova.run(back, server)
    cloud.wait_status(server, 'ACTIVE')


def test_what_stays_active(cloud: Cloud, nova: Nova, boss: Nova, server: str, image: str) -> None:
    nova.run('reboot', '--poll', server)
    nova.run('reboot', '--hard', '--poll', server)
    boss.run('lock', '--reason', 'mine', server)
    assert nova.show('show', server)['locked_reason'] == 'mine'
    boss.run('unlock', server)
    nova.run('set-password', server, typed='secret1')
    cloud.wait_status(server, 'ACTIVE')
    nova.run('trigger-crash-dump', server)
    nova.run('rebuild', '--poll', server, image)
    cloud.wait_status(server, 'ACTIVE')
    boss.run('reset-state', server)
    assert nova.show('show', server)['status'] == 'ERROR'
    boss.run('reset-state', '--active', server)
    with pytest.raises(exceptions.ClientException, match='410'):
        boss.run('reset-network', server)
    boss.run('refresh-network', server)
    cloud.wait_status(server, 'ACTIVE')
    nova.run('get-password', server)
    nova.run('clear-password', server)
    actions = {row['Action']: row for row in nova.rows('instance-action-list', server)}
    assert {'create', 'reboot', 'lock', 'rebuild'} <= actions.keys()
    request = actions['create']['Request_ID']
    assert nova.show('instance-action', server, request)['action'] == 'create'


def test_images(cloud: Cloud, nova: Nova, boss: Nova, server: str) -> None:
    nova.run('image-create', '--poll', server, 'shot')
    cloud.wait_status(server, 'ACTIVE')
    nova.run('backup', server, 'weekly', 'weekly', 1)
    cloud.wait_status(server, 'ACTIVE')
    names = {one['name'] for one in cloud.glance.images.values()}
    assert {'shot', 'weekly'} <= names
    cloud.conf.set_override('shelved_offload_time', -1)
    try:
        nova.run('shelve', server)
        cloud.wait_status(server, 'SHELVED')
        boss.run('shelve-offload', server)
        cloud.wait_status(server, 'SHELVED_OFFLOADED')
    finally:
        cloud.conf.clear_override('shelved_offload_time')


def test_resize(cloud: Cloud, nova: Nova, boss: Nova, server: str) -> None:
    cloud.flavor('large', vcpus=2)
    nova.run('resize', '--poll', server, 'large')
    nova.run('resize-revert', server)
    cloud.wait_status(server, 'ACTIVE')
    boss.run('migrate', '--poll', server)
    nova.run('resize-confirm', server)
    cloud.wait_status(server, 'ACTIVE')
    assert [row['Status'] for row in boss.rows('migration-list', '--instance-uuid', server)] == [
        'confirmed', 'reverted'
    ]  # fmt: skip


@pytest.fixture
def slow(cloud: Cloud) -> Iterator[None]:
    cloud.conf.set_override('live_migration_delay', 60, 'fake_driver')
    yield
    cloud.conf.clear_override('live_migration_delay', 'fake_driver')


@pytest.mark.parametrize('how', ['abort', 'force-complete'])
def test_live_migration(cloud: Cloud, boss: Nova, server: str, slow: None, how: str) -> None:
    source = host_of(cloud, server)
    boss.run('live-migration', server, other(cloud, server))

    def running() -> Any:
        return [r for r in boss.rows('server-migration-list', server) if r['Status'] == 'running']

    (found,) = wait(running, 'it runs')
    assert boss.show('server-migration-show', server, found['Id'])['status'] == 'running'
    if how == 'abort':
        boss.run('live-migration-abort', server, found['Id'])
    else:
        boss.run('live-migration-force-complete', server, found['Id'])
    cloud.wait_status(server, 'ACTIVE')
    assert (host_of(cloud, server) == source) == (how == 'abort')


def test_whole_hosts(cloud: Cloud, nova: Nova, boss: Nova, server: str) -> None:
    source = host_of(cloud, server)
    assert boss.rows('hypervisor-servers', source)[0]['ID'] == server
    boss.run('host-meta', source, 'set', 'moved=1')
    assert '"moved": "1"' in nova.show('show', server)['metadata']
    (row,) = boss.rows('host-evacuate-live', source)
    assert row['Live Migration Accepted'] == 'True'
    cloud.wait_status(server, 'ACTIVE')
    source = host_of(cloud, server)
    (row,) = boss.rows('host-servers-migrate', source)
    assert row['Migration Accepted'] == 'True'
    cloud.wait_status(server, 'VERIFY_RESIZE')
    nova.run('resize-confirm', server)
    cloud.wait_status(server, 'ACTIVE')
    for command, words in (('evacuate', (server,)), ('host-evacuate', ())):
        source = host_of(cloud, server)
        (service,) = boss.rows('service-list', '--host', source, '--binary', 'nova-compute')
        boss.run('service-force-down', service['Id'])
        boss.run(command, *(words or (source,)))
        # Since 2.95 it does not start there by itself.
        cloud.wait_status(server, 'SHUTOFF')
        boss.run('service-force-down', '--unset', service['Id'])
        assert host_of(cloud, server) != source, command


def test_devices(cloud: Cloud, nova: Nova, boss: Nova, server: str, network: str) -> None:
    volume, new = cloud.cinder.add_volume(), cloud.cinder.add_volume()
    nova.run('volume-attach', server, volume)
    wait(lambda: cloud.cinder.status(volume) == 'in-use', 'it is attached')
    assert [r['VOLUME ID'] for r in nova.rows('volume-attachments', server)] == [volume]
    boss.run('volume-update', server, volume, new)
    wait(lambda: cloud.cinder.status(new) == 'in-use', 'it is swapped')
    (held,) = nova.rows('volume-attachments', server)
    nova.run('volume-detach', server, held['VOLUME ID'])
    wait(lambda: nova.rows('volume-attachments', server) == [], 'it is detached')
    (row,) = nova.rows('interface-list', server)
    assert row['Net ID'] == network and row['Port State'] == 'ACTIVE'
    nova.run('interface-attach', '--net-id', network, '--tag', 'x', server)
    rows = nova.rows('interface-list', server)
    assert len(rows) == 2
    nova.run('interface-detach', server, rows[-1]['Port ID'])
    wait(lambda: len(nova.rows('interface-list', server)) == 1, 'it is detached')
    cloud.neutron.add_group('web')
    nova.run('add-secgroup', server, 'web')
    assert 'web' in {row['Name'] for row in nova.rows('list-secgroup', server)}
    nova.run('remove-secgroup', server, 'web')


def test_consoles(nova: Nova, server: str) -> None:
    (row,) = nova.rows('get-vnc-console', server, 'novnc')
    assert row['Type'] == 'novnc' and 'token' in row['Url']
    for command, words in (
        ('get-spice-console', (server, 'spice-html5')),
        ('get-rdp-console', (server, 'rdp-html5')),
        ('get-serial-console', (server,)),
        ('get-mks-console', (server,)),
    ):
        try:
            (row,) = nova.at('2.82').rows(command, *words)
            assert 'token' in row['Url'], command
        except exceptions.BadRequest as error:
            assert 'console type' in str(error).lower() or 'unavailable' in str(error).lower()


def test_ends(cloud: Cloud, nova: Nova, boss: Nova, server: str) -> None:
    cloud.conf.set_override('reclaim_instance_interval', 3600)
    try:
        nova.run('delete', server)
        cloud.wait_status(server, 'SOFT_DELETED')
        boss.run('restore', server)
        cloud.wait_status(server, 'ACTIVE')
        nova.run('force-delete', server)
        cloud.wait_gone(server)
    finally:
        cloud.conf.clear_override('reclaim_instance_interval')
