"""A TCP or TLS connection that never blocks: what cannot be sent yet waits here."""

import collections
import errno
import os
import socket
import ssl
from typing import Any

ROOM = 256 * 1024
"""Bytes that may wait; who has more to send has to wait himself."""

_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """Looks like a socket to websockify.

    ``send`` takes everything; ``is_full`` says when to stop asking for more.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._waiting: collections.deque[memoryview] = collections.deque()
        self._count = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def setsockopt(self, *args: Any) -> None:
        self._socket.setsockopt(*args)

    @property
    def has_waiting(self) -> bool:
        """Whether ``flush`` has something to do."""
        return bool(self._waiting)

    @property
    def is_full(self) -> bool:
        return self._count >= ROOM

    def pending(self) -> int:
        """Return how many bytes TLS has read that no select() tells of."""
        return self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0

    def recv(self, size: int) -> bytes:
        """Return what has come, b'' at the end.  Raises BlockingIOError when nothing has."""
        try:
            return self._socket.recv(size)
        except _NOT_YET:
            raise BlockingIOError(errno.EWOULDBLOCK, 'nothing has come yet') from None

    def send(self, data: bytes) -> int:
        sent = 0 if self._waiting else self._try(data)
        if sent < len(data):
            self._waiting.append(memoryview(data)[sent:])
            self._count += len(data) - sent
        return len(data)

    def flush(self) -> None:
        """Send what goes."""
        while self._waiting:
            first = self._waiting[0]
            sent = self._try(first)
            self._count -= sent
            if sent < len(first):
                self._waiting[0] = first[sent:]
                return
            self._waiting.popleft()

    def _try(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except _NOT_YET:
            return 0

    def close(self) -> None:
        self._socket.close()

    def end(self) -> None:
        """Make the other side, and who waits for it in another thread, see the end."""
        cut(self._socket, socket.SHUT_RDWR)

    def end_writing(self) -> None:
        """Tell the other side that nothing more comes."""
        cut(self._socket, socket.SHUT_WR)


def cut(sock: socket.socket, how: int) -> None:
    """Shut a connection down below TLS, which would forget its state while another thread reads."""
    try:
        with socket.socket(fileno=os.dup(sock.fileno())) as twin:
            twin.shutdown(how)
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.EBADF):
            raise
