"""Records and heartbeats of daemons."""

import datetime
import threading

import pytest
import sqlalchemy as sa

from kilonova.common import exception
from kilonova.common.clients import placement as placement_client
from kilonova.conductor.host_discovery import HostDiscovery
from kilonova.conductor.services import Heartbeats
from kilonova.db import cells, engine
from kilonova.db.models.api import HostMapping
from kilonova.db.models.cell import ComputeNodeRow, ServiceRow
from kilonova.db.types import utcnow
from kilonova.tests.unit.conductor.hosts_world import CTX, make_node


def test_a_compute_host_registers_and_is_mapped(hosts_world):
    before = hosts_world.version()
    made = hosts_world.services.service_started(CTX, 'h1', 'nova-compute', 'compute', 7)
    assert (made.host, made.version, made.up, made.availability_zone) == ('h1', 7, True, 'nova')
    assert hosts_world.started == ['h1']
    with hosts_world.api_db.reader() as session:
        assert cells.host_mapping(session, 'h1').cell_id == hosts_world.cell_id
    again = hosts_world.services.service_started(CTX, 'h1', 'nova-compute', 'compute', 8)
    assert (again.id, again.uuid, again.version) == (made.id, made.uuid, 8)
    assert hosts_world.version() == before + 2


def test_other_daemons_are_not_mapped_and_internal(hosts_world):
    made = hosts_world.services.service_started(CTX, 'c', 'nova-conductor', 'conductor', 7)
    assert made.availability_zone == 'internal'
    assert hosts_world.started == []
    with hosts_world.api_db.reader() as session, pytest.raises(exception.HostMappingNotFound):
        cells.host_mapping(session, 'c')


def test_hosts_whose_mapping_was_deleted_are_found(hosts_world):
    for host in ('h1', 'h2'):
        hosts_world.services.service_started(CTX, host, 'nova-compute', 'compute', 7)
    hosts_world.services.service_started(CTX, 'c', 'nova-conductor', 'conductor', 7)
    with hosts_world.api_db.transaction() as session:
        session.execute(sa.delete(HostMapping).where(HostMapping.host == 'h2'))
    discovery = HostDiscovery(hosts_world.api_db, hosts_world.cell_db, hosts_world.cell_id)
    assert [discovery.discover_hosts(CTX) for _ in range(2)] == [['h2'], []]
    with hosts_world.api_db.reader() as session:
        assert cells.host_mapping(session, 'h2').cell_id == hosts_world.cell_id


def test_several_workers_make_one_record(hosts_world):
    found = []

    def start():
        found.append(
            hosts_world.services.service_started(CTX, 'c', 'nova-conductor', 'conductor', 7).uuid
        )

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 5
    assert len(set(found)) == 1


def test_new_hosts_can_start_disabled(hosts_world):
    hosts_world.conf.set_override('enable_new_services', False)
    made = hosts_world.services.service_started(CTX, 'h1', 'nova-compute', 'compute', 7)
    assert made.disabled
    assert 'config option' in made.disabled_reason
    other = hosts_world.services.service_started(CTX, 'h1', 'nova-scheduler', 'scheduler', 7)
    assert not other.disabled


def test_list_filters(hosts_world):
    for host, binary in (('a', 'nova-compute'), ('b', 'nova-compute'), ('a', 'nova-scheduler')):
        hosts_world.services.service_started(CTX, host, binary, 'topic', 1)
    hosts_world.services.update_service(
        CTX, str(hosts_world.services.list_services(CTX, host='b')[0].id), disabled=True
    )

    def found(**query):
        return [(s.host, s.binary) for s in hosts_world.services.list_services(CTX, **query)]

    assert len(found()) == 3
    assert found(host='a', binary='nova-compute') == [('a', 'nova-compute')]
    assert found(disabled=True) == [('b', 'nova-compute')]
    assert len(found(disabled=False)) == 2


def test_disable_tells_the_host(hosts_world):
    service = hosts_world.services.service_started(CTX, 'h1', 'nova-compute', 'compute', 7)
    before = hosts_world.version()
    changed = hosts_world.services.update_service(
        CTX, service.uuid, disabled=True, disabled_reason='broken fan'
    )
    assert (changed.disabled, changed.disabled_reason) == (True, 'broken fan')
    assert hosts_world.compute.told == [('h1', False)]
    assert hosts_world.version() == before + 1
    hosts_world.compute.error = exception.ServiceUnavailable()
    changed = hosts_world.services.update_service(CTX, str(service.id), disabled=False)
    assert (changed.disabled, changed.disabled_reason) == (False, None)
    assert hosts_world.compute.told[-1] == ('h1', True)


