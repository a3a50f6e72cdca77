"""A websocket client for tests, which can also misbehave."""

import base64
import contextlib
import os
import socket
import ssl
import struct
from typing import Any

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Rejected(Exception):
    """The server answered the upgrade with another status than 101."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f'{status} {text}')
        self.status, self.text = status, text


class WebsocketClient:
    """Connects when it is made; every wait ends after ``timeout`` seconds."""

    def __init__(
        self,
        address: tuple[str, int],
        path: str = '/',
        headers: dict[str, str | None] | None = None,
        context: ssl.SSLContext | None = None,
        timeout: float = 20,
    ) -> None:
        self.sock: socket.socket = socket.create_connection(address, timeout=timeout)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname=address[0])
        self._buffer = self._data = b''
        sent: dict[str, Any] = {
            'Host': f'{address[0]}:{address[1]}',
            'Upgrade': 'websocket',
            'Connection': 'Upgrade',
            'Sec-WebSocket-Key': base64.b64encode(os.urandom(16)).decode(),
            'Sec-WebSocket-Version': '13',
        }
        sent.update(headers or {})
        lines = [f'{name}: {value}' for name, value in sent.items() if value is not None]
        self.sock.sendall('\r\n'.join([f'GET {path} HTTP/1.1', *lines, '', '']).encode('latin-1'))
        self.headers = self._read_head()

    def _read_head(self) -> str:
        while b'\r\n\r\n' not in self._buffer:
            more = self.sock.recv(65536)
            if not more:
                raise Rejected(0, 'the connection was closed')
            self._buffer += more
        head, _, self._buffer = self._buffer.partition(b'\r\n\r\n')
        status = int(head.split()[1])
        if status != 101:
            self.sock.close()
            raise Rejected(status, head.decode('latin-1'))
        return head.decode('latin-1')

    def send(
        self, data: bytes, opcode: int = BINARY, final: bool = True, mask: bool = True
    ) -> None:
        self.sock.sendall(frame(data, opcode, final, mask))

    def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        first, second = self._exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack('>H', self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack('>Q', self._exactly(8))
        return first & 0x0F, self._exactly(length)

    def read(self, count: int) -> bytes:
        """Return that many bytes of data."""
        while len(self._data) < count:
            opcode, data = self.receive()
            assert opcode in (TEXT, BINARY), (opcode, data)
            self._data += data
        found, self._data = self._data[:count], self._data[count:]
        return found

    def read_until(self, wanted: bytes) -> bytes:
        found = b''
        while wanted not in found:
            opcode, data = self.receive()
            assert opcode in (TEXT, BINARY), (opcode, data, found[-200:])
            found += data
        return found

    def closed(self) -> tuple[int, str]:
        """Read on until the close frame; returns its code and reason, having answered it."""
        while True:
            opcode, data = self.receive()
            if opcode == CLOSE:
                with contextlib.suppress(OSError):  # the server has waited long enough
                    self.send(data[:2], CLOSE)
                return struct.unpack('>H', data[:2])[0], data[2:].decode()

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            more = self.sock.recv(65536)
            assert more, f'the connection was closed without a close frame: {self._buffer!r}'
            self._buffer += more
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def close(self) -> None:
        self.sock.close()


def frame(data: bytes, opcode: int = BINARY, final: bool = True, mask: bool = True) -> bytes:
    """Return a frame as clients send it."""
    bit = 0x80 if mask else 0
    head = bytes([opcode | (0x80 if final else 0)])
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65536:
        head += bytes([bit | 126]) + struct.pack('>H', len(data))
    else:
        head += bytes([bit | 127]) + struct.pack('>Q', len(data))
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[n % 4] for n, byte in enumerate(data))
