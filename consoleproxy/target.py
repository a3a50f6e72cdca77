"""The hypervisor's side of a connection."""

import socket

from kilonova.common.objects.console import ConsolePlace

SECONDS = 10.0
"""For connecting, and for each step of a handshake."""
_MOST_HEADERS = 4096


class Unreachable(Exception):
    """There is no console where it should be."""


def connect(place: ConsolePlace) -> socket.socket:
    """Return a connection to a console; its timeout is that of handshakes."""
    try:
        sock = socket.create_connection((place.host, place.port), timeout=SECONDS)
    except OSError as error:
        raise Unreachable(str(error)) from error
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A host that has gone without a word must not keep its consoles open.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        if place.internal_access_path:
            _enter(sock, place.internal_access_path)
    except (OSError, Unreachable):
        sock.close()
        raise
    return sock


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """Return that many bytes.  Raises OSError, Unreachable."""
    found = b''
    while len(found) < count:
        more = sock.recv(count - len(found))
        if not more:
            raise Unreachable('it closed the connection')
        found += more
    return found


def _enter(sock: socket.socket, path: str) -> None:
    """Tell a hypervisor that serves many consoles on one port which one is meant."""
    sock.sendall(f'CONNECT {path} HTTP/1.1\r\n\r\n'.encode())
    answer = b''
    while not answer.endswith(b'\r\n\r\n'):
        answer += read_exactly(sock, 1)
        if len(answer) > _MOST_HEADERS:
            raise Unreachable('its answer has no end')
    if answer.split(b' ', 2)[1:2] != [b'200']:
        raise Unreachable('it does not know the console')
