"""The browser's side of a connection: websockify's framing, over a Wire."""

import base64
import binascii
from typing import Any

from websockify import websocketserver
from websockify.websocket import WebSocketWantReadError

from kilonova.consoleproxy.wire import Wire

MORE, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MOST = 1024 * 1024
"""Bytes of the longest message from a browser; a paste into a terminal is the longest there is."""
PROTOCOL_ERROR, TOO_LONG = 1002, 1009
MOST_CONTROL = 125
"""Bytes of the longest payload of a control frame."""


class Socket(websocketserver.HttpWebSocket):
    """Adds to websockify's: text from terminals, base64, and an end to long messages."""

    def accept(self, sock: Any, headers: Any) -> None:
        """Answer the upgrade; raises Exception with what is wrong with it."""
        super().accept(Wire(sock), headers)

    @property
    def wire(self) -> Wire | None:
        """The connection; None once it is closed."""
        return self.socket

    def select_subprotocol(self, protocols: list[str]) -> str:
        """Return the one offered that we like best; who offers none gets none."""
        for wanted in ('binary', 'base64', ''):
            for offered in protocols:
                if offered.strip() == wanted:
                    return offered
        raise ValueError('None of the protocols is spoken here: binary, base64')

    @property
    def is_base64(self) -> bool:
        return str(self.protocol).strip() == 'base64'

    def sendmsg(self, data: bytes) -> int:
        if not self.is_base64 or self._sent_close:
            return int(super().sendmsg(data))
        self._sendmsg(TEXT, base64.b64encode(data))
        return len(data)

    def recvmsg(self) -> bytes | None:
        """Return a message; None at the end.  Raises WebSocketWantReadError."""
        if self.close_code is None and len(self._recv_buffer) + len(self._partial_msg) > MOST:
            self._refuse_more()
        message = super().recvmsg()
        if message is None or not self.is_base64:
            return message
        try:
            return base64.b64decode(message, validate=True)
        except binascii.Error:
            self.shutdown(None, 1007, 'This is not base64.')
            raise WebSocketWantReadError from None

    def _refuse_more(self) -> None:
        self._recv_buffer, self._partial_msg = b'', b''
        self._recv_queue.clear()
        self.shutdown(None, TOO_LONG, f'A message may have {MOST} bytes.')

    def _decode_hybi(self, buffer: bytes) -> dict[str, Any] | None:
        """Decode a frame; what terminals send as text is bytes to a serial port.

        A frame that cannot be is refused for its first bytes: nobody waits for the rest.
        """
        if self.close_code is None and (fault := _fault(buffer)):
            self._recv_buffer = b''
            self.shutdown(None, PROTOCOL_ERROR, fault)
            return None
        frame: dict[str, Any] | None = super()._decode_hybi(buffer)
        if frame is not None and frame['opcode'] == TEXT:
            frame['opcode'] = BINARY
        if frame is not None and frame['opcode'] == CLOSE and not _is_goodbye(frame['payload']):
            self.shutdown(None, PROTOCOL_ERROR, 'A close frame that means nothing.')
        return frame


def _fault(buffer: bytes) -> str:
    """Return what is wrong with the head of a client's frame; '' when nothing is, so far."""
    if len(buffer) < 2:
        return ''
    opcode, length = buffer[0] & 0x0F, buffer[1] & 0x7F
    if buffer[0] & 0x70:
        return 'No extension is spoken here.'
    if opcode not in (MORE, TEXT, BINARY, CLOSE, PING, PONG):
        return 'A frame of no kind.'
    if opcode >= CLOSE and (not buffer[0] & 0x80 or length > MOST_CONTROL):
        return 'A control frame in pieces, or too long.'
    if not buffer[1] & 0x80:
        return 'A frame without a mask.'
    return ''


def _is_goodbye(payload: bytes) -> bool:
    """Whether a close frame has no code, or one that may be sent, and fits a control frame."""
    if not payload:
        return True
    code = int.from_bytes(payload[:2], 'big')
    is_known = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    return 2 <= len(payload) <= MOST_CONTROL and is_known
