"""A proxy on a whole cloud: the URL that the API gives, and what becomes of it."""

import contextlib
import socket
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common.objects.console import ConsolePlace
from kilonova.compute.virt.fake_consoles import FakeConsoles
from kilonova.consoleproxy import kinds
from kilonova.consoleproxy.service import Proxy
from kilonova.tests.fakes.websocket_client import Rejected, WebsocketClient
from kilonova.tests.functional.cloud import Cloud

CLOUD = {
    'hosts': 2,
    'extra': """
[serial_console]
enabled = true
serialproxy_host = 127.0.0.1
serialproxy_port = 0
base_url = ws://127.0.0.1:6083/
[vnc]
novncproxy_host = 127.0.0.1
novncproxy_port = 0
novncproxy_base_url = http://127.0.0.1:6080/vnc_lite.html
[consoleauth]
token_ttl = 600
""",
}
pytestmark = pytest.mark.usefixtures('clean')
SECONDS = 20


class Running(Proxy):
    """A proxy that knows how its consoles are asked for, and how they begin."""

    protocol: str
    type: str


@pytest.fixture(scope='module', params=['serial', 'vnc'])
def proxy(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[Running]:
    cloud.conf.set_override('web', '')
    kind = {'serial': kinds.SERIAL, 'vnc': kinds.NOVNC}[request.param]
    made = Running(kind, cloud.conf, cloud.transport)
    made.protocol, made.type = request.param, kind.console_type
    made.start()
    yield made
    made.stop()


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where the fake driver says that consoles are."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.settimeout(SECONDS)
        place = ConsolePlace(host='127.0.0.1', port=listener.getsockname()[1])
        original = FakeConsoles._place

        def here(self: FakeConsoles, server: Any, host: str, tls: int | None = None) -> Any:
            original(self, server, host, tls)  # it has to be running
            return place

        monkeypatch.setattr(FakeConsoles, '_place', here)
        yield listener


@pytest.fixture
def server(cloud: Cloud, flavor: str, image: str) -> str:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def token(cloud: Cloud, proxy: Running, uuid: str) -> str:
    body = {'remote_console': {'protocol': proxy.protocol, 'type': proxy.type}}
    answer = cloud.call('POST', f'/servers/{uuid}/remote-consoles', body)
    assert answer.status == 200, answer.text
    url = urllib.parse.urlsplit(urllib.parse.unquote(answer.json['remote_console']['url']))
    return url.query.rpartition('token=')[2]


def connect(proxy: Proxy, token: str) -> WebsocketClient:
    address = ('127.0.0.1', proxy.port)
    return WebsocketClient(address, f'/?token={token}', {}, timeout=SECONDS)


@contextlib.contextmanager
def opened(proxy: Running, token: str, guest: socket.socket) -> Iterator[WebsocketClient]:
    user = connect(proxy, token)
    console, _ = guest.accept()
    console.settimeout(SECONDS)
    if proxy.protocol == 'vnc':
        _begin_vnc(user, console)
    console.sendall(b'login:')
    assert user.read(6) == b'login:'
    yield user
    user.close()
    console.close()


def _begin_vnc(user: WebsocketClient, console: socket.socket) -> None:
    version = b'RFB 003.008\n'
    console.sendall(version)
    assert console.recv(12) == version
    console.sendall(b'\1\1')
    assert console.recv(1) == b'\1'
    assert user.read(12) == version
    user.send(version)
    assert user.read(2) == b'\1\1'
    user.send(b'\1')


def refused(proxy: Proxy, token: str) -> int:
    with pytest.raises(Rejected) as rejected:
        connect(proxy, token)
    return rejected.value.status


def test_a_server_that_is_stopped(
    cloud: Cloud, proxy: Running, guest: socket.socket, server: str
) -> None:
    given = token(cloud, proxy, server)
    with opened(proxy, given, guest) as user:
        assert cloud.action(server, **{'os-stop': None}).status == 202
        cloud.wait_status(server, 'SHUTOFF')
        proxy.watch.look()
        assert user.closed() == (1000, 'The server has been stopped.')
    assert refused(proxy, given) == 403


def test_a_server_that_is_deleted(
    cloud: Cloud, proxy: Running, guest: socket.socket, server: str
) -> None:
    given = token(cloud, proxy, server)
    with opened(proxy, given, guest) as user:
        assert cloud.call('DELETE', f'/servers/{server}').status == 204
        cloud.wait_gone(server)
        proxy.watch.look()
        assert user.closed() == (1000, 'The server has been deleted.')
    assert refused(proxy, given) == 403


def test_a_server_that_is_migrated_running(
    cloud: Cloud, proxy: Running, guest: socket.socket, server: str
) -> None:
    given = token(cloud, proxy, server)
    with opened(proxy, given, guest) as user:
        body = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
        assert cloud.admin('POST', f'/servers/{server}/action', body).status == 202
        cloud.wait_status(server, 'ACTIVE')
        proxy.watch.look()
        code, reason = user.closed()
        assert code == 1000 and 'moved to another host' in reason
    assert refused(proxy, given) == 403
    with opened(proxy, token(cloud, proxy, server), guest):
        pass


def test_a_console_that_is_elsewhere_by_now(
    cloud: Cloud, proxy: Running, guest: socket.socket, server: str, monkeypatch: Any
) -> None:
    """Another guest may have got the port: the token opens nothing any more."""
    given = token(cloud, proxy, server)
    other = ConsolePlace(host='127.0.0.1', port=1)
    monkeypatch.setattr(FakeConsoles, '_place', lambda *args: other)
    assert refused(proxy, given) == 403


def test_a_token_of_another_kind(
    cloud: Cloud, proxy: Running, guest: socket.socket, server: str
) -> None:
    other = {'vnc': ('serial', 'serial'), 'serial': ('vnc', 'novnc')}[proxy.protocol]
    body = {'remote_console': dict(zip(('protocol', 'type'), other, strict=True))}
    answer = cloud.call('POST', f'/servers/{server}/remote-consoles', body)
    given = urllib.parse.unquote(answer.json['remote_console']['url']).rpartition('=')[2]
    assert refused(proxy, given) == 403
    assert refused(proxy, '00000000-0000-0000-0000-000000000000') == 403


def test_an_expired_token(cloud: Cloud, proxy: Running, guest: socket.socket, server: str) -> None:
    cloud.conf.set_override('token_ttl', 0, 'consoleauth')
    try:
        assert refused(proxy, token(cloud, proxy, server)) == 403
    finally:
        cloud.conf.clear_override('token_ttl', 'consoleauth')
