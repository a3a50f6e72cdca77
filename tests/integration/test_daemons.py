"""The daemons as processes: a server's life, what they open, how they end."""

import functools
import os
import signal

import psutil
import pytest

from kilonova.tests.integration.processes import wait_for
from kilonova.tests.integration.stack import DAEMONS, Stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def flavor(stack: Stack) -> str:
    return stack.flavor()


@pytest.fixture(scope='module')
def image(stack: Stack) -> str:
    return stack.glance.add()


def test_a_server_lives_and_goes(stack: Stack, flavor: str, image: str) -> None:
    network = stack.neutron.add_network()
    uuid = stack.boot(flavor, image, [{'uuid': network}])
    server = stack.wait_status(uuid, 'ACTIVE')
    assert server['addresses']['private'][0]['addr'].startswith('10.')
    assert len(stack.neutron.ports) == 1
    assert list(stack.allocations(uuid).values())[0]['resources'] == {
        'VCPU': 1,
        'MEMORY_MB': 512,
        'DISK_GB': 1,
    }
    for action, status in (('os-stop', 'SHUTOFF'), ('os-start', 'ACTIVE')):
        assert stack.call('POST', f'/servers/{uuid}/action', {action: None}).status_code == 202
        stack.wait_status(uuid, status)
    answer = stack.call('POST', f'/servers/{uuid}/action', {'reboot': {'type': 'HARD'}})
    assert answer.status_code == 202
    stack.wait_status(uuid, 'ACTIVE')
    names = [
        a['action'] for a in stack.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    ]
    assert names == ['reboot', 'start', 'stop', 'create']
    assert stack.call('DELETE', f'/servers/{uuid}').status_code == 204
    stack.wait_gone(uuid)
    assert stack.allocations(uuid) == {}
    assert stack.neutron.ports == {}


def _tree(stack: Stack, name: str) -> list[psutil.Process]:
    parent = psutil.Process(stack.processes.running[name].pid)
    return [parent, *parent.children(recursive=True)]


def test_only_the_conductor_talks_to_the_database(stack: Stack, flavor: str, image: str) -> None:
    stack.wait_status(stack.boot(flavor, image), 'ACTIVE')
    port = stack.database.port
    talkers = {
        name
        for name in DAEMONS
        for process in _tree(stack, name)
        for connection in process.net_connections('tcp')
        if connection.raddr and connection.raddr.port == port
    }
    assert talkers == {'nova-conductor'}
    for name in DAEMONS:
        for process in _tree(stack, name):
            opened = [os.path.basename(f.path) for f in process.open_files()]
            assert not [f for f in opened if f.endswith(('.db', '.sqlite', '.sqlite3'))], name


def test_only_loopback_is_listened_on(stack: Stack) -> None:
    for name in DAEMONS:
        for process in _tree(stack, name):
            for connection in process.net_connections('inet'):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == '127.0.0.1', (name, connection)


def _logged(stack: Stack, name: str, words: str) -> bool:
    return words in stack.processes.log(name)


def test_a_hangup_reads_mutable_options_again(stack: Stack) -> None:
    text = stack.conf.read_text()
    stack.conf.write_text(text.replace('[DEFAULT]', '[DEFAULT]\ndebug = true', 1))
    for name in DAEMONS:
        stack.processes.running[name].send_signal(signal.SIGHUP)
    for name in DAEMONS:
        wait_for(
            f'{name} read its options',
            functools.partial(_logged, stack, name, 'has read its mutable options again'),
            20,
        )
    stack.conf.write_text(text)
    for name in DAEMONS:
        stack.processes.running[name].send_signal(signal.SIGHUP)


def test_daemons_stop_clean(stack: Stack) -> None:
    for name in DAEMONS:
        assert stack.processes.stop(name) == 0, stack.processes.log(name)[-2000:]
    stack.start()
