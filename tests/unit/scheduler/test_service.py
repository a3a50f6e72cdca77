"""The daemon over RPC, with a conductor that knows hosts and heartbeats only."""

import datetime
import time
import types
import uuid

import oslo_messaging as messaging
import pytest
from oslo_config import cfg

from kilonova.common import context as ctx
from kilonova.common import exception, rpc
from kilonova.common.objects.host_changes import HostChanges, HostMark
from kilonova.conductor.interface import ConductorInterface
from kilonova.scheduler.interface import SchedulerInterface
from kilonova.scheduler.service import Scheduler
from kilonova.tests.unit.scheduler.builders import make_conf, make_service, make_spec


class Conductor:
    """Only what a scheduler calls."""

    def __init__(self, cloud) -> None:
        self.cloud = cloud
        self.calls: list[tuple[str, ...]] = []

    def get_host_changes(self, context, marks) -> list[HostChanges]:
        self.calls.append(('get_host_changes', ','.join(marks)))
        table = self.cloud.get_host_table()
        mark = HostMark(version=table.version, at=datetime.datetime(2026, 1, 1))
        hosts = [] if marks else table.hosts
        return [HostChanges(mark=mark, first=not marks, hosts=hosts, nodes=len(table.hosts))]

    def service_started(self, context, host, binary, topic, version):
        self.calls.append(('service_started', binary, topic))
        return make_service(host)

    def discover_hosts(self, context) -> list[str]:
        self.calls.append(('discover_hosts',))
        return []

    def report_state(self, context, host, binary, operations):
        self.calls.append(('report_state', binary))


def serve_conductor(transport, endpoint):
    """Serve the interface with the calls that nobody makes here answering an error."""
    rest = {name for name in rpc.methods_of(ConductorInterface) if not hasattr(endpoint, name)}

    def refuse(*args, **kwargs):
        raise exception.Invalid('not expected here')

    others = types.SimpleNamespace(**{name: refuse for name in rest})
    return rpc.serve(transport, ConductorInterface, [endpoint, others], 'conductor')


@pytest.fixture
def daemon(cloud):
    conf = make_conf()
    transport = messaging.get_rpc_transport(
        cfg.CONF, url='fake://', allowed_remote_exmods=rpc.ALLOWED_REMOTE
    )
    conductor = Conductor(cloud)
    server = serve_conductor(transport, conductor)
    scheduler = Scheduler(conf, transport, cloud.client)
    conf.set_override('report_interval', 1)
    conf.set_override('discover_hosts_in_cells_interval', 1, group='scheduler')
    scheduler.start()
    yield types.SimpleNamespace(transport=transport, conductor=conductor)
    scheduler.stop()
    server.stop()
    server.wait()


def test_select_over_rpc(cloud, daemon):
    cloud.add('h1', node_updated_at=datetime.datetime(2026, 1, 1))
    client = rpc.client_for(SchedulerInterface, daemon.transport)
    context, server = ctx.get_admin_context(), str(uuid.uuid4())
    [[selection]] = client.select_destinations(context, make_spec(), [server], 1)
    assert selection.host == 'h1'
    assert list(cloud.held()) == [server]
    with pytest.raises(exception.NoValidHost, match='Host x is not known'):
        client.select_destinations(context, make_spec(forced_host='x'), [server], 1)


@pytest.mark.parametrize('call', [('report_state', 'nova-scheduler'), ('discover_hosts',)])
def test_what_comes_back_now_and_then(daemon, call):
    assert ('service_started', 'nova-scheduler', 'scheduler') in daemon.conductor.calls
    deadline = time.monotonic() + 5
    while call not in daemon.conductor.calls:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize('is_on', [False, True])
def test_neutron_is_asked_for_segments_when_it_is_wanted(cloud, is_on):
    conf = make_conf(scheduler__query_placement_for_routed_network_aggregates=is_on)
    transport = messaging.get_rpc_transport(
        cfg.CONF, url='fake://', allowed_remote_exmods=rpc.ALLOWED_REMOTE
    )
    scheduler = Scheduler(conf, transport, cloud.client)
    assert (scheduler.selector.routed is not None) == is_on
