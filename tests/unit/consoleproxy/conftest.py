"""A proxy on loopback, a conductor that knows one token, and a console behind it."""

import contextlib
import socket
import threading
import time

import pytest
from oslo_config import cfg

from kilonova.common import base_config, config, exception
from kilonova.common.objects.console import ConsoleAccess, ConsolePlace
from kilonova.consoleproxy import browser, kinds
from kilonova.consoleproxy import config as proxy_config
from kilonova.consoleproxy.listener import Listener
from kilonova.tests.fakes.websocket_client import WebsocketClient
from kilonova.tests.unit.api.fake_servers import make_server

TOKEN = '11111111-2222-3333-4444-555555555555'
WAIT = 20


class Console:
    """A hypervisor's port: each connection that comes is ``accept``-ed by the test."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.listener.settimeout(WAIT)
        self.port = self.listener.getsockname()[1]

    def accept(self):
        sock, _ = self.listener.accept()
        sock.settimeout(WAIT)
        return sock


class Conductor:
    """Knows TOKEN; ``server`` is the token's server, None when it is gone."""

    def __init__(self, port, console_type, base_url):
        self.access = ConsoleAccess(
            instance_uuid=make_server(1).uuid,
            console_type=console_type,
            place=ConsolePlace(host='127.0.0.1', port=port),
            base_url=base_url,
            compute_host='host1',
        )
        self.server = make_server(1, host='host1')
        self.is_up = True
        self.asked = []

    def validate_console_token(self, context, token):
        self.asked.append(token)
        if not self.is_up:
            raise exception.ServiceUnavailable()
        if token != TOKEN:
            raise exception.TokenNotFound()
        return self.access

    def get_server(self, context, uuid):
        assert uuid == self.access.instance_uuid
        if self.server is None:
            raise exception.InstanceNotFound(instance_id=uuid)
        return self.server


class Running:
    """One proxy with what is around it."""

    def __init__(self, folder, kind=kinds.SERIAL, base_url='ws://127.0.0.1:6083/', **options):
        self.console = Console()
        self.conductor = Conductor(self.console.port, kind.console_type, base_url)
        self.conf = make_conf(folder, kind, options)
        self.listener = Listener(self.conf, kind, self.conductor, self.conf.web)
        self.listener.start()
        self.address = ('127.0.0.1', self.listener.port)

    def open(self, path=f'/?token={TOKEN}', context=None, **headers):
        named = {name.replace('_', '-'): value for name, value in headers.items()}
        return WebsocketClient(self.address, path, named, context, WAIT)

    def both(self, **more):
        """Return an open console: the user's end and the hypervisor's."""
        user = self.open(**more)
        return user, self.console.accept()

    def http(self, request):
        """Return the answer to raw bytes, all of it until the server closes."""
        with socket.create_connection(self.address, timeout=WAIT) as sock:
            sock.sendall(request)
            found = b''
            while more := sock.recv(65536):
                found += more
        return found

    def close(self):
        self.listener.stop()
        self.console.listener.close()


def make_conf(folder, kind, options):
    conf = cfg.ConfigOpts()
    for room in (base_config, proxy_config):
        config.register(room.list_opts(), conf)
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    conf.set_override(kind.host, '127.0.0.1', kind.group)
    conf.set_override(kind.port, 0, kind.group)
    conf.set_override('web', '')
    conf.set_override('cert', str(folder / 'self.pem'))
    for name, value in options.items():
        group, _, option = name.rpartition('__')
        conf.set_override(option, value, group or None)
    return conf


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Start proxies that end with the test; none leaves a thread behind."""
    monkeypatch.setattr(browser, '_PATIENCE', 0.3)  # most tests do not say goodbye
    before = threading.active_count()
    with contextlib.ExitStack() as stack:

        def start(*args, **options):
            made = Running(tmp_path, *args, **options)
            stack.callback(made.close)
            return made

        yield start
    deadline = time.monotonic() + WAIT
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.005)
    assert threading.active_count() <= before


@pytest.fixture
def proxy(run):
    return run()
