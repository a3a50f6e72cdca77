"""The built-in web server: eventlet's or cheroot's, as the concurrency backend wants."""

import socket
import ssl
import threading
import urllib.parse
from typing import Any, Protocol

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.api import patience
from kilonova.common import concurrency, exception

LOG = logging.getLogger(__name__)

# What each API is called in nova.conf: the options of its address.
_ADDRESS = {
    'osapi_compute': ('osapi_compute_listen', 'osapi_compute_listen_port'),
    'metadata': ('metadata_listen', 'metadata_listen_port'),
}
_BACKLOG = 128
_THREADS = 32
"""Requests at one time under threading; more wait in the queue of connections."""
_SLOWEST = 60
"""Seconds that all of a request may take to come."""


class Server(Protocol):
    """One listening address."""

    port: int

    def stop(self) -> None:
        """Take no more connections; returns when the requests in flight are answered."""


def serve(conf: cfg.ConfigOpts, applications: dict[str, Any], shared: bool = False) -> list[Server]:
    """Listen for each application by its API's name; the servers run in the background.

    ``shared``: other processes listen on the same ports, and the kernel spreads connections.
    """
    make = _Eventlet if concurrency.backend() == 'eventlet' else _Cheroot
    servers: list[Server] = []
    try:
        for name, application in applications.items():
            servers.append(make(conf, name, application, shared))
    except BaseException:
        for server in servers:
            server.stop()
        raise
    return servers


def _listen(conf: cfg.ConfigOpts, name: str, shared: bool) -> socket.socket:
    host, port = (conf[option] for option in _ADDRESS[name])
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted connections inherit these.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, conf.wsgi.tcp_keepidle)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise exception.KilonovaError(
            f'{name} cannot listen on {host} port {port}: {error}'
        ) from error
    LOG.info('%s listens on %s port %s', name, host, sock.getsockname()[1])
    return sock


def _tls(conf: cfg.ConfigOpts, name: str) -> ssl.SSLContext | None:
    """Return what an API of ``enabled_ssl_apis`` identifies itself with."""
    if name not in conf.enabled_ssl_apis:
        return None
    options = conf.wsgi
    if not options.ssl_cert_file or not options.ssl_key_file:
        raise exception.KilonovaError(f'{name} needs [wsgi]ssl_cert_file and ssl_key_file')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.ssl_cert_file, options.ssl_key_file)
        if options.ssl_ca_file:
            context.load_verify_locations(options.ssl_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise exception.KilonovaError(f'{name} cannot use its certificate: {error}') from error
    return context


class _Eventlet:
    """A greenthread for each connection."""

    def __init__(self, conf: cfg.ConfigOpts, name: str, application: Any, shared: bool) -> None:
        import eventlet
        from eventlet import wsgi

        context = _tls(conf, name)
        sock = _listen(conf, name, shared)
        self.port = sock.getsockname()[1]
        if context is not None:
            # The handshake is the connection's greenthread's work, not the acceptor's.
            sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        wsgi.MAX_HEADER_LINE = conf.wsgi.max_header_line
        self._greenthread = eventlet.spawn(
            wsgi.server,
            sock,
            application,
            log=logging.getLogger('eventlet.wsgi.server'),
            log_output=False,  # request_log writes a line already
            custom_pool=eventlet.GreenPool(conf.wsgi.default_pool_size),
            keepalive=conf.wsgi.keep_alive,
            socket_timeout=conf.wsgi.client_socket_timeout or None,
            url_length_limit=conf.wsgi.max_header_line,
            protocol=patience.eventlet_protocol(_SLOWEST),
            debug=False,
        )

    def stop(self) -> None:
        import greenlet

        # On its way out the server closes idle connections and waits for the others.
        self._greenthread.kill()
        try:
            self._greenthread.wait()
        except greenlet.GreenletExit:
            LOG.debug('The server on port %s has stopped', self.port)


class _Cheroot:
    """A pool of threads."""

    def __init__(self, conf: cfg.ConfigOpts, name: str, application: Any, shared: bool) -> None:
        from cheroot import wsgi

        context = _tls(conf, name)
        sock = _listen(conf, name, shared)
        self.port = sock.getsockname()[1]
        threads = min(conf.wsgi.default_pool_size or _THREADS, _THREADS)
        self._server = wsgi.Server(
            sock.getsockname()[:2],
            application,
            numthreads=threads,
            # A connection in the middle of a request holds a thread: it may not be slow for long.
            timeout=min(conf.wsgi.client_socket_timeout or _SLOWEST, _SLOWEST),
            # After that nothing more is read, and what is being answered is waited for.
            shutdown_timeout=1,
        )
        self._server.gateway = _gateway()
        self._server.ConnectionClass = patience.cheroot_connection(_SLOWEST)
        self._server.max_request_header_size = 8 * conf.wsgi.max_header_line
        self._server.keep_alive_conn_limit = threads if conf.wsgi.keep_alive else 0
        if context is not None:
            self._server.ssl_adapter = _adapter(conf, context)
        self._adopt(sock)
        self._thread = threading.Thread(target=self._server.serve, daemon=True, name=name)
        self._thread.start()

    def _adopt(self, sock: socket.socket) -> None:
        """Give the server our socket: it makes none of its own."""
        setattr(self._server, 'bind', lambda *_: setattr(self._server, 'socket', sock))  # noqa: B010
        self._server.prepare()

    def stop(self) -> None:
        self._server.stop()
        self._thread.join()


def _gateway() -> type:
    """Return what hands requests on; cheroot alone of all servers leaves %2F in paths."""
    from cheroot import wsgi

    class Gateway(wsgi.Gateway_10):
        def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
            environ: dict[str, Any] = super().get_environ()
            path = self.req.uri.partition(b'?')[0]
            if b'%2f' in path.lower():
                if not path.startswith(b'/'):
                    path = urllib.parse.urlsplit(path).path
                environ['PATH_INFO'] = urllib.parse.unquote_to_bytes(path).decode('latin-1')
            return environ

    return Gateway


def _adapter(conf: cfg.ConfigOpts, context: ssl.SSLContext) -> Any:
    from cheroot.ssl import builtin

    adapter = builtin.BuiltinSSLAdapter(conf.wsgi.ssl_cert_file, conf.wsgi.ssl_key_file)
    adapter.context = context
    return adapter
