"""What must be in no log and on no command line, even at debug level."""

import base64
import os
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from kilonova.tests.integration.processes import wait_for
from kilonova.tests.integration.stack import DAEMONS, Stack

pytestmark = pytest.mark.integration

# noauth2 takes the token for user and project, which may be logged: the whole may not.
TOKEN = 'alice-' + os.urandom(8).hex() + ':project-' + os.urandom(8).hex()
PLACEMENT = 'admin:' + os.urandom(8).hex()
METADATA = os.urandom(8).hex()
ADMIN_PASSWORD = 'pw-' + os.urandom(8).hex()
USER_DATA = base64.b64encode(b'#!/bin/sh\n# ' + os.urandom(12).hex().encode()).decode()
# More than debug = true brings: the libraries that carry secrets are silent by default.
LEVELS = ','.join(
    f'{name}=DEBUG'
    for name in (
        'oslo.messaging',
        'oslo_messaging',
        'keystoneauth',
        'keystonemiddleware',
        'urllib3',
    )
)
STACK = {
    'extra': f'[DEFAULT]\ndebug = true\ndefault_log_levels = {LEVELS}\n[placement]\ntoken = {PLACEMENT}\n'
    f'[neutron]\nmetadata_proxy_shared_secret = {METADATA}\n'
}


def _bodies() -> dict[str, Any]:
    return {'adminPass': ADMIN_PASSWORD, 'user_data': USER_DATA, 'config_drive': True}


@pytest.fixture(scope='module')
def lived(stack: Stack) -> Stack:
    """A server's whole life, its failures too."""
    flavor, image = stack.flavor(), stack.glance.add()
    network = stack.neutron.add_network(shared=True)
    uuid = _boot(stack, flavor, image, [{'uuid': network}])
    _wait(stack, uuid, 'ACTIVE')
    for body in ({'os-stop': None}, {'os-start': None}, {'reboot': {'type': 'HARD'}}):
        wait_for('it is idle', lambda: _task(stack, uuid) is None, 60)
        assert _call(stack, 'POST', f'/servers/{uuid}/action', body).status_code == 202
    wait_for('it is idle', lambda: _task(stack, uuid) is None, 60)
    assert _call(stack, 'DELETE', f'/servers/{uuid}').status_code == 204
    stack.neutron.break_with(500, 'POST /v2.0/ports')
    _wait(stack, _boot(stack, flavor, image, [{'uuid': network}]), 'ERROR')
    stack.neutron.mend()
    assert (
        _call(stack, 'POST', '/servers', {'server': {**_bodies(), 'nonsense': 1}}).status_code
        == 400
    )
    wait_for('it is gone', lambda: _call(stack, 'GET', f'/servers/{uuid}').status_code == 404, 60)
    return stack


def _call(stack: Stack, method: str, path: str, body: Any = None) -> Any:
    return stack.call(method, path, body, token=TOKEN)


def _boot(stack: Stack, flavor: str, image: str, networks: Any) -> str:
    server = {'name': 'test', 'flavorRef': flavor, 'imageRef': image, 'networks': networks}
    answer = _call(stack, 'POST', '/servers', {'server': {**server, **_bodies()}})
    assert answer.status_code == 202, answer.text
    assert answer.json()['server']['adminPass'] == ADMIN_PASSWORD
    return str(answer.json()['server']['id'])


def _task(stack: Stack, uuid: str) -> Any:
    return stack.get(f'/servers/{uuid}', token=TOKEN)['server']['OS-EXT-STS:task_state']


def _wait(stack: Stack, uuid: str, status: str) -> None:
    wait_for(
        f'{uuid} is {status}',
        lambda: stack.get(f'/servers/{uuid}', token=TOKEN)['server']['status'] == status,
        60,
    )


def _secrets(stack: Stack) -> dict[str, str]:
    return {
        'token': TOKEN,
        'placement token': PLACEMENT,
        'metadata secret': METADATA,
        'admin password': ADMIN_PASSWORD,
        'user data': USER_DATA,
        'transport URL': stack.transport_url,
        'broker password': ':guest@',
        'database password': f':{sa.make_url(stack.database_url).password}@',
    }


def test_nothing_in_logs(lived: Stack) -> None:
    for name in DAEMONS:
        log = lived.processes.log(name)
        assert ' DEBUG ' in log, name
        for what, secret in _secrets(lived).items():
            at = log.find(secret)
            assert at < 0, f'{what} in the log of {name}: {log[max(at - 300, 0) : at + 100]}'


def test_nothing_on_command_lines(lived: Stack) -> None:
    for name in DAEMONS:
        parent = psutil.Process(lived.processes.running[name].pid)
        for process in [parent, *parent.children(recursive=True)]:
            words = ' '.join(process.cmdline())
            assert not [what for what, secret in _secrets(lived).items() if secret in words]


def test_nothing_stays_in_the_database(lived: Stack) -> None:
    """Neither token nor password outlives the operation that needed it."""
    engine = sa.create_engine(lived.database_url)
    with engine.connect() as connection:
        for table in sa.inspect(engine).get_table_names():
            rows = connection.execute(sa.text(f'SELECT * FROM {table}')).all()
            text = repr(rows)
            assert TOKEN not in text, table
            assert ADMIN_PASSWORD not in text, table
    engine.dispose()
