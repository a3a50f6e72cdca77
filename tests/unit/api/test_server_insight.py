"""Diagnostics and topology of servers."""

import pathlib
from typing import Any

import pytest

from kilonova.api import app
from kilonova.common import exception
from kilonova.common.objects.diagnostics import (
    CpuDiagnostics,
    Diagnostics,
    DiskDiagnostics,
    NicDiagnostics,
    ServerDiagnostics,
)
from kilonova.common.objects.numa import NumaNode, NumaTopology
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server
from kilonova.tests.unit.api.frontdoor import Door
from kilonova.tests.unit.api.reference import sample

TOPOLOGY = NumaTopology(
    nodes=[
        NumaNode(id=0, vcpus=[0, 1], memory_mb=1024, siblings=[[0, 1]], cpu_pinning={0: 0, 1: 5},
                 pagesize_kb=4),
        NumaNode(id=1, vcpus=[2, 3], memory_mb=2048, siblings=[[2, 3]], cpu_pinning={2: 1, 3: 8},
                 pagesize_kb=4),
    ]
)  # fmt: skip
PLAIN, LAID_OUT = make_server(1), make_server(2, numa_topology=TOPOLOGY)
DIAGNOSTICS = f'/servers/{PLAIN.uuid}/diagnostics'


class Conductor(FakeServers):
    """One guest's counters are those of the published examples."""

    def __init__(self) -> None:
        super().__init__(PLAIN, LAID_OUT)
        self.error: Exception | None = None

    def get_server_diagnostics(
        self, context: Any, uuid: str, project_id: str | None = None
    ) -> ServerDiagnostics:
        self.calls.append(('get_server_diagnostics', project_id))
        server = self._find(uuid, project_id)
        if self.error:
            raise self.error
        guest = Diagnostics(
            state='running', driver='libvirt', hypervisor='kvm', hypervisor_os='ubuntu',
            uptime=46664, config_drive=True, memory_maximum=524288, memory_used=0,
            cpus=[CpuDiagnostics(id=0, time=17300000000, utilisation=15)],
            disks=[DiskDiagnostics(device='vda', read_bytes=262144, read_requests=112,
                                   write_bytes=5778432, write_requests=488, errors_count=-1)],
            nics=[NicDiagnostics(device='vnet1', mac_address='01:23:45:67:89:ab', rx_drop=0,
                                 rx_errors=0, rx_octets=2070139, rx_packets=26701, tx_drop=0,
                                 tx_errors=0, tx_octets=140208, tx_packets=662)],
        )  # fmt: skip
        return ServerDiagnostics(project_id=server.project_id, user_id=server.user_id, guest=guest)


@pytest.fixture
def conductor() -> Conductor:
    return Conductor()


@pytest.fixture
def admin(conductor: Conductor) -> Door:
    return Door.open(conductor).as_user('admin:admin')


@pytest.mark.parametrize('version', ['2.1', '2.47', '2.48', '2.104'])
def test_diagnostics_fit(admin: Door, version: str) -> None:
    answer = admin.at(version).ok('GET', DIAGNOSTICS)
    controller = reference.operations('server_diagnostics.ServerDiagnosticsController')
    operation = controller['GET', '/servers/{server_id}/diagnostics', None]
    reference.check(answer, reference.schema_for(operation, 'response', version))


def test_diagnostics_by_device(admin: Door) -> None:
    example = sample('os-server-diagnostics/server-diagnostics-get-resp.json')
    assert admin.ok('GET', DIAGNOSTICS) == example


def test_diagnostics_the_same_for_all(admin: Door) -> None:
    found = admin.at('2.48').ok('GET', DIAGNOSTICS)
    assert found['memory_details'] == {'maximum': 512, 'used': 0}
    assert (found['num_cpus'], found['num_disks'], found['num_nics']) == (1, 1, 1)
    assert found['nic_details'][0]['rx_rate'] is None
    assert 'device' not in found['disk_details'][0]


@pytest.mark.parametrize(
    'error, status',
    [
        (exception.InstanceNotReady(instance_id='x'), 409),
        (exception.NotSupported(feature='diagnostics'), 501),
        (exception.InstanceInvalidState('no'), 409),
        (exception.ServiceUnavailable(), 503),
    ],
)
def test_no_diagnostics(admin: Door, conductor: Conductor, error: Exception, status: int) -> None:
    conductor.error = error
    assert admin.refused('GET', DIAGNOSTICS) == status


def test_diagnostics_are_one_call(admin: Door, conductor: Conductor) -> None:
    admin.ok('GET', DIAGNOSTICS)
    assert conductor.calls == [('get_server_diagnostics', None)]


def test_who_sees_diagnostics_of_his_own(conductor: Conductor, tmp_path: pathlib.Path) -> None:
    """A rule for owners lets an administrator of another project see nothing, not even a state."""
    policy = tmp_path / 'policy.yaml'
    policy.write_text('"os_compute_api:os-server-diagnostics": "project_id:%(project_id)s"\n')
    config = tmp_path / 'nova.conf'
    config.write_text(f'[oslo_policy]\npolicy_file = {policy}\n')
    application: Any = app.make_compute_app(make_conf(str(config)), conductor)  # type: ignore[arg-type]
    door = Door(application)
    assert door.as_user('demo:demo').ok('GET', DIAGNOSTICS)
    assert door.as_user('admin:admin').refused('GET', DIAGNOSTICS) == 403
    conductor.error = exception.InstanceInvalidState('no')
    assert door.as_user('admin:admin').refused('GET', DIAGNOSTICS) == 403
    assert door.as_user('demo:demo').refused('GET', DIAGNOSTICS) == 409
    assert door.as_user('x:other').refused('GET', DIAGNOSTICS) == 404


def test_who_sees_diagnostics(admin: Door) -> None:
    assert admin.as_user('demo:demo').refused('GET', DIAGNOSTICS) == 403
    assert admin.as_user('x:other').refused('GET', DIAGNOSTICS) == 404
    assert admin.refused('GET', '/servers/nope/diagnostics') == 404


def test_topology(admin: Door) -> None:
    path = f'/servers/{LAID_OUT.uuid}/topology'
    assert admin.at('2.78').ok('GET', path) == sample(
        'os-server-topology/v2.78/servers-topology-resp.json'
    )
    user = admin.as_user('demo:demo').at('2.104')
    assert user.ok('GET', path) == sample(
        'os-server-topology/v2.78/servers-topology-resp-user.json'
    )
    assert user.ok('GET', f'/servers/{PLAIN.uuid}/topology') == {'nodes': [], 'pagesize_kb': None}
    assert admin.as_user('x:other').at('2.78').refused('GET', path) == 404
    assert admin.at('2.77').refused('GET', path) == 404
    assert admin.at('2.102').refused('GET', f'{path}?x=1') == 400
