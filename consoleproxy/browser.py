"""The user's end of an open console."""

import selectors
import time
from typing import Any

from kilonova.consoleproxy.wire import Wire

_PATIENCE = 2.0
"""Seconds that a browser gets to say goodbye."""
_REASON = 123
"""Bytes of the longest reason that a close frame can carry."""


class Gone(Exception):
    """The browser has left."""


class Browser:
    """Messages to and from a websocket, as websockify's handler reads, writes and records them."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._early = b''

    @property
    def wire(self) -> Wire:
        wire: Wire | None = self._handler.request.wire
        if wire is None:
            raise Gone
        return wire

    def send(self, data: bytes) -> None:
        self._handler.send_frames([data])

    def receive(self) -> bytes:
        """Return what has come.  Raises Gone."""
        messages, closed = self._handler.recv_frames()
        found = b''.join(messages)
        if closed and not found:
            raise Gone
        return found

    def exactly(self, count: int, seconds: float) -> bytes:
        """Wait for that many bytes.  Raises Gone."""
        deadline = time.monotonic() + seconds
        found = self.early()
        while len(found) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Gone
            wire = self.wire
            wire.flush()
            if wire.pending() or _readable(wire, min(left, 1.0)):
                found += self.receive()
        self._early = found[count:]
        return found[:count]

    def early(self) -> bytes:
        """Return what came together with the last thing that was waited for."""
        found, self._early = self._early, b''
        return found

    @property
    def is_closing(self) -> bool:
        """Whether a close frame has been sent because of what the browser did."""
        return self._handler.request.close_code is not None

    def close(self, code: int, reason: str) -> None:
        """Say why it is over, and wait a little until the browser has read it."""
        socket = self._handler.request
        if socket.wire is None:
            return
        while len(reason.encode()) > _REASON:
            reason = reason[:-1]
        if not self.is_closing:
            socket.shutdown(None, code, reason)
        deadline = time.monotonic() + _PATIENCE
        while (wire := socket.wire) is not None and time.monotonic() < deadline:
            wire.flush()
            if not wire.has_waiting:
                wire.end_writing()
            if _readable(wire, 0.2) and not _discard(wire):
                return


def _readable(wire: Wire, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(wire, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _discard(wire: Wire) -> bool:
    """Read what nobody wants to know any more; tells whether there may come more."""
    try:
        return bool(wire.recv(65536))
    except BlockingIOError:
        return True
    except OSError:
        return False
