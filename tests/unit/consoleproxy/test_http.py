"""What is served beside consoles, and what comes of requests and frames that are odd."""

import base64
import socket
import ssl
import time

import pytest

from kilonova.consoleproxy import handler, kinds, listener
from kilonova.consoleproxy.websocket import MOST
from kilonova.tests.fakes.websocket_client import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Rejected,
    WebsocketClient,
)
from kilonova.tests.fakes.websocket_client import frame as make_frame
from kilonova.tests.integration import certificates
from kilonova.tests.unit.consoleproxy.conftest import TOKEN


@pytest.fixture
def files(run, tmp_path):
    """A proxy with a web client's directory, and a secret beside it."""
    web = tmp_path / 'web'
    (web / 'app').mkdir(parents=True)
    (web / 'vnc.html').write_text('<p>client</p>')
    (tmp_path / 'secret').write_text('s3cret')
    return run(kinds.NOVNC, 'http://127.0.0.1:6080/vnc.html', web=str(web))


def get(proxy, path, method='GET'):
    request = f'{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    return proxy.http(request.encode('latin-1')).decode()


def test_the_client_is_served(files):
    answer = get(files, '/vnc.html?path=?token=abc')
    assert answer.startswith('HTTP/1.1 200') and answer.endswith('<p>client</p>')
    assert 'text/html' in answer and 'Python' not in answer
    assert get(files, '/vnc.html', 'HEAD').startswith('HTTP/1.1 200')


@pytest.mark.parametrize(
    ('path', 'status'),
    [
        ('/../secret', 400),
        ('/app/../../secret', 400),
        ('/%2e%2e/secret', 400),
        ('/..%2fsecret', 400),
        ('/..%5csecret', 400),
        ('//secret', 404),
        ('//evil.example/%2e%2e', 400),
        ('/vnc.html%00', 400),
        ('secret', 400),
        ('/secret', 404),
        ('/app/', 404),
        ('/', 404),
    ],
)
def test_nothing_else_is(files, path, status):
    answer = get(files, path)
    assert answer.startswith(f'HTTP/1.1 {status}') and 's3cret' not in answer


@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'X'])
def test_other_methods(files, method):
    assert get(files, '/vnc.html', method).startswith('HTTP/1.1 501')


def test_without_a_client_there_are_no_files(proxy):
    assert get(proxy, '/vnc.html').startswith('HTTP/1.1 405')


@pytest.mark.parametrize(
    ('request_', 'status'),
    [
        (b'\r\n\r\n', None),
        (b'nonsense\r\n\r\n', 400),
        (b'GET / HTTP/9.9\r\n\r\n', 505),
        (b'GET /' + b'x' * 70000 + b' HTTP/1.1\r\n\r\n', 414),
        (b'GET / HTTP/1.1\r\n' + b'a: b\r\n' * 200 + b'\r\n', 431),
        (b'GET / HTTP/1.1\r\na: ' + b'x' * 70000 + b'\r\n\r\n', 431),
        (b'\xff\xfe\x00\r\n\r\n', 400),
    ],
)
def test_requests_that_are_none(proxy, request_, status):
    with socket.create_connection(proxy.address, timeout=20) as sock:
        sock.sendall(request_)
        sock.shutdown(socket.SHUT_WR)
        try:
            answer = sock.recv(65536)
        except ConnectionResetError:
            answer = b''  # it did not even want to read all of it
    assert str(status).encode() in answer or not answer
    assert proxy.both()


@pytest.mark.parametrize(
    'headers',
    [
        {'Sec_WebSocket_Key': None},
        {'Sec_WebSocket_Version': '99'},
        {'Sec_WebSocket_Version': None},
        {'Sec_WebSocket_Protocol': 'chat'},
    ],
)
def test_upgrades_that_are_none(proxy, headers):
    with pytest.raises(Rejected) as refused:
        proxy.open(**headers)
    assert refused.value.status == 400


