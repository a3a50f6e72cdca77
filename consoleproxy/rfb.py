"""The beginning of RFB (RFC 6143): the proxy identifies itself to the VNC server, the token did
so for the user, who therefore needs no password there."""

import socket
import struct

from oslo_config import cfg

from kilonova.consoleproxy import vencrypt
from kilonova.consoleproxy.browser import Browser
from kilonova.consoleproxy.target import SECONDS, Unreachable, read_exactly

VERSION = b'RFB 003.008\n'
NONE, VENCRYPT = 1, 19
_SCHEMES = {'none': NONE, 'vencrypt': VENCRYPT}
_LONGEST = 1024
"""Bytes of an explanation that we read."""


def begin(conf: cfg.ConfigOpts, browser: Browser, target: socket.socket) -> socket.socket:
    """Go on until SecurityResult is the next message; returns the socket to go on with.

    Raises Unreachable, OSError, Gone.
    """
    try:
        kind = _choose(conf, _offered(target))
    except Unreachable as error:
        _explain(browser, str(error))
        raise
    target.sendall(bytes([kind]))
    if kind == VENCRYPT:
        target = vencrypt.begin(conf, target)
    browser.send(VERSION)
    if browser.exactly(len(VERSION), SECONDS) != VERSION:
        raise Unreachable('the browser does not speak RFB 3.8')
    browser.send(bytes([1, NONE]))
    if browser.exactly(1, SECONDS) != bytes([NONE]):
        raise Unreachable('the browser does not take what it is offered')
    return target


def _offered(target: socket.socket) -> bytes:
    version = read_exactly(target, len(VERSION))
    if version != VERSION:
        raise Unreachable('the VNC server does not speak RFB 3.8')
    target.sendall(VERSION)
    count = read_exactly(target, 1)[0]
    if not count:
        raise Unreachable(f'the VNC server refused: {_explanation(target)}')
    return read_exactly(target, count)


def _choose(conf: cfg.ConfigOpts, offered: bytes) -> int:
    for name in conf.vnc.auth_schemes:
        if _SCHEMES[name] in offered:
            return _SCHEMES[name]
    wanted = ', '.join(conf.vnc.auth_schemes)
    raise Unreachable(f'the VNC server offers none of {wanted}')


def _explanation(target: socket.socket) -> str:
    (length,) = struct.unpack('>I', read_exactly(target, 4))
    return read_exactly(target, min(length, _LONGEST)).decode(errors='replace')


def _explain(browser: Browser, reason: str) -> None:
    """Let the browser show why there is no way in: no security types, and a text."""
    text = reason.encode()
    browser.send(VERSION)
    browser.exactly(len(VERSION), SECONDS)
    browser.send(bytes([0]) + struct.pack('>I', len(text)) + text)
