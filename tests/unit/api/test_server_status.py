import csv

import pytest

from kilonova.api.servers import status
from kilonova.tests.unit.api import reference


def test_the_table_is_novas():
    path = reference.ROOT / 'server_status.csv'
    if not path.exists():
        pytest.skip('server_status.csv is not there')
    with path.open() as file:
        rows = {(r['vm_state'], r['task_state']): r['status'] for r in csv.DictReader(file)}
    ours = {(v, t): s for v, by_task in status.STATUS.items() for t, s in by_task.items()}
    assert ours == rows


@pytest.mark.parametrize(
    ('vm_state', 'task_state', 'expected'),
    [
        ('active', None, 'ACTIVE'),
        ('active', 'deleting', 'ACTIVE'),
        ('active', 'rebooting_hard', 'HARD_REBOOT'),
        ('error', 'rebuilding', 'REBUILD'),
        ('new-state', None, 'UNKNOWN'),
    ],
)
def test_status_of_states(vm_state, task_state, expected):
    assert status.of(vm_state, task_state) == expected


def test_states_of_a_status():
    assert status.states_of(['active']) == (['active'], None)
    vm_states, task_states = status.states_of(['REBOOT'])
    assert vm_states == ['active']
    assert task_states == ['reboot_pending', 'reboot_started', 'rebooting']
    assert status.states_of(['nonsense']) == ([], [])
    assert status.states_of(['SHUTOFF', 'REBOOT']) == (['active', 'stopped'], None)
