"""The three proxies: what is different between them."""

import socket
from collections.abc import Callable
from typing import NamedTuple

from oslo_config import cfg

from kilonova.consoleproxy import rfb
from kilonova.consoleproxy.browser import Browser


def _plain(_conf: cfg.ConfigOpts, _browser: Browser, target: socket.socket) -> socket.socket:
    """Begin at once: browser and console settle everything between them."""
    return target


class Kind(NamedTuple):
    """One proxy."""

    program: str
    console_type: str
    group: str
    host: str
    port: str
    web: str
    """Where the web client is when nothing else is said; empty: there is none."""
    begin: Callable[[cfg.ConfigOpts, Browser, socket.socket], socket.socket]


NOVNC = Kind(
    'nova-novncproxy',
    'novnc',
    'vnc',
    'novncproxy_host',
    'novncproxy_port',
    '/usr/share/novnc',
    rfb.begin,
)
SPICE = Kind(
    'nova-spicehtml5proxy',
    'spice-html5',
    'spice',
    'html5proxy_host',
    'html5proxy_port',
    '/usr/share/spice-html5',
    _plain,
)
SERIAL = Kind(
    'nova-serialproxy',
    'serial',
    'serial_console',
    'serialproxy_host',
    'serialproxy_port',
    '',
    _plain,
)
