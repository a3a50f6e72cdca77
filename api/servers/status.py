"""The status that a server is shown with, from its vm_state and task_state."""

from collections.abc import Iterable

ANY = '*'
UNKNOWN = 'UNKNOWN'

_REBUILD = dict.fromkeys(
    ('rebuilding', 'rebuild_block_device_mapping', 'rebuild_spawning'), 'REBUILD'
)
_RESIZE = dict.fromkeys(
    ('resize_prep', 'resize_migrating', 'resize_migrated', 'resize_finish'), 'RESIZE'
)
_REBOOT = dict.fromkeys(('rebooting', 'reboot_pending', 'reboot_started'), 'REBOOT')
_HARD_REBOOT = dict.fromkeys(
    ('rebooting_hard', 'reboot_pending_hard', 'reboot_started_hard'), 'HARD_REBOOT'
)

# vm_state → task_state (ANY: every other one, and none) → status
STATUS: dict[str, dict[str, str]] = {
    'active': {
        ANY: 'ACTIVE',
        **_REBOOT,
        **_HARD_REBOOT,
        **_REBUILD,
        **_RESIZE,
        'updating_password': 'PASSWORD',
        'migrating': 'MIGRATING',
    },
    'building': {ANY: 'BUILD'},
    'stopped': {ANY: 'SHUTOFF', **_RESIZE, **_REBUILD},
    'resized': {ANY: 'VERIFY_RESIZE', 'resize_reverting': 'REVERT_RESIZE'},
    'paused': {ANY: 'PAUSED', 'migrating': 'MIGRATING'},
    'suspended': {ANY: 'SUSPENDED'},
    'rescued': {ANY: 'RESCUE'},
    'error': {ANY: 'ERROR', **_REBUILD},
    'deleted': {ANY: 'DELETED'},
    'soft-delete': {ANY: 'SOFT_DELETED'},
    'shelved': {ANY: 'SHELVED'},
    'shelved_offloaded': {ANY: 'SHELVED_OFFLOADED'},
}


def of(vm_state: str, task_state: str | None) -> str:
    """Return the status."""
    by_task = STATUS.get(vm_state)
    if by_task is None:
        return UNKNOWN
    return by_task.get(task_state or ANY) or by_task[ANY]


def states_of(statuses: Iterable[str]) -> tuple[list[str], list[str] | None]:
    """Return the vm_states and task_states that a filter on statuses means, in any case.

    No task_states (None) means any: as soon as one of the statuses is a vm_state's usual
    one, servers of that vm_state match whatever they are doing.
    """
    wanted = {status.upper() for status in statuses}
    found = [
        (vm_state, task_state)
        for vm_state, by_task in STATUS.items()
        for task_state, status in by_task.items()
        if status in wanted
    ]
    vm_states = sorted({vm_state for vm_state, _ in found})
    task_states = sorted({task_state for _, task_state in found})
    return vm_states, None if ANY in task_states else task_states
