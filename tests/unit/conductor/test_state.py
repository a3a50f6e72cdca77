"""Which action is allowed when."""

from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import Share
from kilonova.conductor import state
from kilonova.db.types import utcnow

VM_STATES = 'active building stopped error paused suspended'.split()
TASKS = [None, 'rebooting', 'rebooting_hard', 'powering-off', 'deleting', 'spawning']
MEMBER = RequestContext(overwrite=False)
ADMIN = RequestContext(is_admin=True, overwrite=False)


def make(**values):
    defaults: dict[str, Any] = {'host': 'h', 'vm_state': 'active', 'launched_at': utcnow()}
    flavor = Flavor(flavorid='1', name='', memory_mb=1, vcpus=1)
    return Server(
        uuid='u', name='n', project_id='p', user_id='u', flavor=flavor, **(defaults | values)
    )


def allowed(action, **values):
    try:
        state.check(MEMBER, make(**values), state.RULES[action])
    except exception.Conflict:
        return False
    return True


@pytest.mark.parametrize(
    'action, vm_states, tasks',
    [
        ('delete', VM_STATES, TASKS),
        ('start', ['stopped'], [None]),
        ('stop', ['active', 'error'], [None]),
        ('reboot SOFT', ['active'], [None]),
        (
            'reboot HARD',
            ['active', 'stopped', 'error', 'paused', 'suspended'],
            [None, 'rebooting', 'rebooting_hard'],
        ),
        ('update metadata', ['active', 'stopped', 'paused', 'suspended'], TASKS),
        ('delete metadata', ['active', 'stopped', 'paused', 'suspended'], TASKS),
        ('update tags', ['active', 'stopped', 'paused', 'suspended'], TASKS),
        ('delete tags', ['active', 'stopped', 'paused', 'suspended'], TASKS),
    ],
)
def test_states(action, vm_states, tasks):
    found = {
        (vm_state, task)
        for vm_state in VM_STATES
        for task in TASKS
        if allowed(action, vm_state=vm_state, task_state=task)
    }
    assert found == {(vm_state, task) for vm_state in vm_states for task in tasks}


@pytest.mark.parametrize('action', sorted(state.RULES))
def test_lock(action):
    rule = state.RULES[action]
    vm_state = min(map(str, rule.vm_states or ['active']))
    tasks = rule.task_states or state.IDLE
    task_state = None if None in tasks else min(map(str, tasks))
    server = make(vm_state=vm_state, task_state=task_state, locked=True)
    state.check(ADMIN, server, rule)
    if rule.lockable:
        with pytest.raises(exception.InstanceIsLocked):
            state.check(MEMBER, server, rule)
    else:
        state.check(MEMBER, server, rule)


def test_a_server_that_never_ran():
    server = make(vm_state='error', launched_at=None)
    with pytest.raises(exception.InstanceInvalidState) as caught:
        state.check(MEMBER, server, state.RULES['stop'])
    assert str(caught.value) == "Instance is in an invalid state for 'stop'"
    state.check(MEMBER, server, state.RULES['delete'])


def test_actions_that_servers_with_shares_cannot_have():
    share = Share(uuid='a', share_id='s', tag='t')
    refused = set()
    for action, rule in state.RULES.items():
        vm_state = min(map(str, rule.vm_states or ['active']))
        tasks = [task for task in rule.task_states or () if task]
        task_state = min(tasks) if tasks and None not in (rule.task_states or ()) else None
        server = make(vm_state=vm_state, shares=[share], task_state=task_state)
        try:
            state.check(ADMIN, server, rule)
        except exception.ForbiddenSharesNotSupported:
            refused.add(action)
        except exception.Conflict:
            pass
    assert refused == {'evacuate', 'os-migrateLive', 'rebuild', 'shelve', 'suspend'}
