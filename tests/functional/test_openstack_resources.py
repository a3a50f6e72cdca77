"""The command ``openstack`` on everything but servers: flavors, keys, aggregates, hosts, quotas."""

from typing import Any

import pytest

from kilonova.tests.functional.clients import Failed, OpenStack
from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {'hosts': 2}
HOST = 'controller-1'


def test_flavors(demo: OpenStack, admin: OpenStack) -> None:
    made = admin.show(
        'flavor create', '--ram', 256, '--disk', 2, '--vcpus', 3, '--ephemeral', 1, '--swap', 64,
        '--private', '--project', 'demo', '--property', 'hw:cpu_policy=shared', '--id', 'f1',
        '--description', 'small', 'f1',
    )  # fmt: skip
    assert (made['id'], made['ram'], made['vcpus'], made['swap']) == ('f1', 256, 3, 64)
    assert made['properties'] == {'hw:cpu_policy': 'shared'}
    shown = admin.show('flavor show', 'f1')
    assert shown['access_project_ids'] == ['demo'] and shown['description'] == 'small'
    assert [one['ID'] for one in demo.show('flavor list', '--long')] == ['f1']
    admin.run(
        'flavor set', '--no-property', '--property', 'trait:CUSTOM_A=required', '--project', 'other',
        'f1',
    )  # fmt: skip
    admin.run('flavor set', '--description', 'other words', 'f1')
    admin.run('flavor unset', '--property', 'trait:CUSTOM_A', '--project', 'demo', 'f1')
    assert demo.show('flavor list') == []
    assert [one['Name'] for one in admin.show('flavor list', '--all')] == ['f1']
    assert admin.show('flavor list', '--public') == []
    assert admin.show('flavor list', '--min-ram', 512, '--all') == []
    admin.run('flavor delete', 'f1')
    with pytest.raises(Failed, match='No Flavor found for f1'):
        admin.run('flavor show', 'f1')


def test_keypairs(demo: OpenStack, admin: OpenStack, tmp_path: Any) -> None:
    private = tmp_path / 'private'
    made = demo.show('keypair create', '--private-key', private, 'one')
    assert made['name'] == 'one' and private.read_text().startswith('-----BEGIN')
    public = tmp_path / 'public'
    public.write_text(demo.run('keypair show', '--public-key', 'one'))
    assert demo.show('keypair create', '--public-key', public, '--type', 'ssh', 'two')
    assert {one['Name'] for one in demo.show('keypair list')} == {'one', 'two'}
    # In pages of one.
    assert len(demo.show('keypair list', '--limit', 1)) == 2
    assert [one['Name'] for one in demo.show('keypair list', '--marker', 'one')] == ['two']
    assert len(admin.show('keypair list', '--user', 'demo')) == 2
    assert demo.show('keypair show', 'two')['fingerprint'] == made['fingerprint']
    demo.run('keypair delete', 'one', 'two')
    assert demo.show('keypair list') == []


def test_aggregates(cloud: Cloud, admin: OpenStack, image: str) -> None:
    admin.run('aggregate create', '--zone', 'east', '--property', 'ssd=true', 'racks')
    added = admin.show('aggregate add host', 'racks', HOST)
    assert added['hosts'] == [HOST]
    admin.run('aggregate set', '--name', 'shelves', '--property', 'x=1', 'racks')
    shown = admin.show('aggregate show', 'shelves')
    assert shown['properties'] == {'ssd': 'true', 'x': '1'}
    assert shown['availability_zone'] == 'east'
    (listed,) = admin.show('aggregate list', '--long')
    assert listed['Name'] == 'shelves'
    zones = admin.show('availability zone list', '--compute', '--long')
    assert {'east', 'internal', 'nova'} == {one['Zone Name'] for one in zones}
    admin.run('aggregate unset', '--property', 'x', 'shelves')
    admin.run('aggregate set', '--zone', 'west', '--no-property', 'shelves')
    admin.run('aggregate cache image', 'shelves', image)
    admin.show('aggregate remove host', 'shelves', HOST)
    admin.run('aggregate delete', 'shelves')
    assert admin.show('aggregate list') == []


def test_services(cloud: Cloud, demo: OpenStack, admin: OpenStack) -> None:
    listed = admin.show('compute service list', '--service', 'nova-compute', '--long')
    assert {one['Host'] for one in listed} == {'controller-1', 'controller-2'}
    admin.run(
        'compute service set', '--disable', '--disable-reason', 'broken', HOST, 'nova-compute'
    )
    (one,) = admin.show('compute service list', '--host', HOST, '--long')
    assert (one['Status'], one['Disabled Reason']) == ('disabled', 'broken')
    admin.run('compute service set', '--enable', '--down', HOST, 'nova-compute')
    (one,) = admin.show('compute service list', '--host', HOST, '--long')
    assert (one['Status'], one['State'], one['Forced Down']) == ('enabled', 'down', True)
    admin.run('compute service set', '--up', HOST, 'nova-compute')
    old = admin.at('2.52').show('compute service list', '--host', HOST)
    assert isinstance(old[0]['ID'], int)
    with pytest.raises(Failed, match='1 of 1 compute services failed to delete'):
        admin.run('compute service delete', '00000000-0000-4000-8000-000000000000')
    with pytest.raises(Failed, match='Policy'):
        demo.run('compute service list')


