"""Every action in every state, as the published table has it."""

import itertools

import pytest

from kilonova.common import exception
from kilonova.conductor import state
from kilonova.db.types import utcnow
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.conductor.test_state import ADMIN, MEMBER, make

pytestmark = reference.needed

# The table's operation: what our rules for it are called, where that is another word.
RULES = {
    '_soft_reboot': ['reboot SOFT'],
    '_hard_reboot': ['reboot HARD'],
    'force_delete': ['delete'],
    'delete_instance_metadata': ['delete metadata'],
    'update_instance_metadata': ['update metadata'],
    'live_migrate_abort': ['abort live migration'],
    'live_migrate_force_complete': ['force_complete'],
    'live_migrate': ['os-migrateLive'],
    'confirm_resize': ['confirmResize'],
    'revert_resize': ['revertResize'],
    'resize': ['resize', 'migrate'],
    'get_diagnostics': ['diagnostics'],
    'get_instance_diagnostics': ['diagnostics'],
    'get_console_output': ['console output'],
    'get_vnc_console': ['vnc console'],
    'get_spice_console': ['spice console'],
    'get_serial_console': ['serial console'],
    'get_mks_console': ['mks console'],
    'add_fixed_ip': ['addFixedIp'],
    'remove_fixed_ip': ['removeFixedIp'],
    'inject_network_info': ['injectNetworkInfo'],
}
# Each is a part of others, which have rules of their own.
PARTS = {'reboot', '_detach_volume'}
# What is looked at before the part that the table's row is about.
LOCKABLE = {'_soft_reboot', '_hard_reboot'}
# Without a host there is nobody to ask, which Nova finds out later.
# The table's rows ask no host where it would fail; a server without one is refused here.
NEEDS_HOST = {
    '_soft_reboot', '_hard_reboot', 'add_fixed_ip', 'attach_interface', 'backup', 'detach_interface',
    'inject_network_info', 'live_migrate', 'pause', 'rebuild', 'remove_fixed_ip', 'rescue', 'resume',
    'set_admin_password', 'shelve', 'snapshot', 'suspend', 'swap_volume', 'unpause', 'unrescue',
}  # fmt: skip
# Not in the table: what came with shares, tags and assisted snapshots.
OURS = {
    'attach_share', 'detach_share', 'update tags', 'delete tags', 'extend_volume',
    'volume_snapshot_create', 'volume_snapshot_delete',
}  # fmt: skip
ROWS = [
    row
    for row in reference.table('state_actions.csv')
    if row['compute_api_method'] not in PARTS
]  # fmt: skip
PAIRS = [
    (row, name)
    for row in ROWS
    for name in RULES.get(row['compute_api_method'], [row['compute_api_method']])
]


def _states(kind: str) -> list[str]:
    return [row['value'] for row in reference.table('states.csv') if row['kind'] == kind]


VM_STATES = [one for one in _states('vm_state') if one != 'deleted']
TASKS: list[str | None] = [None, *_states('task_state')]


def _lets(words: str, value: str | None) -> bool:
    return words == 'any' or str(value) in words.split()


def _expected(row: dict[str, str], vm_state: str, task: str | None) -> bool:
    return (
        _lets(row['allowed_vm_states'], vm_state)
        and _lets(row['allowed_task_states'], task)
        and str(task) not in row['rejected_task_states'].split()
    )


def _allowed(name: str, context: object = MEMBER, **values: object) -> bool:
    try:
        state.check(context, make(**values), state.RULES[name])  # type: ignore[arg-type]
    except exception.Conflict:
        return False
    return True


def test_every_row_has_a_rule_and_every_rule_a_row() -> None:
    assert {name for _, name in PAIRS} == set(state.RULES) - OURS


@pytest.mark.parametrize('row, name', PAIRS, ids=[name for _, name in PAIRS])
def test_every_state(row: dict[str, str], name: str) -> None:
    found = [
        (vm_state, task)
        for vm_state, task in itertools.product(VM_STATES, TASKS)
        if _allowed(name, vm_state=vm_state, task_state=task) != _expected(row, vm_state, task)
    ]
    assert found == []


@pytest.mark.parametrize('row, name', PAIRS, ids=[name for _, name in PAIRS])
def test_what_else_counts(row: dict[str, str], name: str) -> None:
    good = {
        'vm_state': next(one for one in VM_STATES if _lets(row['allowed_vm_states'], one)),
        'task_state': next(one for one in TASKS if _lets(row['allowed_task_states'], one)),
    }
    assert _allowed(name, **good)
    never_ran = _allowed(name, **good, launched_at=None)
    assert never_ran is (row['must_have_launched'] == 'n')
    locked = row['refused_when_locked'] == 'y' or row['compute_api_method'] in LOCKABLE
    assert _allowed(name, **good, locked=True) is not locked
    assert _allowed(name, ADMIN, **good, locked=True)
    assert _allowed(name, **good, host=None) is not (
        row['needs_host'] != 'n' or row['compute_api_method'] in NEEDS_HOST
    )
    assert _allowed(name, **good, launched_at=utcnow())
    assert (state.RULES[name].task_state or '') == row['sets_task_state']
