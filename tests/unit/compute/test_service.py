"""The daemon as a whole, over oslo.messaging's in-memory transport."""

import pathlib
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import oslo_messaging as messaging
import pytest
from oslo_config import cfg

from kilonova.common import exception, rpc
from kilonova.common.clients import keystone
from kilonova.common.clients.placement import Placement
from kilonova.common.objects.network import Networks
from kilonova.common.objects.operation import BuildRequest, ExternalEvent, Fence
from kilonova.common.objects.server import Server
from kilonova.compute import service
from kilonova.compute.interface import ComputeInterface
from kilonova.compute.virt.fake import FakeDriver
from kilonova.conductor.interface import ConductorInterface
from kilonova.tests.fakes.conductor import FakeConductor
from kilonova.tests.fakes.placement_fixture import PlacementFixture
from kilonova.tests.unit.compute.here import CONTEXT, make_conf, make_server, wait


class Bus:
    """A transport with a conductor on it, and hosts that are made on demand."""

    def __init__(self, folder: pathlib.Path, placement: PlacementFixture) -> None:
        self.placement = placement
        self.transport = messaging.get_rpc_transport(
            cfg.CONF, url='fake://' + uuid.uuid4().hex, allowed_remote_exmods=rpc.ALLOWED_REMOTE
        )
        self.conductor = FakeConductor()
        self.server = self._serve_conductor()
        self.client = rpc.client_for(ComputeInterface, self.transport)
        self.conf = make_conf(
            folder, DEFAULT={'report_interval': 1, 'graceful_shutdown_timeout': 8}
        )
        self.conf.register_opts([], group='upgrade_levels')
        self.computes: list[service.Compute] = []

    def _serve_conductor(self) -> Any:
        """Serve what the fake has; the rest of the interface is not asked for by hosts."""

        class Rest:
            def __getattr__(self, name: str) -> Any:
                if name in vars(FakeConductor) or name not in rpc.methods_of(ConductorInterface):
                    raise AttributeError(name)
                return lambda *args, **values: None

        mine = {n: getattr(self.conductor, n) for n in vars(FakeConductor) if n[0] != '_'}
        home = type('Home', (), {})()
        for name, method in mine.items():
            setattr(home, name, method)
        return rpc.serve(self.transport, ConductorInterface, [home, Rest()], 'conductor')

    def start(self, host: str = 'here', wait_for_it: bool = True) -> service.Compute:
        compute = service.Compute(
            self.conf, self.transport, host, placement=Placement(self.placement.adapter())
        )
        self.computes.append(compute)
        thread = threading.Thread(target=compute.start, daemon=True)
        thread.start()
        if wait_for_it:
            thread.join(20)
            assert not thread.is_alive()
        return compute

    def build(self, host: str = 'here', **fields: Any) -> Any:
        server, fence = make_server(host=host, **fields), Fence(str(uuid.uuid4()), 1)
        self.client.at(host).build_server(
            CONTEXT, BuildRequest(server=server, fence=fence, networks=Networks(mode='none'))
        )
        return server, fence

    def close(self) -> None:
        for compute in self.computes:
            compute.stop()
        self.server.stop()
        self.server.wait()
        self.transport.cleanup()


def spawned(compute: service.Compute) -> int:
    assert isinstance(compute.host.driver, FakeDriver)
    return compute.host.driver.calls['spawn']


@pytest.fixture(scope='module')
def placement(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlacementFixture]:
    with PlacementFixture(tmp_path_factory.mktemp('placement')) as fixture:
        yield fixture


@pytest.fixture
def bus(tmp_path: pathlib.Path, placement: PlacementFixture) -> Iterator[Bus]:
    made = Bus(tmp_path, placement)
    yield made
    made.close()


def test_a_host_comes_up_and_builds(bus: Bus) -> None:
    compute = bus.start()
    assert [name for name, _ in bus.conductor.calls[:5]] == [
        'service_started',
        'update_compute_node',
        'update_compute_node',  # with what placement has been told of it
        'get_host_moves',
        'get_host_servers',
    ]
    requests = len(bus.placement.requests)
    server, fence = bus.build()
    assert bus.conductor.wait_for('build_finished')['fence'] == fence
    assert compute.host.driver.list_guests() == [server.uuid]
    assert len(bus.placement.requests) == requests
    assert 'login:' in bus.client.at('here').get_console_output(CONTEXT, server, 2)
    assert ' up ' in bus.client.at('here').get_host_uptime(CONTEXT)
    bus.client.at('here').terminate_server(CONTEXT, server, Fence('op', 1))
    bus.conductor.wait_for('delete_finished')
    with pytest.raises(exception.GuestNotFound):
        bus.client.at('here').get_console_output(CONTEXT, server, 1)