def test_hypervisors_and_hosts(cloud: Cloud, demo: OpenStack, admin: OpenStack) -> None:
    listed = admin.show('hypervisor list', '--long')
    names = [one['Hypervisor Hostname'] for one in listed]
    assert sorted(names) == ['controller-1', 'controller-2']
    assert [one['State'] for one in listed] == ['up', 'up']
    shown = admin.show('hypervisor show', HOST)
    assert shown['hypervisor_hostname'] == HOST and shown['service_host'] == HOST
    assert len(admin.show('hypervisor list', '--matching', HOST)) == 1
    assert len(admin.show('hypervisor list', '--limit', 1)) == 2
    (rest,) = admin.show('hypervisor list', '--marker', listed[0]['ID'])
    assert rest['Hypervisor Hostname'] == names[1]
    old = admin.at('2.40')
    assert old.show('hypervisor stats show')['count'] == 2
    assert {one['Host Name'] for one in old.show('host list')} >= {HOST}
    assert old.show('host show', HOST)[0]['Host'] == HOST
    old.run('host set', '--disable', HOST)
    assert admin.show('compute service list', '--host', HOST)[0]['Status'] == 'disabled'
    old.run('host set', '--enable', HOST)


def test_server_groups(demo: OpenStack, admin: OpenStack) -> None:
    made = demo.show(
        'server group create', '--policy', 'anti-affinity', '--rule', 'max_server_per_host=3', 'g'
    )
    assert made['policy'] == 'anti-affinity' and made['rules'] == {'max_server_per_host': 3}
    assert demo.show('server group show', 'g')['id'] == made['id']
    assert len(demo.show('server group list', '--long')) == 1
    assert len(admin.show('server group list', '--all-projects')) == 1
    demo.run('server group delete', 'g')
    assert demo.show('server group list') == []


def test_quotas(demo: OpenStack, admin: OpenStack) -> None:
    admin.run(
        'quota set', '--instances', 7, '--cores', 8, '--ram', 9000, '--key-pairs', 6,
        '--server-groups', 5, '--server-group-members', 4, '--properties', 3, '--force', 'demo',
    )  # fmt: skip
    found = {one['Resource']: one for one in demo.show('quota show', '--compute')}
    limits = {name: found[name]['Limit'] for name in ('instances', 'cores', 'ram', 'key-pairs')}
    assert limits == {'instances': 7, 'cores': 8, 'ram': 9000, 'key-pairs': 6}
    used = {
        one['Resource']: one for one in admin.show('quota show', '--compute', '--usage', 'demo')
    }
    assert (used['instances']['Limit'], used['instances']['In Use']) == (7, 0)
    default = {
        one['Resource']: one['Limit'] for one in demo.show('quota show', '--compute', '--default')
    }
    assert default['instances'] == 10
    admin.run('quota set', '--class', '--instances', 11, 'default')
    (listed,) = admin.show('quota list', '--compute')
    assert listed['Instances'] == 7
    admin.run('quota delete', '--compute', 'demo')
    found = {one['Resource']: one for one in demo.show('quota show', '--compute')}
    assert found['instances']['Limit'] == 11
    admin.run('quota set', '--class', '--instances', 10, 'default')


def test_limits_and_usage(
    cloud: Cloud, demo: OpenStack, admin: OpenStack, flavor: str, image: str
) -> None:
    made = demo.show(
        'server create', '--flavor', flavor, '--image', image, '--nic', 'none', '--wait', 'user'
    )
    # Above 2.74 unknown words of a query are refused, and the client sends one.
    limits = demo.at('2.74').show('limits show', '--absolute')
    assert {one['Name']: one['Value'] for one in limits}['instances'] == 10
    assert demo.at('2.74').show('limits show', '--rate') == []
    (used,) = admin.show('usage list', '--start', '2026-01-01', '--end', '2099-01-01')
    # It asks for ``detailed=True``, which is none of the words that stand for it.
    assert (used['Project'], used['Servers']) == ('demo', None)
    assert used['CPU Hours'] >= 0
    shown = demo.show('usage show', '--start', '2026-01-01', '--end', '2099-01-01')
    assert made['id'] in {one['instance_id'] for one in shown['Servers']}
    demo.run('server delete', '--wait', made['id'])


def test_what_is_gone(admin: OpenStack) -> None:
    """The client still has commands for what Nova has removed; they end with its refusal."""
    old = admin.at('2.1')
    for command, words in (
        ('compute agent list', ()),
        ('compute agent create', ('linux', 'x86', '1', 'http://a', '0' * 32, 'kvm')),
        ('compute agent set', ('1', '--url', 'http://b')),
        ('compute agent delete', ('1',)),
    ):
        with pytest.raises(Failed, match='410|no longer available|failed to delete|Gone'):
            old.run(command, *words)


def test_versions(demo: OpenStack) -> None:
    (found,) = demo.show(
        'versions show', '--service', 'compute', '--interface', 'public', '--status', 'CURRENT'
    )
    assert (found['Min Microversion'], found['Max Microversion']) == ('2.1', '2.104')
    assert wait(lambda: demo.show('extension list', '--compute'), 'extensions')
