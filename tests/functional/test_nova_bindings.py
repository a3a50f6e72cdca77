"""The Python interface of novaclient, as scripts use it: managers, resources, paging, errors."""

from typing import Any

import pytest
from novaclient import exceptions

from kilonova.tests.functional.clients import Clients
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.moves import host_of
from kilonova.tests.functional.nova_shell import bindings

CLOUD = {'hosts': 2}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(scope='module')
def nova(clients: Clients) -> Any:
    return bindings(clients, 'demo')


@pytest.fixture(scope='module')
def boss(clients: Clients) -> Any:
    return bindings(clients, 'admin')


@pytest.fixture
def server(cloud: Cloud, nova: Any, flavor: str, image: str) -> Any:
    made = nova.servers.create('bound', image, flavor, nics='none', meta={'a': '1'}, tags=['t'])
    assert made.adminPass and made.status == 'BUILD'
    cloud.wait_status(made.id, 'ACTIVE')
    return nova.servers.get(made.id)


def test_a_resource(cloud: Cloud, nova: Any, server: Any) -> None:
    assert (server.name, server.status, server.metadata) == ('bound', 'ACTIVE', {'a': '1'})
    assert nova.servers.find(name='bound').id == server.id
    server.update(name='other')
    server.stop()
    cloud.wait_status(server.id, 'SHUTOFF')
    server.get()
    assert (server.name, server.status) == ('other', 'SHUTOFF')
    server.start()
    cloud.wait_status(server.id, 'ACTIVE')
    nova.servers.set_meta(server, {'b': '2'})
    nova.servers.delete_meta(server, ['a'])
    assert nova.servers.get(server.id).metadata == {'b': '2'}
    assert server.tag_list() == ['t']
    server.add_tag('u')
    assert sorted(server.tag_list()) == ['t', 'u']
    assert server.interface_list() == []
    assert server.get_console_output(length=5)


def test_paging(nova: Any, flavor: str, image: str) -> None:
    for number in range(5):
        nova.servers.create(f'n{number}', image, flavor, nics='none')
    assert len(nova.servers.list(limit=2)) == 2
    everything = nova.servers.list(limit=-1, sort_keys=['display_name'], sort_dirs=['asc'])
    assert [one.name for one in everything] == [f'n{number}' for number in range(5)]
    rest = nova.servers.list(marker=everything[2].id, sort_keys=['display_name'], sort_dirs=['asc'])
    assert [one.name for one in rest] == ['n3', 'n4']
    assert nova.servers.list(search_opts={'name': 'n4'})[0].name == 'n4'


def test_errors(nova: Any, boss: Any, flavor: str, image: str, server: Any) -> None:
    with pytest.raises(exceptions.NotFound) as missing:
        nova.servers.get('00000000-0000-4000-8000-000000000000')
    assert missing.value.request_id.startswith('req-')
    with pytest.raises(exceptions.BadRequest, match='Invalid input'):
        nova.servers.create('', image, flavor, nics='none')
    with pytest.raises(exceptions.Forbidden, match='Policy'):
        nova.services.list()
    with pytest.raises(exceptions.Conflict, match='vm_state active'):
        server.start()
    boss.quotas.update('demo', instances=1)
    with pytest.raises(exceptions.Forbidden, match='Quota exceeded for instances'):
        nova.servers.create('x', image, flavor, nics='none')
    boss.quotas.delete('demo')


def test_moves(cloud: Cloud, boss: Any, server: Any) -> None:
    source = host_of(cloud, server.id)
    boss.servers.live_migrate(server, None, 'auto')
    wait(lambda: host_of(cloud, server.id) != source, 'it has moved')
    cloud.wait_status(server.id, 'ACTIVE')
    boss.servers.migrate(server, host=source)
    cloud.wait_status(server.id, 'VERIFY_RESIZE')
    server.confirm_resize()
    cloud.wait_status(server.id, 'ACTIVE')
    found = boss.migrations.list(instance_uuid=server.id)
    assert {one.migration_type for one in found} == {'migration', 'live-migration'}
    assert boss.migrations.list(limit=1, instance_uuid=server.id)[0].id == found[0].id


def test_volumes(cloud: Cloud, nova: Any, server: Any) -> None:
    volume = cloud.cinder.add_volume()
    attached = nova.volumes.create_server_volume(server.id, volume, delete_on_termination=True)
    assert attached.volumeId == volume
    wait(lambda: cloud.cinder.status(volume) == 'in-use', 'it is attached')
    (listed,) = nova.volumes.get_server_volumes(server.id)
    assert listed.delete_on_termination is True and listed.bdm_uuid
    nova.volumes.delete_server_volume(server.id, volume)
    wait(lambda: nova.volumes.get_server_volumes(server.id) == [], 'it is detached')


def test_the_rest(cloud: Cloud, nova: Any, boss: Any, server: Any) -> None:
    assert nova.versions.get_current().id == 'v2.1'
    assert nova.limits.get().absolute
    assert {zone.zoneName for zone in nova.availability_zones.list(detailed=False)} == {'nova'}
    assert boss.hypervisors.list(detailed=True)[0].state == 'up'
    assert boss.hypervisors.search('controller', servers=True)[0].hypervisor_hostname
    assert boss.services.list(binary='nova-conductor')
    assert nova.instance_action.list(server)[-1].action == 'create'
    usage = boss.usage.get('demo', *_month())
    assert server.id in {one['instance_id'] for one in usage.server_usages}
    event = {'name': 'network-changed', 'server_uuid': server.id}
    (answer,) = boss.server_external_events.create([event])
    assert answer['code'] == 200
    group = nova.server_groups.create('g', 'affinity')
    assert nova.server_groups.get(group.id).policy == 'affinity'
    nova.server_groups.delete(group.id)


def _month() -> tuple[Any, Any]:
    import datetime

    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return now - datetime.timedelta(days=30), now + datetime.timedelta(days=1)