def test_heartbeats_name_the_operations_that_run(bus: Bus) -> None:
    bus.conf.set_override('spawn_delay', 2.5, group='fake_driver')
    bus.start()
    _, fence = bus.build()
    wait(
        lambda: [fence.operation] in [b['operations'] for b in bus.conductor.named('report_state')],
        'a heartbeat during the build',
    )
    bus.conductor.wait_for('build_finished')
    count = len(bus.conductor.named('report_state')) + 2
    assert bus.conductor.wait_for('report_state', count)['operations'] == []


def test_a_host_whose_record_was_deleted_registers_again(bus: Bus) -> None:
    bus.start()
    bus.conductor.registered.clear()
    bus.conductor.wait_for('service_started', 2)
    bus.conductor.wait_for('update_compute_node', 2)


def test_disabling_reaches_placement(bus: Bus) -> None:
    compute = bus.start()
    client = Placement(bus.placement.adapter())
    bus.client.at('here').set_host_enabled(CONTEXT, False)
    node = compute.host.driver.get_node().uuid
    assert 'COMPUTE_STATUS_DISABLED' in client.get_traits(node)
    bus.client.at('here').set_host_enabled(CONTEXT, True)
    assert 'COMPUTE_STATUS_DISABLED' not in client.get_traits(node)


def test_a_disabled_host_stays_disabled_when_it_starts(bus: Bus) -> None:
    bus.conductor.disabled = True
    compute = bus.start()
    traits = Placement(bus.placement.adapter()).get_traits(compute.host.driver.get_node().uuid)
    assert 'COMPUTE_STATUS_DISABLED' in traits


def test_work_that_comes_before_the_host_is_ready_waits(bus: Bus) -> None:
    bus.conductor.away = True
    compute = bus.start(wait_for_it=False)
    wait(lambda: compute._server is not None, 'it listens')
    bus.build()
    time.sleep(0.3)
    assert compute.host.driver.list_guests() == []
    bus.conductor.away = False
    bus.conductor.wait_for('build_finished')
    names = [name for name, _ in bus.conductor.calls]
    assert names.index('get_host_servers') < names.index('build_finished')


def test_what_has_waited_for_a_dead_host_begins_only_when_it_is_wanted(bus: Bus) -> None:
    bus.conductor.away = True
    bus.conductor.refuse = {'is_wanted'}
    compute = bus.start(wait_for_it=False)
    wait(lambda: compute._server is not None, 'it listens')
    _, fence = bus.build()
    wait(lambda: compute.host.operations.running() == [fence.operation], 'the build waits')
    bus.conductor.away = False
    assert bus.conductor.wait_for('is_wanted')['fence'] == fence
    wait(lambda: not compute.host.operations.running(), 'the build ends')
    assert spawned(compute) == 0
    assert not bus.conductor.named('server_progress') + bus.conductor.named('build_failed')
    # What comes to a host that is well is not asked about.
    bus.build()
    bus.conductor.wait_for('build_finished')
    assert len(bus.conductor.named('is_wanted')) == 1


def test_placement_that_is_away_keeps_no_host_down(bus: Bus) -> None:
    bus.placement.intercept = lambda method, path: (503, '', 'away')
    compute = bus.start()
    bus.placement.intercept = None
    bus.build()
    bus.conductor.wait_for('build_finished')
    compute._update_inventory()
    assert 'here' in {p.name for p in Placement(bus.placement.adapter())._list({})}


def test_stopping_finishes_what_runs_and_begins_nothing(bus: Bus) -> None:
    bus.conf.set_override('spawn_delay', 1.0, group='fake_driver')
    bus.conf.set_override('max_concurrent_builds', 1)
    compute = bus.start()
    first, _ = bus.build()
    wait(lambda: spawned(compute), 'the first build')
    bus.build()
    stopper = threading.Thread(target=compute.stop)
    stopper.start()
    wait(lambda: compute.host.operations.stopping.is_set(), 'it stops')
    bus.build()
    stopper.join(10)
    assert bus.conductor.wait_for('build_finished')['uuid'] == first.uuid
    assert len(bus.conductor.named('build_finished')) == 1
    assert bus.conductor.named('build_failed') == []
    assert spawned(compute) == 1
    bus.computes.clear()


