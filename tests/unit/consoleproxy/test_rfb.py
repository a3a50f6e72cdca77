"""The proxy between a noVNC that needs no password and VNC servers that want to know who comes."""

import socket
import ssl
import struct
import threading

import pytest

from kilonova.consoleproxy import kinds
from kilonova.tests.integration import certificates

VERSION = b'RFB 003.008\n'


def start(run, **options):
    return run(kinds.NOVNC, 'http://127.0.0.1:6080/vnc.html', **options)


def offer(console, kinds_, version=VERSION):
    """Play the beginning of a VNC server."""
    console.sendall(version)
    assert console.recv(12) == VERSION
    console.sendall(bytes([len(kinds_), *kinds_]))


def log_in(user):
    """Play noVNC until the result of security is the next message."""
    assert user.read(12) == VERSION
    user.send(VERSION)
    assert user.read(2) == b'\1\1'
    user.send(b'\1')


def test_without_security(run):
    user, console = start(run).both()
    offer(console, [2, 1])
    assert console.recv(1) == b'\1'
    log_in(user)
    console.sendall(b'\0\0\0\0')
    assert user.read(4) == b'\0\0\0\0'
    user.send(b'\1')
    assert console.recv(1) == b'\1'


def test_a_browser_that_does_not_wait(run):
    """What comes in one frame with the handshake is for the server."""
    user, console = start(run).both()
    offer(console, [1])
    assert console.recv(1) == b'\1'
    user.send(VERSION[:5])
    user.send(VERSION[5:] + b'\1' + b'shared')
    assert console.recv(6) == b'shared'


@pytest.mark.parametrize(
    ('schemes', 'offered', 'why'),
    [(['none'], [2, 19], 'none'), (['vencrypt'], [1], 'vencrypt')],
)
def test_nothing_that_both_speak(run, tmp_path, schemes, offered, why):
    authority, _, _ = certificates.make(tmp_path)
    options = {'vnc__auth_schemes': schemes, 'vnc__vencrypt_ca_certs': str(authority)}
    user, console = start(run, **options).both()
    offer(console, offered)
    assert user.read(12) == VERSION
    user.send(VERSION)
    assert user.read(1) == b'\0'
    (length,) = struct.unpack('>I', user.read(4))
    assert why in user.read(length).decode()
    assert user.closed() == (1011, 'The console cannot be reached.')


def test_a_server_that_refuses(run):
    user, console = start(run).both()
    console.sendall(VERSION)
    console.recv(12)
    console.sendall(b'\0' + struct.pack('>I', 4) + b'busy')
    user.read(12)
    user.send(VERSION)
    user.read(5)
    assert b'busy' in user.read(len('the VNC server refused: busy'))


@pytest.mark.parametrize('first', [b'RFB 003.003\n', b'SSH-2.0-OpenSSH\n', b''])
def test_a_server_that_speaks_something_else(run, first):
    user, console = start(run).both()
    console.sendall(first)
    console.shutdown(socket.SHUT_WR)
    user.read(12)
    user.send(VERSION)
    assert user.closed()[0] == 1011


@pytest.mark.parametrize('words', [[b'RFB 003.003\n'], [VERSION, b'\2']])
def test_a_browser_that_speaks_something_else(run, words):
    user, console = start(run).both()
    offer(console, [1])
    assert console.recv(1) == b'\1'
    for word in words:
        user.send(word)
    assert user.closed()[0] == 1011


class SecureServer:
    """A VNC server that wants VeNCrypt with certificates, and then repeats what it hears."""

    def __init__(self, console, folder, subtypes=(260,)):
        authority, certificate, key = certificates.make(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.load_verify_locations(authority)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.console, self.subtypes = console, subtypes
        self.options = {
            'vnc__auth_schemes': ['vencrypt', 'none'],
            'vnc__vencrypt_ca_certs': str(authority),
            'vnc__vencrypt_client_cert': str(certificate),
            'vnc__vencrypt_client_key': str(key),
        }
        self.heard = b''

    def serve(self, console):
        offer(console, [1, 19])
        assert console.recv(1) == bytes([19])
        console.sendall(b'\0\2')
        assert console.recv(2) == b'\0\2'
        console.sendall(
            b'\0'
            + bytes([len(self.subtypes)])
            + struct.pack(f'>{len(self.subtypes)}I', *self.subtypes)
        )
        if 260 not in self.subtypes:
            return
        assert console.recv(4) == struct.pack('>I', 260)
        console.sendall(b'\1')
        try:
            with self.context.wrap_socket(console, server_side=True) as secure:
                secure.sendall(b'\0\0\0\0' + b'secret')
                self.heard = secure.recv(10)
        except ssl.SSLError as error:
            self.heard = str(error).encode()


def test_vencrypt(run, tmp_path):
    server = SecureServer(None, tmp_path)
    user, console = start(run, **server.options).both()
    thread = threading.Thread(target=server.serve, args=(console,))
    thread.start()
    log_in(user)
    assert user.read(10) == b'\0\0\0\0secret'
    user.send(b'hello')
    thread.join(20)
    assert server.heard == b'hello'


def test_a_server_of_another_authority(run, tmp_path):
    server = SecureServer(None, tmp_path)
    other = tmp_path / 'other'
    other.mkdir()
    authority, _, _ = certificates.make(other)
    options = server.options | {'vnc__vencrypt_ca_certs': str(authority)}
    user, console = start(run, **options).both()
    thread = threading.Thread(target=server.serve, args=(console,))
    thread.start()
    assert user.closed()[0] == 1011
    thread.join(20)
    assert b'alert' in server.heard.lower()


def test_vencrypt_without_certificates_is_not_enough(run, tmp_path):
    server = SecureServer(None, tmp_path, subtypes=(256, 262))
    user, console = start(run, **server.options).both()
    server.serve(console)
    assert user.closed()[0] == 1011