def test_who_says_nothing_has_to_go(run, monkeypatch):
    monkeypatch.setattr(handler, '_SECONDS', 0.2)
    proxy = run()
    with socket.create_connection(proxy.address, timeout=20) as sock:
        started = time.monotonic()
        assert sock.recv(1) == b''
        assert time.monotonic() - started < 10


@pytest.mark.parametrize('request_', ['/', f'/?token={TOKEN}'])
def test_a_request_that_comes_a_byte_at_a_time(run, monkeypatch, request_):
    """Each byte is in time, the request is not; others are served meanwhile."""
    monkeypatch.setattr(handler, '_SECONDS', 1.0)
    proxy = run()
    text = f'GET {request_} HTTP/1.1\r\nHost: 127.0.0.1\r\n' + 'X-Slow: 1\r\n' * 500
    with socket.create_connection(proxy.address, timeout=20) as sock:
        started = time.monotonic()
        sent = 0
        with pytest.raises(OSError):  # reset, or a broken pipe
            for letter in text.encode():
                sock.sendall(bytes([letter]))
                sent += 1
                if sent == 5:
                    assert proxy.both()
                time.sleep(0.05)
        assert time.monotonic() - started < 15


# -- frames


@pytest.mark.parametrize('protocols', ['binary', 'binary, base64', 'base64,binary', None])
def test_binary_is_preferred(proxy, protocols):
    user, console = proxy.both(Sec_WebSocket_Protocol=protocols)
    assert ('Sec-WebSocket-Protocol: binary' in user.headers.replace(':  ', ': ')) == bool(
        protocols
    )
    console.sendall(b'\xff')
    assert user.receive() == (2, b'\xff')


def test_base64(proxy):
    user, console = proxy.both(Sec_WebSocket_Protocol='base64')
    console.sendall(b'\xff\x00')
    assert user.receive() == (TEXT, b'/wA=')
    user.send(base64.b64encode(b'ls\n'), TEXT)
    assert console.recv(10) == b'ls\n'
    user.send(b'!', TEXT)
    assert user.closed()[0] == 1007


def test_terminals_send_text(proxy):
    user, console = proxy.both()
    user.send('é'.encode(), TEXT)
    assert console.recv(10) == 'é'.encode()


def test_a_message_in_pieces_with_a_ping_between(proxy):
    user, console = proxy.both()
    user.send(b'one ', final=False)
    user.send(b'are you there', PING)
    user.send(b'two', 0)
    assert console.recv(10) == b'one two'
    assert user.receive() == (PONG, b'are you there')


@pytest.mark.parametrize(
    ('frames', 'code'),
    [
        ([(b'x', 0, True, True)], 1002),  # goes on with nothing
        ([(b'x', 2, False, True), (b'y', 2, True, True)], 1002),  # begins anew in the middle
        ([(b'x', 2, True, False)], 1002),  # without a mask
        ([(b'x', 3, True, True)], 1002),  # of no kind
        ([(b'x', 11, True, True)], 1002),
        ([(b'x', 0x42, True, True)], 1002),  # of an extension that was not agreed on
        ([(b'x', 9, False, True)], 1002),  # a ping in pieces
        ([(b'x', 8, False, True)], 1002),
        ([(b'x' * 126, 9, True, True)], 1002),  # and one that is too long
    ],
)
def test_frames_out_of_order(proxy, frames, code):
    user, console = proxy.both()
    for frame in frames:
        user.send(*frame)
    assert user.closed()[0] == code
    assert console.recv(1) == b''
    assert proxy.both()