def test_forced_down_is_down_and_not_asked(hosts_world):
    service = hosts_world.services.service_started(CTX, 'h1', 'nova-compute', 'compute', 7)
    assert not hosts_world.services.update_service(CTX, service.uuid, forced_down=True).up
    hosts_world.services.update_service(CTX, service.uuid, disabled=True)
    assert hosts_world.compute.told == []
    assert hosts_world.services.update_service(CTX, service.uuid, forced_down=False).up


@pytest.mark.parametrize('service_id', ['99', 'x', '1' * 40, '٣', ''])
def test_unknown_services(hosts_world, service_id):
    with pytest.raises(exception.ServiceNotFound):
        hosts_world.services.get_service(CTX, service_id)


def test_heartbeats_are_written_together(hosts_world):
    for number in range(30):
        hosts_world.services.service_started(CTX, f'h{number}', 'nova-compute', 'compute', 7)
    long_ago = utcnow() - datetime.timedelta(seconds=1000)
    with hosts_world.cell_db.transaction() as session:
        session.execute(sa.update(ServiceRow).values(last_seen_up=long_ago))
    assert not any(s.up for s in hosts_world.services.list_services(CTX))
    prolonged = []
    heartbeats = Heartbeats(hosts_world.cell_db, lambda host, ids: prolonged.append((host, ids)))
    for number in range(30):
        heartbeats.report_state(CTX, f'h{number}', 'nova-compute', ['op'] if number == 3 else [])
        heartbeats.report_state(CTX, f'h{number}', 'nova-compute', [])
    heartbeats.report_state(CTX, 'unknown', 'nova-compute', [])
    assert prolonged == [('h3', ['op'])]
    with engine.count_statements() as statements:
        heartbeats.flush()
        heartbeats.flush()
    assert len(statements) == 1, statements
    assert all(s.up for s in hosts_world.services.list_services(CTX))
    with hosts_world.cell_db.reader() as session:
        assert set(session.scalars(sa.select(ServiceRow.report_count))) == {1}


def test_heartbeats_are_kept_while_the_database_is_away(hosts_world, monkeypatch):
    hosts_world.services.service_started(CTX, 'h1', 'nova-compute', 'compute', 7)
    heartbeats = Heartbeats(hosts_world.cell_db)
    heartbeats.report_state(CTX, 'h1', 'nova-compute', [])

    def fail(reports):
        raise RuntimeError('away')

    with monkeypatch.context() as patch:
        patch.setattr(heartbeats, '_write', fail)
        with pytest.raises(RuntimeError):
            heartbeats.flush()
    heartbeats.INTERVAL = 0.01
    heartbeats.start()
    heartbeats.stop()
    with hosts_world.cell_db.reader() as session:
        assert session.scalars(sa.select(ServiceRow.report_count)).one() == 1


def test_delete_removes_all_traces(hosts_world):
    node = hosts_world.add_host('h1')
    child = '11111111-2222-3333-4444-555555555555'
    hosts_world.placement.ensure_provider(child, 'h1_numa0', parent=node.uuid)
    aggregate = hosts_world.aggregates.create_aggregate(CTX, 'a', 'z')
    hosts_world.aggregates.add_aggregate_host(CTX, aggregate.id, 'h1')
    service = hosts_world.services.list_services(CTX)[0]
    hosts_world.services.delete_service(CTX, service.uuid)
    assert hosts_world.services.list_services(CTX) == []
    assert hosts_world.aggregates.get_aggregate(CTX, aggregate.id).hosts == []
    for provider in (node.uuid, child):
        with pytest.raises(placement_client.ProviderNotFound):
            hosts_world.placement.get_provider(provider)
    with hosts_world.cell_db.reader() as session:
        assert session.scalars(sa.select(ComputeNodeRow)).all() == []
    with hosts_world.api_db.reader() as session, pytest.raises(exception.HostMappingNotFound):
        cells.host_mapping(session, 'h1')


def test_a_host_with_servers_is_not_deleted(hosts_world):
    node = hosts_world.add_host('h1')
    hosts_world.add_server('h1')
    service = hosts_world.services.list_services(CTX)[0]
    with pytest.raises(exception.Conflict, match='hosting instances'):
        hosts_world.services.delete_service(CTX, service.uuid)
    assert hosts_world.placement.get_provider(node.uuid).name == 'h1'
    assert len(hosts_world.services.list_services(CTX)) == 1


