"""Takes connections from browsers: a thread for each, not more than there may be."""

import itertools
import os
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import concurrency, exception
from kilonova.conductor.interface import ConductorInterface
from kilonova.consoleproxy import tls
from kilonova.consoleproxy.handler import Handler
from kilonova.consoleproxy.kinds import Kind
from kilonova.consoleproxy.session import GOING_AWAY, End
from kilonova.consoleproxy.watch import Watch
from kilonova.consoleproxy.wire import cut

LOG = logging.getLogger(__name__)

_BACKLOG = 128
_HANDSHAKE = 10.0
_SURPLUS = 50
"""Connections above the limit that are told so; those above that are closed."""
_SHUTDOWN = End(GOING_AWAY, 'The proxy is being stopped; open the console again.')
_LAST_WORDS = 5.0


class Connection:
    """One connection: whoever has not said what he wants until ``deadline`` has to go."""

    def __init__(self, number: int, sock: socket.socket, is_surplus: bool) -> None:
        self.number, self.sock, self.is_surplus = number, sock, is_surplus
        self.deadline: float | None = time.monotonic() + _HANDSHAKE

    def cut(self) -> None:
        """Wake its thread with the end of what it reads."""
        cut(self.sock, socket.SHUT_RDWR)


class Listener:
    """One proxy's port; what handlers know of the world."""

    # What websockify looks for.
    file_only, daemon, verbose, ws_connection = True, False, False, False

    def __init__(
        self, conf: cfg.ConfigOpts, kind: Kind, conductor: ConductorInterface, web: str
    ) -> None:
        self.conf, self.kind, self.conductor = conf, kind, conductor
        self.web, self.record = web, conf.record or ''
        if web and not os.path.isdir(web):
            LOG.warning('%s has no client to serve: there is no %s', kind.program, web)
        self.only_upgrade = not self.web
        self.watch = Watch(conf, conductor)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._stopped = threading.Event()
        self._accepting: Future[Any] | None = None
        self._tls = tls.context(conf)
        self._socket = self._listen()
        self.port: int = self._socket.getsockname()[1]

    def _listen(self) -> socket.socket:
        group = self.conf[self.kind.group]
        host, port = group[self.kind.host], group[self.kind.port]
        wanted = socket.AF_INET6 if self.conf.source_is_ipv6 else socket.AF_INET
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            # Some names have addresses of both kinds.
            family, _, _, _, address = min(found, key=lambda one: one[0] != wanted)
            sock = socket.create_server(address, family=family, backlog=_BACKLOG)
        except OSError as error:
            raise exception.KilonovaError(
                f'{self.kind.program} cannot listen on {host} port {port}: {error}'
            ) from error
        LOG.info('%s listens on %s port %s', self.kind.program, *sock.getsockname()[:2])
        return sock

    def start(self) -> None:
        self.watch.start()
        self._accepting = concurrency.spawn(self._accept)
        concurrency.spawn(self._cut_slow)

    def stop(self) -> None:
        """Take no more connections; say goodbye to those that are there."""
        self._stopped.set()
        cut(self._socket, socket.SHUT_RDWR)  # wakes the thread that accepts
        if self._accepting is not None:
            self._accepting.result(_LAST_WORDS)
        self._socket.close()
        self.watch.stop(_SHUTDOWN)
        for connection in self._open():
            if connection.deadline is not None:
                connection.cut()
        deadline = time.monotonic() + _LAST_WORDS
        while self._open() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _open(self) -> list[Connection]:
        with self._lock:
            return list(self._connections)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                sock, address = self._socket.accept()
            except OSError as error:
                if not self._stopped.is_set():
                    LOG.warning('A connection could not be taken: %s', error)
                    time.sleep(0.1)  # no descriptors: some will be given back
                continue
            self._take(sock, address)

    def _take(self, sock: socket.socket, address: Any) -> None:
        surplus = len(self._connections) - self.conf.console.max_connections
        if surplus >= _SURPLUS:
            LOG.warning('Too many connections: %s is turned away', address[0])
            sock.close()
            return
        connection = Connection(next(self._numbers), sock, surplus >= 0)
        with self._lock:
            self._connections.add(connection)
        concurrency.spawn(self._serve, connection, address)

    def _serve(self, connection: Connection, address: Any) -> None:
        sock: socket.socket | ssl.SSLSocket | None = None
        try:
            connection.sock.settimeout(_HANDSHAKE)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = tls.wrap(connection.sock, self._tls, self.conf.ssl_only)
            if sock is not None:
                connection.sock = sock
                if isinstance(sock, ssl.SSLSocket):
                    sock.do_handshake()
                Handler(sock, address, self, connection)
        except OSError as error:
            LOG.debug('%s has gone: %s', address[0], error)
        except Exception:
            LOG.exception('A connection of %s failed', address[0])
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.sock.close()

    def _cut_slow(self) -> None:
        while not self._stopped.wait(2):
            now = time.monotonic()
            for connection in self._open():
                if connection.deadline is not None and connection.deadline < now:
                    connection.cut()