def test_what_does_not_finish_in_time_is_left_as_it_is(bus: Bus) -> None:
    bus.conf.set_override('graceful_shutdown_timeout', 6)
    compute = bus.start()
    bus.conductor.away = True
    server, _ = bus.build()
    wait(lambda: compute.host.driver.list_guests(), 'the guest')
    compute.stop()
    bus.conductor.away = False
    assert compute.host.driver.list_guests() == [server.uuid]
    assert bus.conductor.named('build_finished') == []
    bus.computes.clear()


def test_guests_survive_a_restart_of_the_daemon(bus: Bus, tmp_path: pathlib.Path) -> None:
    bus.conf.set_override('state_dir', str(tmp_path / 'guests'), group='fake_driver')
    compute = bus.start()
    kept, _ = bus.build()
    gone, _ = bus.build()
    bus.conductor.wait_for('build_finished', 2)
    compute.stop()
    bus.computes.clear()
    kept.launched_at, kept.power_state = kept.created_at, 1
    gone.deleted = True
    bus.conductor.servers = {kept.uuid: kept, gone.uuid: gone}
    again = bus.start()
    assert again.host.driver.list_guests() == [kept.uuid]
    assert bus.conductor.named('sync_power_states')[-1]['states'] == {kept.uuid: 1}


def test_several_hosts_in_one_process(bus: Bus, monkeypatch: Any) -> None:
    monkeypatch.setattr(service, 'Placement', lambda adapter: Placement(bus.placement.adapter()))
    monkeypatch.setattr(keystone, 'adapter', lambda conf, group: None)
    bus.conf.set_override('hosts', '3', group='fake_driver')
    computes = service.make(bus.conf, bus.transport)
    computes.start()
    try:
        assert set(bus.conductor.nodes) == {'here-1', 'here-2', 'here-3'}
        server, _ = bus.build('here-2')
        bus.conductor.wait_for('build_finished')
        guests = {c.host.name: c.host.driver.list_guests() for c in computes.computes}
        assert guests == {'here-1': [], 'here-2': [server.uuid], 'here-3': []}
    finally:
        computes.stop()


@pytest.mark.parametrize(
    'option, names',
    [(None, ['here']), ('1', ['here']), ('2', ['here-1', 'here-2']), ('a, b', ['a', 'b'])],
)
def test_the_names_of_fake_hosts(tmp_path: pathlib.Path, option: str | None, names: Any) -> None:
    assert service.fake_hosts(make_conf(tmp_path, fake_driver={'hosts': option})) == names


def test_events_reach_the_builds_of_a_host(bus: Bus, monkeypatch: Any) -> None:
    compute = bus.start()
    seen: list[tuple[str, str, str]] = []
    monkeypatch.setattr(compute.host.events, 'put', lambda *values: seen.append(values))
    event = ExternalEvent(name='network-vif-plugged', server_uuid='s', tag='p')
    bus.client.at('here').external_events(CONTEXT, [event])
    wait(lambda: seen, 'the event')
    assert seen == [('s', 'p', 'completed')]


@pytest.mark.parametrize('keeps_images', [True, False])
def test_a_driver_with_a_cache_is_asked_to_look_through_it(
    bus: Bus, monkeypatch: Any, keeps_images: bool
) -> None:
    looks: list[list[Server]] = []
    monkeypatch.setattr(FakeDriver, 'keeps_images', keeps_images)
    monkeypatch.setattr(FakeDriver, 'age_images', lambda self, servers: looks.append(servers))
    bus.conf.set_override('manager_interval', 1, 'image_cache')
    here, there = make_server(host='here'), make_server(host='there')
    bus.conductor.servers.update({here.uuid: here, there.uuid: there})
    bus.start()
    if keeps_images:
        wait(lambda: looks, 'a look')
        assert [server.uuid for server in looks[0]] == [here.uuid]
    else:
        time.sleep(1.5)
        assert looks == []