def test_a_host_with_allocations_is_not_deleted(hosts_world):
    node = hosts_world.add_host('h1')
    hosts_world.placement.set_inventories(node.uuid, {'VCPU': {'total': 8}})
    consumer = '99999999-2222-3333-4444-555555555555'
    hosts_world.placement.claim(consumer, {node.uuid: {'resources': {'VCPU': 1}}}, 'p', 'u')
    service = hosts_world.services.list_services(CTX)[0]
    with pytest.raises(exception.Conflict, match='still in use') as caught:
        hosts_world.services.delete_service(CTX, service.uuid)
    assert type(caught.value) is exception.Conflict  # it has to cross RPC
    assert len(hosts_world.services.list_services(CTX)) == 1
    hosts_world.placement.delete_allocations(consumer)
    hosts_world.services.delete_service(CTX, service.uuid)
    assert hosts_world.services.list_services(CTX) == []


def test_placement_that_does_not_answer_stops_a_deletion(hosts_world, placement_fixture):
    hosts_world.add_host('h1')
    service = hosts_world.services.list_services(CTX)[0]
    placement_fixture.intercept = lambda method, path: (503, 'x', 'y')
    with pytest.raises(exception.FellowServiceError):
        hosts_world.services.delete_service(CTX, service.uuid)
    placement_fixture.intercept = None
    hosts_world.services.delete_service(CTX, service.uuid)


def test_node_records(hosts_world):
    made = hosts_world.add_host('h1')
    before = hosts_world.version()
    hosts_world.services.update_compute_node(CTX, make_node('h1'))
    assert hosts_world.version() == before  # nothing new
    changed = hosts_world.services.update_compute_node(CTX, make_node('h1', memory_mb=1))
    assert (changed.id, changed.memory_mb, changed.cpu_info) == (made.id, 1, {'arch': 'x86_64'})
    assert hosts_world.version() == before + 1
    adopted = hosts_world.services.update_compute_node(
        CTX, make_node('h1', uuid='aaaaaaaa-2222-3333-4444-555555555555')
    )
    assert (adopted.id, adopted.uuid[:4]) == (made.id, 'aaaa')
    assert adopted.supported_instances == [('x86_64', 'kvm', 'hvm')]


def test_a_host_without_its_hypervisor_is_disabled_and_returns_by_itself(hosts_world):
    services = hosts_world.services
    services.service_started(CTX, 'h1', 'nova-compute', 'compute', 7)
    before = hosts_world.version()
    gone = services.hypervisor_health(CTX, 'h1', 'no socket')
    assert (gone.disabled, gone.disabled_reason) == (True, 'AUTO: no socket')
    assert services.hypervisor_health(CTX, 'h1', 'still no socket').disabled_reason == (
        'AUTO: no socket'
    )
    back = services.hypervisor_health(CTX, 'h1', None)
    assert (back.disabled, back.disabled_reason) == (False, None)
    assert hosts_world.version() == before + 2  # schedulers hear of both


def test_what_an_operator_has_disabled_stays_so(hosts_world):
    services = hosts_world.services
    made = services.service_started(CTX, 'h1', 'nova-compute', 'compute', 7)
    services.update_service(CTX, made.uuid, disabled=True, disabled_reason='new disks')
    assert services.hypervisor_health(CTX, 'h1', 'no socket').disabled_reason == 'new disks'
    assert services.hypervisor_health(CTX, 'h1', None).disabled
    with pytest.raises(exception.ComputeHostNotFound):
        services.hypervisor_health(CTX, 'nowhere', None)


def test_ten_thousand_hosts_cost_a_few_statements_a_second(hosts_world):
    """Each host reports every ten seconds, so that a thousand do in each."""
    beats = Heartbeats(hosts_world.cell_db)
    statements = []

    def count(_connection, _cursor, statement, *_rest):
        statements.append(statement)

    with hosts_world.cell_db.transaction() as session:
        session.execute(
            sa.insert(ServiceRow),
            [
                {'uuid': f'{n:036}', 'host': f'h{n}', 'binary': 'nova-compute', 'report_count': 0}
                for n in range(10000)
            ],
        )
    sa.event.listen(hosts_world.cell_db.engine, 'before_cursor_execute', count)
    for second in range(10):
        for n in range(second * 1000, (second + 1) * 1000):
            beats.report_state(CTX, f'h{n}', 'nova-compute', [])
        beats.flush()
    written = [one for one in statements if one.startswith('UPDATE')]
    assert len(written) == 20
    assert len(statements) - len(written) <= 10
    with hosts_world.cell_db.reader() as session:
        query = sa.select(sa.func.sum(ServiceRow.report_count))
        assert session.scalar(query) == 10000
