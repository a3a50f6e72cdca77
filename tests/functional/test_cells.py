"""Two cells: servers in both, one list of them, each operation in its server's cell."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.common.context import get_admin_context
from kilonova.conductor import interface
from kilonova.db import cells
from kilonova.db.models.api import HostMapping
from kilonova.tests.functional.cloud import Cloud

CLOUD = {'hosts': 2, 'cells': 2}
HOST = 'OS-EXT-SRV-ATTR:host'
FIRST, SECOND = ('controller-1', 'controller-2'), ('cell2-1', 'cell2-2')
MIXED = ('controller-1', 'cell2-1', 'controller-2', 'cell2-2')


@pytest.fixture(scope='module')
def servers(cloud: Cloud, flavor: str, image: str) -> Iterator[dict[str, str]]:
    """Servers by name, made one after the other: a, c in the first cell; b, d in the second."""
    made = {}
    for name, host in zip('abcd', MIXED, strict=True):
        zone = f'nova:{host}'
        body = {'name': name, 'flavorRef': flavor, 'imageRef': image, 'networks': 'none',
                'availability_zone': zone}  # fmt: skip
        answer = cloud.call('POST', '/servers', {'server': body}, token='admin:demo')
        assert answer.status == 202, answer.text
        made[name] = answer.json['server']['id']
        assert cloud.wait_status(made[name], 'ACTIVE')[HOST] == host
    yield made
    for uuid in made.values():
        assert cloud.admin('DELETE', f'/servers/{uuid}').status == 204
        cloud.wait_gone(uuid)
    assert cloud.placement.usages() == {}


def names(answer: Any) -> list[str]:
    return [server['name'] for server in answer['servers']]


def test_servers_of_both_cells_are_one_list(cloud: Cloud, servers: dict[str, str]) -> None:
    assert names(cloud.get('/servers')) == ['d', 'c', 'b', 'a']
    assert names(cloud.get('/servers/detail?sort_key=display_name&sort_dir=asc')) == list('abcd')
    seen: list[str] = []
    path = '/servers?limit=1&sort_key=display_name&sort_dir=asc'
    while path:
        page = cloud.get(path)
        seen += names(page)
        links = [link['href'] for link in page.get('servers_links', ())]
        path = '/servers?' + links[0].partition('?')[2] if links else ''
    assert seen == list('abcd')
    assert names(cloud.get(f'/servers?marker={servers["c"]}')) == ['b', 'a']
    assert names(cloud.get('/servers?name=^[ad]$')) == ['d', 'a']
    assert cloud.call('GET', '/servers?marker=' + '0' * 8 + servers['a'][8:]).status == 400
    assert cloud.get('/servers', token='mallory:evil')['servers'] == []


def test_lists_cost_the_same_for_each_cell(cloud: Cloud, servers: dict[str, str]) -> None:
    """However many servers there are; cell0, which is empty, costs one statement."""
    for path, most in (
        ('/servers', 4),
        ('/servers/detail', 12),
        ('/os-services', 5),
        ('/os-hypervisors/detail', 14),
    ):
        found = []
        for _ in range(4):  # the sweeps of three cells may come in between
            with cloud.counted() as counts:
                assert cloud.admin('GET', path, version='2.87').status == 200
            found.append(counts.sql)
            assert len(counts.rpc) == 1, counts.rpc
        assert min(map(len, found)) <= most, (path, found)


@pytest.mark.parametrize(
    'action, words',
    [('migrate', {}), ('os-migrateLive', {'block_migration': 'auto'}), ('evacuate', {})],
)
def test_a_host_of_another_cell_is_refused(
    cloud: Cloud, servers: dict[str, str], action: str, words: dict[str, Any]
) -> None:
    body = {action: {'host': SECOND[0], **words}}
    answer = cloud.admin('POST', f'/servers/{servers["a"]}/action', body)
    assert answer.status == 400, answer.text
    assert 'are not moved between cells' in answer.json['badRequest']['message']
    assert cloud.wait_status(servers['a'], 'ACTIVE')[HOST] == MIXED[0]


def test_hosts_of_both_cells(cloud: Cloud, servers: dict[str, str]) -> None:
    listed = cloud.get('/os-services?binary=nova-compute', token='admin:admin')['services']
    assert {one['host'] for one in listed[:2]} == set(FIRST)
    assert {one['host'] for one in listed[2:]} == set(SECOND)
    assert {one['state'] for one in listed} == {'up'}
    path = '/os-hypervisors/detail?with_servers=1'
    found = cloud.get(path, token='admin:admin')['hypervisors']
    there = {one['service']['host']: [s['name'] for s in one['servers']] for one in found}
    assert there == dict(zip((*FIRST, *SECOND), (['a'], ['c'], ['b'], ['d']), strict=True))
    assert {one['service']['host'] for one in found[:2]} == set(FIRST)
    page = cloud.get(f'/os-hypervisors?limit=2&marker={found[0]["id"]}', token='admin:admin')
    assert [one['id'] for one in page['hypervisors']] == [found[1]['id'], found[2]['id']]
    shown = cloud.get(f'/os-hypervisors/{found[3]["id"]}', token='admin:admin')['hypervisor']
    assert shown['service']['host'] in SECOND
    zones = cloud.get('/os-availability-zone/detail', token='admin:admin')
    nova = [one for one in zones['availabilityZoneInfo'] if one['zoneName'] == 'nova'][0]
    assert sorted(nova['hosts']) == [*SECOND, *FIRST]
    total = cloud.admin('GET', '/os-hypervisors/statistics', version='2.87').json
    sums = total['hypervisor_statistics']
    assert (sums['count'], sums['running_vms']) == (4, 4)


def test_a_mapping_that_was_deleted_is_made_again(cloud: Cloud) -> None:
    fleet = cloud.all.conductor.fleet
    with fleet.api_db.transaction() as session:
        session.execute(sa.delete(HostMapping).where(HostMapping.host == 'cell2-1'))
    conductor = interface.client(cloud.conf, cloud.transport)
    assert conductor.discover_hosts(get_admin_context()) == ['cell2-1']
    [cell] = [one for one in fleet.cells if one.name == 'cell2']
    with fleet.api_db.reader() as session:
        assert cells.host_mapping(session, 'cell2-1').cell_id == cell.id


def test_a_host_is_disabled_in_its_cell(cloud: Cloud, flavor: str, image: str) -> None:
    listed = cloud.get('/os-services?binary=nova-compute', token='admin:admin')['services']
    for service in listed:
        if service['host'] != 'cell2-2':
            path = f'/os-services/{service["id"]}'
            answer = cloud.admin('PUT', path, {'status': 'disabled'})
            assert answer.json['service']['status'] == 'disabled'
    uuid = cloud.boot(flavor, image)
    try:
        assert cloud.wait_status(uuid, 'ACTIVE')[HOST] == 'cell2-2'
        # A resize stays in the cell: its other host is disabled.
        assert cloud.admin('POST', f'/servers/{uuid}/action', {'migrate': None}).status == 202
        server = cloud.wait_status(uuid, 'ACTIVE', 'ERROR')
        assert server[HOST] == 'cell2-2'
    finally:
        for service in listed:
            cloud.admin('PUT', f'/os-services/{service["id"]}', {'status': 'enabled'})
    assert cloud.admin('POST', f'/servers/{uuid}/action', {'migrate': None}).status == 202
    assert cloud.wait_status(uuid, 'VERIFY_RESIZE')[HOST] == 'cell2-1'
    moves = cloud.get('/os-migrations', token='admin:admin', version='2.59')['migrations']
    assert moves[0]['dest_compute'] == 'cell2-1'
    other = cloud.admin('POST', f'/servers/{uuid}/action', {'confirmResize': None})
    assert other.status == 204
    cloud.wait_status(uuid, 'ACTIVE')
    to_other = {'migrate': {'host': 'controller-1'}}
    assert cloud.admin('POST', f'/servers/{uuid}/action', to_other).status == 400
    assert cloud.admin('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)


def test_who_finds_no_host_stays_in_cell0(cloud: Cloud, image: str) -> None:
    uuid = cloud.boot(cloud.flavor('huge', disk=9_000_000), image)
    server = cloud.wait_status(uuid, 'ERROR')
    assert server['fault']['code'] == 500
    cell = cloud.all.conductor.fleet.of_server(uuid)
    assert cell is not None and cell.name == 'cell0'
    assert uuid in {one['id'] for one in cloud.get('/servers')['servers']}
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [one['action'] for one in actions] == ['create']
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)


def test_usage_is_of_both_cells(cloud: Cloud, servers: dict[str, str]) -> None:
    usage = cloud.get('/os-simple-tenant-usage/demo', token='admin:admin', version='2.40')
    seen = [one['instance_id'] for one in usage['tenant_usage']['server_usages']]
    assert seen == sorted(seen) and set(servers.values()) <= set(seen)
    path = f'/os-simple-tenant-usage/demo?limit=1&marker={seen[0]}'
    page = cloud.get(path, token='admin:admin', version='2.40')['tenant_usage']
    assert [one['instance_id'] for one in page['server_usages']] == [seen[1]]
    limits = cloud.get('/limits')['limits']['absolute']
    assert limits['totalInstancesUsed'] == 4


def test_many_at_once_are_spread_over_the_cells(cloud: Cloud, flavor: str, image: str) -> None:
    body = {'name': 'many', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none',
            'min_count': 6, 'max_count': 6}  # fmt: skip
    assert cloud.call('POST', '/servers', {'server': body}).status == 202
    listed = cloud.get('/servers?name=many')['servers']
    assert len(listed) == 6
    hosts = {cloud.wait_status(one['id'], 'ACTIVE')[HOST] for one in listed}
    assert hosts & set(FIRST) and hosts & set(SECOND)
    for one in listed:
        assert cloud.call('DELETE', f'/servers/{one["id"]}').status == 204
        cloud.wait_gone(one['id'])


def test_aggregates_have_hosts_of_both_cells(cloud: Cloud, flavor: str, image: str) -> None:
    answer = cloud.admin('POST', '/os-aggregates', {'aggregate': {'name': 'mixed'}})
    assert answer.status == 200, answer.text
    made = answer.json['aggregate']
    path = f'/os-aggregates/{made["id"]}'
    for host in ('controller-1', 'cell2-1'):
        answer = cloud.admin('POST', f'{path}/action', {'add_host': {'host': host}})
        assert answer.status == 200, answer.text
    assert cloud.get(path, token='admin:admin')['aggregate']['hosts'] == ['controller-1', 'cell2-1']
    zoned = cloud.admin('POST', f'{path}/action', {'set_metadata': {'metadata': {'x': 'y'}}})
    assert zoned.status == 200
    for host in ('controller-1', 'cell2-1'):
        answer = cloud.admin('POST', f'{path}/action', {'remove_host': {'host': host}})
        assert answer.status == 200
    assert cloud.admin('DELETE', path).status == 200
    unknown = {'add_host': {'host': 'nowhere'}}
    assert cloud.admin('POST', f'{path}/action', unknown).status == 404


def test_a_group_is_kept_apart_over_cells(cloud: Cloud, flavor: str, image: str) -> None:
    group = {'server_group': {'name': 'apart', 'policy': 'anti-affinity'}}
    gid = cloud.call('POST', '/os-server-groups', group).json['server_group']['id']
    hints = {'os:scheduler_hints': {'group': gid}}
    uuids = []
    for name in ('1', '2', '3', '4'):
        body = {'server': {'name': name, 'flavorRef': flavor, 'imageRef': image,
                           'networks': 'none'}, **hints}  # fmt: skip
        uuids.append(cloud.call('POST', '/servers', body).json['server']['id'])
    hosts = {cloud.wait_status(uuid, 'ACTIVE')[HOST] for uuid in uuids}
    assert hosts == {*FIRST, *SECOND}
    members = cloud.get(f'/os-server-groups/{gid}')['server_group']['members']
    assert sorted(members) == sorted(uuids)
    for uuid in uuids:
        assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
        cloud.wait_gone(uuid)
    assert cloud.call('DELETE', f'/os-server-groups/{gid}').status == 204
