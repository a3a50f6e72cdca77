"""The APIs under web servers that operators bring: gunicorn and uWSGI."""

import hashlib
import hmac
import pathlib
import sys
from collections.abc import Iterator

import psutil
import pytest
import requests

from kilonova.tests.fakes.vendor import FakeVendor
from kilonova.tests.integration.processes import free_port, wait_for
from kilonova.tests.integration.stack import BIN, Stack

pytestmark = pytest.mark.integration
# The daemons of the stack itself: what the applications need behind them.
VENDOR = FakeVendor()
STACK = {
    'daemons': ('nova-conductor', 'nova-scheduler', 'nova-compute'),
    'extra': f"""
[api]
vendordata_providers = StaticJSON,DynamicJSON
vendordata_dynamic_targets = roles@{VENDOR.url}
""",
}


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
    _guests_are_told(stack, uuid, flavor)
    assert stack.call('DELETE', f'/servers/{uuid}').status_code == 204
    stack.wait_gone(uuid)
    _stops(server, stack)


def _guests_are_told(stack: Stack, uuid: str, flavor: str) -> None:
    """What is theirs; by two workers, who ask a vendor's service once."""
    other = stack.boot(flavor, stack.glance.add(), token='other:other')
    stack.wait_status(other, 'ACTIVE')
    wait_for('metadata', lambda: _ask(stack, '/').status_code == 200, 60)
    path = '/openstack/latest/meta_data.json'
    assert _ask(stack, path).status_code == 400, 'nobody has asked'
    for _ in range(8):
        told = _ask(stack, path, **_agent(uuid))
        assert (told.status_code, told.json()['uuid']) == (200, uuid)
        vendor = _ask(stack, '/openstack/latest/vendor_data2.json', **_agent(uuid))
        assert vendor.json()['roles'] == {'role': 'web'}
    assert [about['instance-id'] for _, _, about in VENDOR.told].count(uuid) == 1
    assert _ask(stack, path, **_agent(other, 'other')).json()['uuid'] == other
    for headers, status in (
        (_agent(other), 404),  # of another project than it says
        (_agent(uuid) | {'X-Instance-ID': other}, 403),
        (_agent(uuid) | {'X-Instance-ID-Signature': _agent(other)['X-Instance-ID-Signature']}, 403),
        (_agent(uuid) | {'X-Instance-ID-Signature': 'forged'}, 403),
        (_agent(uuid) | {'X-Tenant-ID': 'other'}, 404),
        ({'X-Forwarded-For': '10.0.0.5'}, 400),
        ({'X-Metadata-Provider': uuid, 'X-Forwarded-For': '10.0.0.5'}, 403),
        (_agent('../../etc/passwd'), 404),
    ):
        refused = _ask(stack, path, **headers)
        assert refused.status_code == status, (headers, refused.text)
        assert uuid not in refused.text and other not in refused.text
    answer = requests.post(
        f'http://127.0.0.1:{stack.metadata_port}/openstack/latest/password',
        data=b'x' * 100_000, headers=_agent(uuid), timeout=20,
    )  # fmt: skip
    assert answer.status_code == 400


def _agent(uuid: str, project: str = 'demo') -> dict[str, str]:
    """Return what Neutron's agent says of a guest."""
    signature = hmac.new(b'secret', uuid.encode(), hashlib.sha256).hexdigest()
    return {'X-Instance-ID': uuid, 'X-Tenant-ID': project, 'X-Instance-ID-Signature': signature}


def _ask(stack: Stack, path: str, **headers: str) -> requests.Response:
    return requests.get(
        f'http://127.0.0.1:{stack.metadata_port}{path}', headers=headers, timeout=20
    )


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
