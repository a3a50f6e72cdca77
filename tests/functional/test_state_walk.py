"""Requests for a server that is in the wrong state: 409 that names the state, and nothing is done.

``tests/unit/conductor/test_state_table.py`` walks all states; this walks those that one change away from
an allowed one leads to, from the outside.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional import routes
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.refusals import check_fault
from kilonova.tests.functional.routes import CALLER, Things
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.conductor.test_state_table import ROWS, TASKS, VM_STATES, _expected

pytestmark = reference.needed
CLOUD: dict[str, Any] = {
    'extra': '[operations]\nsweep_interval = 3600\n[DEFAULT]\nreport_interval = 3600\n'
    'service_down_time = 36000\nsync_power_state_interval = -1\n'
}
SERVER = '/servers/{server_id}'
ACTION = SERVER + '/action'
VOLUMES = SERVER + '/os-volume_attachments'
Key = routes.Key
# The table's requests that are no actions, or are of a different name.
REQUESTS: dict[str, list[tuple[Key, Any]]] = {
    'DELETE metadata/{key}': [(('DELETE', SERVER + '/metadata/{key}', None), None)],
    'POST/PUT metadata': [
        (('POST', SERVER + '/metadata', None), None),
        (('PUT', SERVER + '/metadata', None), None),
        (('PUT', SERVER + '/metadata/{key}', None), None),
    ],
    'DELETE os-interface/{id}': [(('DELETE', SERVER + '/os-interface/{port_id}', None), None)],
    'POST os-interface': [(('POST', SERVER + '/os-interface', None), {'interfaceAttachment': {}})],
    'POST os-volume_attachments': [(('POST', VOLUMES, None), None)],
    'GET diagnostics': [(('GET', SERVER + '/diagnostics', None), None)],
    'resize and migrate': [
        (('POST', ACTION, 'resize'), {'resize': {'flavorRef': 'other'}}),
        (('POST', ACTION, 'migrate'), None),
    ],
    'evacuate': [(('POST', ACTION, 'evacuate'), {'evacuate': {}})],
    'reboot type=HARD': [(('POST', ACTION, 'reboot'), {'reboot': {'type': 'HARD'}})],
    'reboot type=SOFT': [(('POST', ACTION, 'reboot'), {'reboot': {'type': 'SOFT'}})],
    **{
        f'remote-consoles {kind}': [
            (
                ('POST', SERVER + '/remote-consoles', None),
                {'remote_console': {'protocol': kind, 'type': type_}},
            )
        ]
        for kind, type_ in (('vnc', 'novnc'), ('spice', 'spice-html5'), ('serial', 'serial'))
    },
}
# They need what a server has in few states: each has a test of its own.
ELSEWHERE = {
    'DELETE migrations/{id}', 'migrations/{id}/action force_complete', 'createImage (volume backed)',
    'DELETE os-volume_attachments/{id}', 'PUT os-volume_attachments/{id}',
    'DELETE /servers/{id} (reclaim_instance_interval > 0)', 'DELETE /servers/{id}',
    'GET diagnostics (2.48)', 'remote-consoles mks',
}  # fmt: skip
CASES = [
    (row, key, body)
    for row in ROWS
    if row['api_call'] not in ELSEWHERE
    for key, body in REQUESTS.get(row['api_call'], [(('POST', ACTION, row['api_call']), None)])
]
ROUTES = {route.key: route for route in routes.ROUTES}


@pytest.fixture(scope='module')
def things(cloud: Cloud) -> Things:
    made = Things.make(cloud)
    cloud.flavor('other', id='other')
    return made


class _Row:
    """A server's record, as nobody but the conductor may change it."""

    def __init__(self, cloud: Cloud, uuid: str) -> None:
        self._connection = sqlite3.connect(
            cloud.folder / 'cell1.sqlite', timeout=30, isolation_level=None
        )
        self._uuid = uuid

    def put(self, vm_state: str, task: str | None) -> None:
        change = 'UPDATE instances SET vm_state = ?, task_state = ? WHERE uuid = ?'
        self._connection.execute(change, (vm_state, task, self._uuid))

    def read(self) -> list[Any]:
        execute = self._connection.execute
        return [
            *execute('SELECT * FROM instances WHERE uuid = ?', (self._uuid,)),
            *execute('SELECT COUNT(*) FROM operations'),
        ]


@pytest.fixture(scope='module')
def record(cloud: Cloud, things: Things) -> _Row:
    return _Row(cloud, things.server)


@pytest.fixture(autouse=True)
def active(record: _Row) -> Iterator[None]:
    yield
    record.put('active', None)


def _near(row: dict[str, str]) -> list[tuple[str, str | None]]:
    """Return refused states: each state without a task, each task in a state that would do."""
    good = next(one for one in VM_STATES if _expected_vm(row, one))
    near = [(vm_state, None) for vm_state in VM_STATES] + [(good, task) for task in TASKS]
    return [pair for pair in near if not _expected(row, *pair)]


def _expected_vm(row: dict[str, str], vm_state: str) -> bool:
    return any(_expected(row, vm_state, task) for task in TASKS)


@pytest.mark.parametrize(
    'row, key, body', CASES, ids=[f'{c[0]["api_call"]} {c[1][0]}' for c in CASES]
)
def test_refused(
    cloud: Cloud, things: Things, record: _Row, row: dict[str, str], key: Key, body: Any
) -> None:
    route = ROUTES[key]
    if body is None:
        body = routes.bodies(things).get(key)
    version = '2.90' if route.one.until > (2, 90) else route.version
    for vm_state, task in _near(row):
        record.put(vm_state, task)
        before = record.read()
        answer = cloud.call(key[0], route.path(things), body, token=CALLER, version=version)
        message = check_fault(answer, 409)
        named = vm_state if not _expected_vm(row, vm_state) else task
        assert str(named) in message or named is None, (vm_state, task, message)
        assert record.read() == before, (vm_state, task)
