"""The APIs under web servers that operators bring: gunicorn and uWSGI."""

import pathlib
import sys
from collections.abc import Iterator

import psutil
import pytest
import requests

from kilonova.tests.integration.processes import free_port, wait_for
from kilonova.tests.integration.stack import BIN, Stack

pytestmark = pytest.mark.integration
# The daemons of the stack itself: what the applications need behind them.
STACK = {'daemons': ('nova-conductor', 'nova-scheduler', 'nova-compute')}


def _gunicorn(name: str, port: int) -> list[str]:
    return [
        str(BIN / 'gunicorn'), '--workers', '2', '--threads', '4', '--bind', f'127.0.0.1:{port}',
        f'kilonova.api.wsgi:{name}',
    ]  # fmt: skip


def _uwsgi(name: str, port: int) -> list[str]:
    return [
        str(BIN / 'uwsgi'), '--master', '--die-on-term', '--need-app', '--lazy-apps',
        '--enable-threads', '--processes', '2', '--threads', '4', '--http-socket',
        f'127.0.0.1:{port}', '--virtualenv', sys.prefix, '--module', f'kilonova.api.wsgi:{name}',
    ]  # fmt: skip


SERVERS = {'gunicorn': _gunicorn, 'uwsgi': _uwsgi}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, stack: Stack) -> Iterator[str]:
    """Serve both APIs; returns the web server's name."""
    name = str(request.param)
    ports = {'compute': free_port(), 'metadata': free_port()}
    for api, port in ports.items():
        stack.processes.start(
            f'{name}-{api}', SERVERS[name](api, port), {'OS_NOVA_CONFIG_DIR': str(stack.folder)}
        )
    stack.url = f'http://127.0.0.1:{ports["compute"]}/v2.1'
    stack.metadata_port = ports['metadata']
    wait_for(name, lambda: requests.get(stack.url, timeout=5).ok, 60)
    yield name
    for api in ports:
        if f'{name}-{api}' in stack.processes.running:
            stack.processes.kill(f'{name}-{api}')


def test_a_server_boots(server: str, stack: Stack) -> None:
    stack.wait_computes()
    flavor = stack.flavor(f'under-{server}')
    assert flavor in [one['id'] for one in stack.get('/flavors')['flavors']]
    uuid = stack.boot(flavor, stack.glance.add())
    stack.wait_status(uuid, 'ACTIVE')
    assert stack.call('DELETE', f'/servers/{uuid}').status_code == 204
    stack.wait_gone(uuid)
    # Without a server's address there is no server to tell of, but the trees are there.
    root = f'http://127.0.0.1:{stack.metadata_port}/'
    wait_for('metadata', lambda: requests.get(root, timeout=5).status_code, 60)
    assert 'latest' in requests.get(root, timeout=20).text.split()
    _stops(server, stack)


def _stops(server: str, stack: Stack) -> None:
    for api in ('compute', 'metadata'):
        name = f'{server}-{api}'
        workers = psutil.Process(stack.processes.running[name].pid).children(recursive=True)
        assert len(workers) >= 2
        assert stack.processes.stop(name, seconds=15) == 0
        assert not [
            one for one in workers if one.is_running() and one.status() != psutil.STATUS_ZOMBIE
        ]
        assert 'Traceback' not in stack.processes.log(name)


@pytest.mark.parametrize('name', SERVERS)
def test_a_broken_configuration_is_told(name: str, stack: Stack, tmp_path: pathlib.Path) -> None:
    (tmp_path / 'nova.conf').write_text('[DEFAULT\ndebug = true\n')
    process = stack.processes.start(
        f'{name}-broken',
        SERVERS[name]('compute', free_port()),
        {'OS_NOVA_CONFIG_DIR': str(tmp_path)},
    )
    assert process.wait(60) != 0
    assert 'nova.conf' in stack.processes.log(f'{name}-broken')
