"""How open consoles end, and what the browser is told."""

import datetime
import socket
import time

import pytest

from kilonova.tests.fakes.websocket_client import Rejected
from kilonova.tests.unit.api.fake_servers import make_server
from kilonova.tests.unit.consoleproxy.conftest import TOKEN


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        (None, 'deleted'),
        ({'task_state': 'deleting'}, 'deleted'),
        ({'vm_state': 'soft-delete'}, 'deleted'),
        ({'vm_state': 'stopped'}, 'stopped'),
        ({'task_state': 'powering-off'}, 'stopped'),
        ({'vm_state': 'suspended'}, 'stopped'),
        ({'task_state': 'migrating'}, 'moved'),
        ({'host': 'host2'}, 'moved'),
        ({'task_state': 'reboot_started_hard'}, 'restarting'),
        ({}, 'closed'),
    ],
)
def test_why_the_hypervisor_has_closed_it(proxy, changes, reason):
    user, console = proxy.both()
    proxy.conductor.server = (
        None if changes is None else make_server(1, **({'host': 'host1'} | changes))
    )
    console.sendall(b'last words')
    console.close()
    assert user.read(10) == b'last words'
    code, told = user.closed()
    assert code == 1000 and reason in told


@pytest.mark.parametrize(
    ('changes', 'is_over'),
    [
        (None, True),
        ({'host': 'host2'}, True),
        ({'vm_state': 'stopped'}, True),
        ({'task_state': 'migrating'}, False),
        ({'vm_state': 'paused'}, False),
        ({'vm_state': 'stopped', 'task_state': 'powering-on'}, False),
        ({}, False),
    ],
)
def test_a_guest_that_goes_on_where_it_should_not(proxy, changes, is_over):
    user, console = proxy.both()
    console.sendall(b'x')
    user.read(1)
    proxy.conductor.server = (
        None if changes is None else make_server(1, **({'host': 'host1'} | changes))
    )
    proxy.listener.watch.look()
    if is_over:
        assert user.closed()[0] == 1000
        assert console.recv(1) == b''
    else:
        console.sendall(b'y')
        assert user.read(1) == b'y'


def test_a_server_is_asked_about_once_for_all_its_consoles(proxy):
    asked = []
    pairs = [proxy.both() for _ in range(4)]
    for user, console in pairs:
        console.sendall(b'x')
        user.read(1)
    get = proxy.conductor.get_server

    def counted(*args):
        asked.append(args)
        return get(*args)

    proxy.conductor.get_server = counted
    proxy.listener.watch.look()
    assert len(asked) == 1


@pytest.mark.parametrize('is_enforced', [True, False])
def test_a_session_whose_time_is_over(run, is_enforced):
    proxy = run(consoleauth__enforce_session_timeout=is_enforced)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    proxy.conductor.access.expires_at = now + datetime.timedelta(seconds=-1)
    user, console = proxy.both()
    console.sendall(b'x')
    user.read(1)
    proxy.listener.watch.look()
    if is_enforced:
        assert user.closed() == (1008, 'The time for this console is over.')
    else:
        console.sendall(b'y')
        assert user.read(1) == b'y'


def test_a_stop_says_goodbye(proxy):
    user, console = proxy.both()
    console.sendall(b'x')
    user.read(1)
    idle = socket.create_connection(proxy.address)
    deadline = time.monotonic() + 10
    while len(proxy.listener._open()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)  # what has not been accepted yet is reset
    started = time.monotonic()
    proxy.listener.stop()
    assert time.monotonic() - started < 5
    code, reason = user.closed()
    assert code == 1001 and 'stopped' in reason
    assert console.recv(1) == b'' and idle.recv(1) == b''
    with pytest.raises(OSError):
        proxy.open()


def test_a_user_who_leaves(proxy):
    user, console = proxy.both()
    user.send(b'\x03\xe8bye', 8)
    assert console.recv(1) == b''
    user, console = proxy.both()
    user.close()
    assert console.recv(1) == b''


def test_a_user_who_does_not_read_can_be_sent_away(proxy):
    user, console = proxy.both()
    console.setblocking(False)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        try:
            console.send(b'x' * 65536)
        except BlockingIOError:
            time.sleep(0.02)
    proxy.conductor.server = None
    proxy.listener.watch.look()
    console.settimeout(20)
    with pytest.raises(OSError):
        while True:
            console.sendall(b'x' * 65536)
    user.close()


def test_the_number_of_connections_is_limited(run):
    proxy = run(console__max_connections=2)
    first, second = proxy.both(), proxy.both()
    with pytest.raises(Rejected) as refused:
        proxy.open()
    assert refused.value.status == 503
    first[0].close()
    assert first[1].recv(1) == b''
    deadline = time.monotonic() + 10
    while len(proxy.listener._open()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert proxy.both()
    second[0].send(b'still')
    assert second[1].recv(5) == b'still'
    assert proxy.conductor.asked == [TOKEN] * 3
