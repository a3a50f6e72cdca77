"""What goes through a proxy, and who gets in."""

import socket

import pytest

from kilonova.consoleproxy import kinds
from kilonova.tests.fakes.websocket_client import Rejected
from kilonova.tests.unit.consoleproxy.conftest import TOKEN


def test_bytes_go_both_ways(proxy):
    user, console = proxy.both()
    user.send(b'ls\r')
    assert console.recv(100) == b'ls\r'
    console.sendall(b'\x00\xff file\r\n')
    assert user.read(9) == b'\x00\xff file\r\n'


def test_much_goes_both_ways_at_once(proxy):
    """More than fits anywhere on the way, while nobody reads: nothing is lost or mixed up."""
    user, console = proxy.both()
    content = bytes(range(256)) * 16 * 1024
    console.setblocking(False)
    sent = 0
    for start in range(0, 2**18, 2**15):
        user.send(content[start : start + 2**15])
    while sent < len(content):
        try:
            sent += console.send(content[sent : sent + 65536])
        except BlockingIOError:
            break
    console.settimeout(20)
    found = b''
    while len(found) < 2**18:
        found += console.recv(65536)
    assert found == content[: 2**18]
    assert user.read(sent) == content[:sent]


@pytest.mark.parametrize('where', ['query', 'cookie', 'both'])
def test_where_a_token_can_be(proxy, where):
    cookie = {} if where == 'query' else {'Cookie': f'a=b; token={TOKEN}; [bad]=c'}
    user = proxy.open('/?x=1' if where == 'cookie' else f'/websockify?token={TOKEN}', **cookie)
    proxy.console.accept().sendall(b'hi')
    assert user.read(2) == b'hi'
    assert proxy.conductor.asked == [TOKEN]


@pytest.mark.parametrize(
    ('path', 'status', 'is_asked'),
    [
        ('/', 401, False),
        ('/?token=', 401, False),
        (f'/?token={TOKEN[:-1]}6', 403, True),
        ('/?token=short', 400, False),
        ('/?token=' + 'x' * 2000, 400, False),
        (f'/?token={TOKEN}%0a', 400, False),
        (f'/?token={TOKEN}&token=%27%20or%201=1;--------', 400, False),
    ],
)
def test_tokens_that_are_refused(proxy, path, status, is_asked):
    with pytest.raises(Rejected) as refused:
        proxy.open(path)
    assert refused.value.status == status
    assert bool(proxy.conductor.asked) == is_asked


def test_a_token_opens_its_own_type_alone(run):
    proxy = run(kinds.SPICE, 'http://127.0.0.1:6082/')
    proxy.conductor.access.console_type = 'serial'
    with pytest.raises(Rejected) as refused:
        proxy.open()
    assert refused.value.status == 403


def test_the_request_names_no_target(proxy):
    """Whatever the request says, the connection goes where the token says."""
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        path = f'/127.0.0.1:{port}?token={TOKEN}&host=127.0.0.1&port={port}'
        proxy.open(path, Host=f'127.0.0.1:{port}')
        assert proxy.console.accept()
        other.settimeout(0.2)
        with pytest.raises(TimeoutError):
            other.accept()


def test_several_channels_use_one_token(run):
    proxy = run(kinds.SPICE, 'http://127.0.0.1:6082/')
    channels = [proxy.both() for _ in range(5)]
    for number, (user, console) in enumerate(channels):
        user.send(bytes([number]))
        assert console.recv(1) == bytes([number])


def test_a_conductor_that_does_not_answer(proxy):
    proxy.conductor.is_up = False
    with pytest.raises(Rejected) as refused:
        proxy.open()
    assert refused.value.status == 503


def test_a_console_that_is_not_there(proxy):
    proxy.console.listener.close()
    assert proxy.open().closed() == (1011, 'The console cannot be reached.')


@pytest.mark.parametrize(
    ('base_url', 'allowed', 'headers', 'is_let_in'),
    [
        ('ws://x/', [], {}, True),
        ('ws://x/', [], {'Origin': 'http://127.0.0.1:8000'}, True),
        ('ws://x/', [], {'Origin': 'http://evil.example'}, False),
        ('ws://x/', ['good.example'], {'Origin': 'http://good.example:80'}, True),
        ('wss://x/', [], {'Origin': 'http://127.0.0.1'}, False),
        ('wss://x/', [], {'Origin': 'https://127.0.0.1'}, True),
        ('wss://x/', [], {'Origin': 'http://127.0.0.1', 'X_Forwarded_Proto': 'https'}, True),
        ('ws://x/', [], {'Origin': 'null'}, False),
        ('ws://x/', [], {'Origin': ''}, False),
        ('ws://x/', [], {'Origin': 'http://[::1'}, False),
        ('ws://x/', [], {'Origin': 'http://127.0.0.1.evil.example'}, False),
        ('ws://x/', [], {'Host': '[::1]:6083', 'Origin': 'http://[::1]'}, True),
    ],
)
def test_pages_of_other_sites_are_refused(run, base_url, allowed, headers, is_let_in):
    proxy = run(base_url=base_url, console__allowed_origins=allowed)
    if is_let_in:
        assert proxy.both(**headers)
        return
    with pytest.raises(Rejected) as refused:
        proxy.open(**headers)
    assert refused.value.status == 403


@pytest.mark.parametrize('host', [None, '', '[::1', 'a b'])
def test_a_host_is_needed(proxy, host):
    with pytest.raises(Rejected) as refused:
        proxy.open(Host=host)
    assert refused.value.status == 400


def test_the_scheme_of_a_page_of_a_client(run):
    proxy = run(kinds.SPICE, 'https://console.example/spice_auto.html')
    assert proxy.both(Origin='https://127.0.0.1')
    with pytest.raises(Rejected):
        proxy.open(Origin='http://127.0.0.1')


def test_a_path_within_the_hypervisor(proxy):
    proxy.conductor.access.place.internal_access_path = '/vm/7'
    user = proxy.open()
    console = proxy.console.accept()
    assert console.recv(100) == b'CONNECT /vm/7 HTTP/1.1\r\n\r\n'
    console.sendall(b'HTTP/1.1 200 OK\r\n\r\nhello')
    assert user.read(5) == b'hello'


@pytest.mark.parametrize('answer', [b'HTTP/1.1 404 No\r\n\r\n', b'x' * 5000, b''])
def test_a_path_that_the_hypervisor_does_not_know(proxy, answer):
    proxy.conductor.access.place.internal_access_path = '/vm/7'
    user = proxy.open()
    console = proxy.console.accept()
    console.recv(100)
    console.sendall(answer)
    console.shutdown(socket.SHUT_WR)
    assert user.closed()[0] == 1011


def test_what_is_recorded(run, tmp_path):
    proxy = run(record=str(tmp_path / 'session'))
    user, console = proxy.both()
    console.sendall(b'login:')
    user.read(6)
    user.send(b'root')
    assert console.recv(10) == b'root'
    user.send(b'\x03\xe8', 8)
    assert console.recv(10) == b''
    proxy.close()
    text = (tmp_path / 'session.1').read_text()
    assert 'login:' in text and 'root' in text
