"""The command ``nova`` on everything but servers."""

import contextlib
from typing import Any

import pytest
from novaclient import exceptions

from kilonova.tests.functional.clients import Clients
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.nova_shell import Nova

CLOUD = {'hosts': 2}
HOST = 'controller-1'


@pytest.fixture(scope='module')
def nova(clients: Clients) -> Nova:
    return Nova(clients, 'demo')


@pytest.fixture(scope='module')
def boss(clients: Clients) -> Nova:
    return Nova(clients, 'admin')


def test_flavors(nova: Nova, boss: Nova) -> None:
    boss.run('flavor-create', '--is-public', 'false', '--ephemeral', 1, 'f1', 'f1', 128, 1, 2)
    boss.run('flavor-update', 'f1', 'words')
    boss.run('flavor-key', 'f1', 'set', 'hw:cpu_policy=shared')
    shown = boss.show('flavor-show', 'f1')
    assert (shown['description'], shown['vcpus']) == ('words', '2')
    assert shown['extra_specs'] == '{"hw:cpu_policy": "shared"}'
    assert nova.rows('flavor-list') == []
    boss.run('flavor-access-add', 'f1', 'demo')
    (row,) = boss.rows('flavor-access-list', '--flavor', 'f1')
    assert (row['Flavor_ID'], row['Tenant_ID']) == ('f1', 'demo')
    assert [one['ID'] for one in nova.rows('flavor-list', '--extra-specs')] == ['f1']
    boss.run('flavor-access-remove', 'f1', 'demo')
    boss.run('flavor-key', 'f1', 'unset', 'hw:cpu_policy')
    assert boss.rows('flavor-list', '--all')[0]['Name'] == 'f1'
    boss.run('flavor-delete', 'f1')
    with pytest.raises(exceptions.CommandError, match='No flavor'):
        boss.run('flavor-show', 'f1')


def test_keypairs(nova: Nova, boss: Nova, tmp_path: Any) -> None:
    public = tmp_path / 'key.pub'
    public.write_text(
        'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIxsNeWlFSaW6FbJvN9YqFoCMZ6kGMRj3hKGwNLrFpzV x'
    )
    nova.at('2.91').run('keypair-add', '--pub-key', public, 'mine')
    (row,) = nova.rows('keypair-list')
    assert (row['Name'], row['Type']) == ('mine', 'ssh')
    assert boss.rows('keypair-list', '--user', 'demo')[0]['Name'] == 'mine'
    assert 'ssh-ed25519' in nova.run('keypair-show', 'mine')
    nova.run('keypair-delete', 'mine')
    assert nova.rows('keypair-list') == []


def test_aggregates(cloud: Cloud, boss: Nova, image: str) -> None:
    boss.run('aggregate-create', 'racks', 'east')
    boss.run('aggregate-add-host', 'racks', HOST)
    boss.run('aggregate-set-metadata', 'racks', 'ssd=true')
    boss.run('aggregate-update', '--name', 'shelves', 'racks')
    (row,) = boss.rows('aggregate-show', 'shelves')
    assert HOST in row['Hosts'] and 'ssd=true' in row['Metadata']
    zones = {row['Name'].lstrip('|- ') for row in boss.rows('availability-zone-list')}
    assert {'east', 'nova', HOST} <= zones
    boss.run('aggregate-cache-images', 'shelves', image)
    boss.run('aggregate-remove-host', 'shelves', HOST)
    assert len(boss.rows('aggregate-list')) == 1
    boss.run('aggregate-delete', 'shelves')
    assert boss.rows('aggregate-list') == []


def test_services_and_hypervisors(boss: Nova) -> None:
    (row,) = boss.rows('service-list', '--host', HOST)
    assert (row['Status'], row['State']) == ('enabled', 'up')
    boss.run('service-disable', '--reason', 'broken', row['Id'])
    (row,) = boss.rows('service-list', '--host', HOST)
    assert (row['Status'], row['Disabled Reason']) == ('disabled', 'broken')
    boss.run('service-enable', row['Id'])
    with pytest.raises(exceptions.NotFound):
        boss.run('service-delete', '00000000-0000-4000-8000-000000000000')
    old = boss.at('2.52')
    (row,) = old.rows('service-list', '--host', HOST)
    old.run('service-force-down', HOST)
    old.run('service-force-down', '--unset', HOST)
    old.run('service-disable', HOST)
    old.run('service-enable', HOST)
    rows = boss.rows('hypervisor-list')
    assert {row['Hypervisor hostname'] for row in rows} == {'controller-1', 'controller-2'}
    (row,) = boss.rows('hypervisor-list', '--matching', HOST)
    assert boss.show('hypervisor-show', row['ID'])['hypervisor_hostname'] == HOST
    assert boss.rows('hypervisor-servers', HOST) == []
    assert boss.at('2.87').show('hypervisor-uptime', row['ID'])['hypervisor_hostname'] == HOST
    assert boss.at('2.87').show('hypervisor-stats')['count'] == '2'


def test_groups(nova: Nova) -> None:
    nova.run('server-group-create', '--rule', 'max_server_per_host=2', 'g', 'anti-affinity')
    (row,) = nova.rows('server-group-list')
    assert (row['Name'], row['Policy']) == ('g', 'anti-affinity')
    (shown,) = nova.rows('server-group-get', row['Id'])
    assert shown['Rules'] == "{'max_server_per_host': 2}"
    nova.run('server-group-delete', row['Id'])
    old = nova.at('2.63')
    old.run('server-group-create', 'h', 'affinity')
    old.run('server-group-delete', old.rows('server-group-list')[0]['Id'])


def test_quotas_limits_and_usage(nova: Nova, boss: Nova) -> None:
    boss.run('quota-update', '--instances', 7, '--force', 'demo')
    quotas = {row['Quota']: row['Limit'] for row in nova.rows('quota-show', '--tenant', 'demo')}
    assert quotas['instances'] == '7'
    boss.run('quota-delete', '--tenant', 'demo')
    quotas = {row['Quota']: row['Limit'] for row in boss.rows('quota-defaults')}
    assert quotas['instances'] == '10'
    boss.run('quota-class-update', '--instances', 11, 'default')
    quotas = {row['Quota']: row['Limit'] for row in boss.rows('quota-class-show', 'default')}
    assert quotas['instances'] == '11'
    boss.run('quota-class-update', '--instances', 10, 'default')
    limits = {row['Name']: row.get('Max') for row in nova.rows('limits')}
    assert limits['Instances'] == '10'
    assert 'Usage from' in boss.run('usage-list')
    assert 'Usage from' in nova.run('usage')
    assert 'host' in boss.run('instance-usage-audit-log').lower()
    assert boss.rows('migration-list') == []


def test_versions_and_what_is_gone(nova: Nova, boss: Nova) -> None:
    listed = nova.rows('version-list')
    assert ('v2.1', '2.104') in {(row['Id'], row['Version']) for row in listed}
    old = boss.at('2.1')
    for command, words in (
        ('agent-list', ()),
        ('agent-create', ('linux', 'x86', '1', 'http://a', '0' * 32, 'kvm')),
        ('agent-modify', ('1', '2', 'http://b', '0' * 32)),
        ('agent-delete', ('1',)),
    ):
        with pytest.raises(exceptions.ClientException, match='410'):
            old.run(command, *words)
    with contextlib.suppress(SystemExit):
        assert 'usage' in nova.run('ssh', '--help')
