"""An end to requests that come a byte at a time: each byte is in time, the request is not.

A time-out of a socket is about the next byte.  Here the waiting of one request is added up.
"""

import contextlib
import io
import socket
import time
from typing import Any

TIMED_OUT = b'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'


class Patience(io.RawIOBase):
    """Reads a connection, for ``seconds`` a request.

    The first request has to begin at once; between two requests the socket's own time-out counts.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, seconds: float) -> None:
        self._raw, self._sock, self._seconds = raw, sock, seconds
        self._left: float | None = seconds

    @property
    def has_begun(self) -> bool:
        """Whether something of a request has come."""
        return self._left is not None

    def next_request(self) -> None:
        self._left = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Raises TimeoutError."""
        if self._left is None:
            count = self._raw.readinto(buffer)
            self._left = self._seconds
            return count
        if self._left <= 0:
            raise TimeoutError('timed out')
        usual = self._sock.gettimeout()
        started = time.monotonic()
        self._sock.settimeout(self._left if usual is None else min(self._left, usual))
        try:
            return self._raw.readinto(buffer)
        finally:
            self._left -= time.monotonic() - started
            self._sock.settimeout(usual)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def eventlet_protocol(seconds: float) -> type:
    """Return eventlet's handler of connections, with patience."""
    from eventlet import wsgi

    class Protocol(wsgi.HttpProtocol):
        rfile: io.BufferedReader

        def setup(self) -> None:
            super().setup()
            self.rfile.close()
            raw = self.connection.makefile('rb', buffering=0)
            self._patience = Patience(raw, self.connection, seconds)
            self.rfile = io.BufferedReader(self._patience)
            self._is_first = True

        def handle_one_request(self) -> None:
            if not self._is_first:
                self._patience.next_request()
            self._is_first = False
            try:
                super().handle_one_request()
            except TimeoutError:
                self.close_connection = 1
                if self._patience.has_begun:
                    with contextlib.suppress(OSError):  # who was so slow may be gone
                        self.wfile.write(TIMED_OUT)

    return Protocol


def cheroot_connection(seconds: float) -> type:
    """Return cheroot's connection, with patience."""
    from cheroot import makefile, server

    class Reader(makefile.StreamReader):
        def __init__(self, sock: Any, mode: str, size: int) -> None:
            super().__init__(sock, mode, size)
            self.patience = Patience(self.detach(), sock, seconds)
            super(makefile.StreamReader, self).__init__(self.patience, size)

    class Connection(server.HTTPConnection):
        def __init__(self, server: Any, sock: Any, make: Any = makefile.MakeFile) -> None:
            def make_file(sock: Any, mode: str, size: int) -> Any:
                return Reader(sock, mode, size) if 'r' in mode else make(sock, mode, size)

            super().__init__(server, sock, make_file)
            self._is_first = True

        def communicate(self) -> bool:
            if not self._is_first:
                self.rfile.patience.next_request()
            self._is_first = False
            return bool(super().communicate())

    return Connection
