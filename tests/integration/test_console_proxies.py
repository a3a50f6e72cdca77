"""A console proxy as a process: tokens checked over RabbitMQ, options on the command line."""

import os
import pathlib
import socket
import subprocess
import urllib.parse

import psutil
import pytest
import requests

from kilonova.tests.fakes.websocket_client import Rejected, WebsocketClient
from kilonova.tests.integration.processes import free_port, port_open, wait_for
from kilonova.tests.integration.stack import Stack

pytestmark = pytest.mark.integration

NAME = 'nova-novncproxy'


@pytest.fixture(params=['eventlet', 'threading'])
def port(stack: Stack, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> int:
    (tmp_path / 'vnc.html').write_text('client')
    found = free_port()
    own = tmp_path / 'proxy.conf'
    own.write_text(
        f'[DEFAULT]\nconcurrency_backend = {request.param}\n'
        f'[vnc]\nnovncproxy_host = 127.0.0.1\nnovncproxy_port = {found}\n'
    )
    command = [stack.program(NAME), '--config-file', str(stack.conf), '--config-file', str(own)]
    stack.processes.start(NAME, [*command, '--web', str(tmp_path)])
    wait_for(NAME, lambda: port_open(found), 60)
    return found


def test_a_proxys_life(stack: Stack, port: int) -> None:
    uuid = stack.boot(stack.flavor(f'm1.{port}'), stack.glance.add())
    stack.wait_status(uuid, 'ACTIVE')
    body = {'remote_console': {'protocol': 'vnc', 'type': 'novnc'}}
    answer = stack.call('POST', f'/servers/{uuid}/remote-consoles', body)
    assert answer.status_code == 200, answer.text
    url = urllib.parse.urlsplit(answer.json()['remote_console']['url'])
    (path,) = urllib.parse.parse_qs(url.query)['path']

    page = requests.get(f'http://127.0.0.1:{port}/vnc.html', timeout=20)
    assert (page.status_code, page.text) == (200, 'client')
    with pytest.raises(Rejected) as refused:
        WebsocketClient(('127.0.0.1', port), '/?token=11111111-1111-1111-1111-111111111111')
    assert refused.value.status == 403
    # The fake driver's consoles are nowhere: the token is good, and that is all.
    user = WebsocketClient(('127.0.0.1', port), f'/{path}', timeout=60)
    assert user.closed() == (1011, 'The console cannot be reached.')
    with socket.create_connection(('127.0.0.1', port)) as idle:
        assert stack.processes.stop(NAME) == 0
        idle.settimeout(10)
        assert idle.recv(1) == b''
    token = path.rpartition('=')[2]
    assert token not in stack.processes.log(NAME), 'a token is in the log'


@pytest.mark.parametrize('backend', ['eventlet', 'threading'])
def test_a_proxy_in_the_background(stack: Stack, tmp_path: pathlib.Path, backend: str) -> None:
    """``--daemon``: the command is over, what it leaves listens, in a session of its own."""
    (tmp_path / 'vnc.html').write_text('client')
    found = free_port()
    own = tmp_path / 'proxy.conf'
    own.write_text(
        f'[DEFAULT]\nconcurrency_backend = {backend}\nlog_file = {tmp_path}/log\n'
        f'[vnc]\nnovncproxy_host = 127.0.0.1\nnovncproxy_port = {found}\n'
    )
    command = [stack.program(NAME), '--config-file', str(stack.conf), '--config-file', str(own)]
    command += ['--web', str(tmp_path), '--daemon']
    done = subprocess.run(command, timeout=60, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    wait_for(NAME, lambda: port_open(found), 60)
    (pid,) = {
        one.pid
        for one in psutil.net_connections('tcp')
        if one.laddr and one.laddr[1] == found and one.status == psutil.CONN_LISTEN
    }
    assert pid is not None
    left = psutil.Process(pid)
    assert os.getsid(left.pid) == left.pid and left.terminal() is None
    page = requests.get(f'http://127.0.0.1:{found}/vnc.html', timeout=20)
    assert (page.status_code, page.text) == (200, 'client')
    left.terminate()
    wait_for('its end', lambda: not port_open(found), 30)
