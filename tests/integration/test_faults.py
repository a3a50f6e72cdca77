"""What breaks in the middle of a build, and what must be true afterwards.

Always: the server ends ACTIVE, or in ERROR with a fault that says why; placement and quota
agree with what exists; Neutron keeps no port that nobody owns.
"""

import os
from typing import Any

import pytest

from kilonova.tests.integration.processes import wait_for
from kilonova.tests.integration.stack import Stack

pytestmark = pytest.mark.integration

STACK = {'hosts': 2, 'extra': '[fake_driver]\nspawn_delay = 3\n'}


@pytest.fixture(scope='module')
def flavor(stack: Stack) -> str:
    return stack.flavor()


@pytest.fixture(scope='module')
def image(stack: Stack) -> str:
    return stack.glance.add()


@pytest.fixture(scope='module')
def network(stack: Stack) -> str:
    return stack.neutron.add_network()


@pytest.fixture(autouse=True)
def nothing_left(stack: Stack) -> Any:
    """After each test every server can be deleted, and then nothing is left anywhere."""
    yield
    stack.neutron.mend()
    stack.glance.mend()
    servers = stack.get('/servers')['servers']
    for server in servers:
        assert stack.call('DELETE', f'/servers/{server["id"]}').status_code == 204
    for server in servers:
        stack.wait_gone(server['id'], 90)
        assert stack.allocations(server['id']) == {}
    assert stack.neutron.ports == {}
    used = stack.get('/limits')['limits']['absolute']
    assert (used['totalInstancesUsed'], used['totalCoresUsed'], used['totalRAMUsed']) == (0, 0, 0)


def _building(stack: Stack, uuid: str) -> None:
    """Wait until a host works on the server."""

    def check() -> bool:
        server = stack.get(f'/servers/{uuid}', token='admin:admin')['server']
        if server['status'] != 'BUILD':
            pytest.fail(f'{server["status"]} before it was caught building: {server.get("fault")}')
        return bool(server['OS-EXT-SRV-ATTR:host'])

    wait_for(f'{uuid} is being built', check, 30, 0.05)


def _settled(stack: Stack, uuid: str) -> dict[str, Any]:
    server = stack.wait_status(uuid, 'ACTIVE', 'ERROR', seconds=120)
    assert server['OS-EXT-STS:task_state'] is None
    if server['status'] == 'ERROR':
        assert server['fault']['message']
    else:
        assert len(stack.allocations(uuid)) == 1
    return server


def test_the_broker_restarts(stack: Stack, flavor: str, image: str, network: str) -> None:
    uuid = stack.boot(flavor, image, [{'uuid': network}])
    _building(stack, uuid)
    stack.broker.restart()
    assert _settled(stack, uuid)['status'] == 'ACTIVE'
    wait_for('requests are served again', lambda: stack.call('GET', '/servers').ok, 60)


def test_the_conductor_is_killed(stack: Stack, flavor: str, image: str, network: str) -> None:
    uuid = stack.boot(flavor, image, [{'uuid': network}])
    stack.processes.kill('nova-conductor')
    stack.start('nova-conductor')
    assert _settled(stack, uuid)['status'] == 'ACTIVE'


def test_the_compute_daemon_is_killed(stack: Stack, flavor: str, image: str, network: str) -> None:
    uuid = stack.boot(flavor, image, [{'uuid': network}])
    _building(stack, uuid)
    stack.processes.kill('nova-compute')
    stack.start('nova-compute')
    assert _settled(stack, uuid)['status'] == 'ACTIVE'


def test_deleted_in_the_middle_of_a_build(
    stack: Stack, flavor: str, image: str, network: str
) -> None:
    uuid = stack.boot(flavor, image, [{'uuid': network}])
    _building(stack, uuid)
    assert stack.call('DELETE', f'/servers/{uuid}').status_code == 204
    stack.wait_gone(uuid)


@pytest.mark.parametrize('status', (500, 503))
def test_neutron_answers_with_errors(
    stack: Stack, flavor: str, image: str, network: str, status: int
) -> None:
    stack.neutron.break_with(status, 'POST /v2.0/ports')
    uuid = stack.boot(flavor, image, [{'uuid': network}])
    server = _settled(stack, uuid)
    assert server['status'] == 'ERROR'
    stack.neutron.mend()


def test_neutron_does_not_answer(stack: Stack, flavor: str, image: str, network: str) -> None:
    stack.neutron.break_with(504, 'POST /v2.0/ports', delay=15)
    uuid = stack.boot(flavor, image, [{'uuid': network}])
    assert _settled(stack, uuid)['status'] == 'ERROR'


def test_glance_is_away_when_asked(stack: Stack, flavor: str, image: str) -> None:
    stack.glance.break_with(503)
    body = {'server': {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}}
    answer = stack.call('POST', '/servers', body)
    assert answer.status_code in (500, 503)
    assert 'Traceback' not in answer.text
    assert stack.get('/servers')['servers'] == []


def test_placement_is_away(stack: Stack, flavor: str, image: str) -> None:
    process = stack.processes.running['placement']
    os.killpg(process.pid, 19)  # SIGSTOP: it accepts and does not answer
    try:
        uuid = stack.boot(flavor, image)
    finally:
        wait_for('a moment passes', lambda: True, 1)
    os.killpg(process.pid, 18)
    server = _settled(stack, uuid)
    assert server['status'] in ('ACTIVE', 'ERROR')
