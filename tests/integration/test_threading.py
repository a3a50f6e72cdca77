"""The daemons on threads, with several workers each."""

import functools
import os
import signal

import psutil
import pytest

from kilonova.tests.integration.processes import wait_for
from kilonova.tests.integration.stack import DAEMONS, Stack

pytestmark = pytest.mark.integration
WORKERS = '[DEFAULT]\nosapi_compute_workers = 2\n[conductor]\nworkers = 2\n'
STACK = {'backend': 'threading', 'extra': WORKERS + '[upgrade_levels]\nconductor = 1.0\n'}


def _live(stack: Stack) -> None:
    uuid = stack.boot(stack.flavor(os.urandom(4).hex()), stack.glance.add())
    stack.wait_status(uuid, 'ACTIVE')
    for action, status in (('os-stop', 'SHUTOFF'), ('os-start', 'ACTIVE')):
        assert stack.call('POST', f'/servers/{uuid}/action', {action: None}).status_code == 202
        stack.wait_status(uuid, status)
    assert stack.call('DELETE', f'/servers/{uuid}').status_code == 204
    stack.wait_gone(uuid)
    assert stack.allocations(uuid) == {}


def _workers(stack: Stack, name: str) -> list[psutil.Process]:
    return psutil.Process(stack.processes.running[name].pid).children()


def test_a_server_lives(stack: Stack) -> None:
    for name in DAEMONS:
        assert f'{name} starts (threading)' in stack.processes.log(name)
    _live(stack)


def test_one_record_a_daemon(stack: Stack) -> None:
    found = stack.get('/os-services', token='admin:admin')['services']
    assert sorted(one['binary'] for one in found) == [
        'nova-compute',
        'nova-conductor',
        'nova-scheduler',
    ]
    assert {one['state'] for one in found} == {'up'}


@pytest.mark.parametrize('name', ('nova-conductor', 'nova-api'))
def test_a_killed_worker_is_replaced(stack: Stack, name: str) -> None:
    before = {worker.pid for worker in _workers(stack, name)}
    assert len(before) == 2
    victim = min(before)
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        now = {worker.pid for worker in _workers(stack, name)}
        return len(now) == 2 and victim not in now

    wait_for(f'{name} has a new worker', replaced, 20)
    assert f'Worker {victim} of {name} ended (-9)' in stack.processes.log(name)
    # A request that the dead one had taken may fail; after it everything is served.
    wait_for('requests are served', lambda: stack.call('GET', '/servers').ok, 60)
    _live(stack)


def _read_again(stack: Stack, name: str, times: int) -> bool:
    return stack.processes.log(name).count('has read its mutable options again') >= times


def test_a_hangup_reaches_all_workers(stack: Stack) -> None:
    for name in DAEMONS:
        stack.processes.running[name].send_signal(signal.SIGHUP)
    for name in DAEMONS:
        times = 2 if _workers(stack, name) else 1
        wait_for(f'{name} reloads', functools.partial(_read_again, stack, name, times), 20)


def test_daemons_stop_clean(stack: Stack) -> None:
    for name in reversed(DAEMONS):
        workers = _workers(stack, name)
        assert stack.processes.stop(name) == 0, stack.processes.log(name)[-2000:]
        assert not [one for one in workers if one.is_running()]
        assert 'did not stop within' not in stack.processes.log(name)