@pytest.mark.parametrize(
    ('payload', 'answer'),
    [
        (b'', None),  # no code at all, which is allowed
        ((1000).to_bytes(2, 'big') + b'bye', 1000),
        ((4000).to_bytes(2, 'big'), 4000),
        (b'\x03', 1002),  # half a code
        ((1005).to_bytes(2, 'big'), 1002),  # a code that is never sent
        ((7).to_bytes(2, 'big'), 1002),
        ((1000).to_bytes(2, 'big') + b'\xff\xfe', 1002),  # a reason that is no text
        ((1000).to_bytes(2, 'big') + b'x' * 300, 1002),  # a control frame that is too long
    ],
)
def test_whatever_a_browser_says_at_the_end(proxy, payload, answer):
    """It is answered, the console behind it is closed, and the proxy goes on."""
    user, console = proxy.both()
    user.send(payload, CLOSE)
    assert console.recv(1) == b''
    opcode, data = user.receive()
    assert opcode == CLOSE
    assert (int.from_bytes(data[:2], 'big') if data else None) == answer
    assert proxy.both()


def test_what_comes_after_a_close_is_not_carried(proxy):
    user, console = proxy.both()
    user.sock.sendall(make_frame((1000).to_bytes(2, 'big'), CLOSE) + make_frame(b'rm -rf\r'))
    assert console.recv(100) == b''
    assert proxy.both()


@pytest.mark.parametrize('length', [MOST + 65536, 2**40, 2**63 - 1])
def test_a_message_without_end(proxy, length):
    user, console = proxy.both()
    user.sock.sendall(b'\x82\xff' + length.to_bytes(8, 'big') + b'mask')
    with pytest.raises((ConnectionError, TimeoutError)):
        user.sock.settimeout(10)
        while True:
            user.sock.sendall(b'x' * 65536)
    assert console.recv(1) == b''
    assert proxy.both()


def test_pings_without_end_of_one_who_does_not_read(proxy):
    user, _ = proxy.both()
    user.sock.settimeout(0.5)
    with pytest.raises((ConnectionError, TimeoutError)):
        for _ in range(2000):
            user.send(b'x' * 65000, PING, mask=True)
    user.close()
    assert proxy.both()


# -- TLS


@pytest.fixture
def secure(run, tmp_path):
    authority, certificate, key = certificates.make(tmp_path)
    context = ssl.create_default_context(cafile=str(authority))

    def start(**options):
        options.setdefault('base_url', 'wss://127.0.0.1:6083/')
        return run(cert=str(certificate), key=str(key), **options), context

    return start


def test_tls(secure):
    proxy, context = secure()
    user, console = proxy.both(context=context, Origin='https://127.0.0.1')
    content = bytes(range(256)) * 4096
    console.sendall(content)
    assert user.read(len(content)) == content
    user.send(b'x' * 100000)
    found = b''
    while len(found) < 100000:
        found += console.recv(65536)
    console.close()
    assert user.closed()[0] == 1000


def test_one_port_serves_both_unless_told_otherwise(secure):
    proxy, _ = secure(base_url='ws://127.0.0.1:6083/')
    assert proxy.both()
    proxy, context = secure(ssl_only=True)
    with pytest.raises((Rejected, ConnectionError)):
        proxy.open()
    assert proxy.both(context=context)


def test_old_versions_and_ciphers_are_refused(secure):
    proxy, context = secure(
        console__ssl_minimum_version='tlsv1_2', console__ssl_ciphers='ECDHE+AESGCM'
    )
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers('ECDHE+CHACHA20')
    with pytest.raises(ssl.SSLError):
        proxy.open(context=context)
    context.set_ciphers('ECDHE+AESGCM')
    assert proxy.both(context=context)
    proxy, _ = secure(console__ssl_minimum_version='tlsv1_3')
    with pytest.raises(ssl.SSLError):
        proxy.open(context=context)


def test_a_certificate_is_needed_when_told_so(run):
    from kilonova.common import exception

    with pytest.raises(exception.KilonovaError, match='not there'):
        run(ssl_only=True)


def test_a_client_that_does_not_finish_its_handshake(secure, monkeypatch):
    monkeypatch.setattr(listener, '_HANDSHAKE', 0.3)
    proxy, context = secure()
    with socket.create_connection(proxy.address, timeout=20) as sock:
        sock.sendall(b'\x16\x03\x01')
        assert sock.recv(1) == b''
    assert WebsocketClient(proxy.address, f'/?token={TOKEN}', {}, context)
