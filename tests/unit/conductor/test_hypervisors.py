"""Compute nodes with their usage, and the scheduler's host table."""

import pytest

from kilonova.common import exception
from kilonova.db import engine, hosts
from kilonova.tests.unit.conductor.hosts_world import CTX


def test_usage_is_what_servers_take(hosts_world):
    hosts_world.add_host('h1', reserved_host_disk_mb=2048, reserved_host_cpus=1)
    hosts_world.add_host('h2')
    first = hosts_world.add_server('h1')
    hosts_world.add_server('h1', vm_state='building', task_state='spawning')
    hosts_world.add_server('h1', deleted=5)
    found = {h.node.host: h for h in hosts_world.hypervisors.list_hypervisors(CTX, True)}
    node = found['h1'].node
    assert (node.vcpus_used, node.memory_mb_used, node.local_gb_used) == (5, 2560, 24)
    assert (node.running_vms, node.current_workload) == (2, 1)
    assert (first, 'on-h1') in found['h1'].servers
    assert len(found['h1'].servers) == 2
    assert found['h2'].servers == []
    assert found['h2'].node.memory_mb_used == 512
    assert found['h1'].service.up
    assert hosts_world.hypervisors.list_hypervisors(CTX)[0].servers is None


def test_pages_and_patterns(hosts_world):
    nodes = [hosts_world.add_host(f'node_{n}', provider=False) for n in 'abc']

    def found(**query):
        listed = hosts_world.hypervisors.list_hypervisors(CTX, **query)
        return [h.node.host for h in listed]

    assert found() == ['node_a', 'node_b', 'node_c']
    assert found(limit=1, marker=nodes[0].uuid) == ['node_b']
    assert found(marker=str(nodes[1].id)) == ['node_c']
    assert found(hostname_pattern='e_b') == ['node_b']
    assert found(hostname_pattern='%') == []
    with pytest.raises(exception.MarkerNotFound):
        found(marker='x')


def test_show_by_uuid_or_number(hosts_world):
    node = hosts_world.add_host('h1')
    server = hosts_world.add_server('h1')
    for node_id in (node.uuid, str(node.id)):
        found = hosts_world.hypervisors.get_hypervisor(CTX, node_id, True)
        assert (found.node.host, found.servers) == ('h1', [(server, 'on-h1')])
    with pytest.raises(exception.ComputeHostNotFound):
        hosts_world.hypervisors.get_hypervisor(CTX, '99')


def test_uptime_is_asked_of_living_hosts_only(hosts_world):
    nodes = [hosts_world.add_host(name) for name in ('h1', 'h2')]
    ask = hosts_world.hypervisors
    assert ask.get_hypervisor_uptime(CTX, nodes[0].uuid).uptime == 'up of h1'
    [service] = hosts_world.services.list_services(CTX, host='h1')
    hosts_world.services.update_service(CTX, service.uuid, forced_down=True)
    with pytest.raises(exception.ComputeServiceUnavailable, match='h1'):
        ask.get_hypervisor_uptime(CTX, nodes[0].uuid)
    with pytest.raises(exception.ComputeHostNotFound):
        ask.get_hypervisor_uptime(CTX, '99')
    uptimes = [one.uptime for one in ask.list_hypervisors(CTX, with_uptime=True)]
    assert uptimes == [None, 'up of h2']
    assert ask.get_hypervisor(CTX, nodes[0].uuid, with_uptime=True).uptime is None
    assert ask.get_hypervisor(CTX, nodes[1].uuid).uptime is None


@pytest.mark.parametrize(
    'error',
    [exception.NotSupported(feature='x'), exception.ServiceUnavailable('no answer')],
    ids=str,
)
def test_a_host_that_does_not_say_its_uptime(hosts_world, error):
    node = hosts_world.add_host('h1')
    hosts_world.compute.error = error
    assert hosts_world.hypervisors.get_hypervisor(CTX, node.uuid, with_uptime=True).uptime is None
    with pytest.raises(type(error)):
        hosts_world.hypervisors.get_hypervisor_uptime(CTX, node.uuid)


def test_host_table(hosts_world):
    for name in ('h1', 'h2'):
        hosts_world.add_host(name)
    zone = hosts_world.aggregates.create_aggregate(CTX, 'one', 'zone1')
    ssd = hosts_world.aggregates.create_aggregate(CTX, 'two', None)
    hosts_world.aggregates.set_aggregate_metadata(CTX, ssd.id, {'ssd': 'true'})
    for aggregate in (zone, ssd):
        hosts_world.aggregates.add_aggregate_host(CTX, aggregate.id, 'h1')
    server = hosts_world.add_server('h1', vm_state='building', project_id='q')
    with hosts_world.cell_db.transaction() as session:
        hosts.note_builds(session, 'h2', failed=True)
    table = hosts_world.table.get_host_table(CTX)
    assert table.version == hosts_world.version()
    first, second = table.hosts
    assert [a.name for a in first.aggregates] == ['one', 'two']
    assert first.aggregates[1].metadata == {'ssd': 'true'}
    assert first.service.availability_zone == 'zone1'
    assert first.instances == {server: 'q'}
    assert (first.num_instances, first.num_io_ops, first.failed_builds) == (1, 1, 0)
    assert first.node.memory_mb_used == 512 + 1024
    assert (second.aggregates, second.num_instances, second.failed_builds) == ([], 0, 1)
    assert second.service.availability_zone == 'nova'
    assert second.service.up


def test_host_table_counts_image_properties_when_it_is_asked_to(hosts_world):
    hosts_world.add_host('h1')
    for distro in ('debian', 'debian', 'windows'):
        image = {'properties': {'os_distro': distro, 'os_require_quiesce': True, 'note': 'mine'}}
        hosts_world.add_server('h1', image=image)
    hosts_world.add_server('h1')
    assert hosts_world.table.get_host_table(CTX).hosts[0].image_properties == {}
    with engine.count_statements() as statements:
        [state] = hosts_world.table.get_host_table(CTX, image_properties=True).hosts
    assert len(statements) == 9
    assert state.image_properties == {
        'os_distro': {'debian': 2, 'windows': 1},
        'os_require_quiesce': {'True': 3},
    }
    assert state.cell_id == hosts_world.cell_id


def test_host_table_costs_eight_statements_whatever_its_size(hosts_world):
    counts = []
    aggregate = hosts_world.aggregates.create_aggregate(CTX, 'one', 'z')
    for number in range(12):
        name = f'h{number}'
        hosts_world.add_host(name, provider=False)
        hosts_world.aggregates.add_aggregate_host(CTX, aggregate.id, name)
        hosts_world.add_server(name)
        with engine.count_statements() as statements:
            assert len(hosts_world.table.get_host_table(CTX).hosts) == number + 1
        counts.append(len(statements))
    assert set(counts) == {8}, counts


def test_good_builds_forget_failed_ones(hosts_world):
    hosts_world.add_host('h1')
    for failed, expected in ((True, 1), (True, 2), (False, 0), (False, 0)):
        before = hosts_world.version()
        with hosts_world.cell_db.transaction() as session:
            hosts.note_builds(session, 'h1', failed)
        table = hosts_world.table.get_host_table(CTX)
        assert table.hosts[0].failed_builds == expected
    assert hosts_world.version() == before  # nothing was changed by the last one
