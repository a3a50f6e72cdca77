"""Which action is allowed in which state, what it sets, and what it ends in."""

import msgspec

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.server import Server

ACTIVE, BUILDING, STOPPED, ERROR = 'active', 'building', 'stopped', 'error'
PAUSED, SUSPENDED = 'paused', 'suspended'
RESCUED, RESIZED, SOFT_DELETED = 'rescued', 'resized', 'soft-delete'
SHELVED, OFFLOADED = 'shelved', 'shelved_offloaded'
DELETING = 'deleting'

States = frozenset[str | None]
IDLE: States = frozenset([None])
BASIC: States = frozenset([ACTIVE, PAUSED, STOPPED, SUSPENDED])
# A hard reboot helps where these got stuck.
HARD_REBOOT: States = frozenset(
    'pausing reboot_pending reboot_started rebooting rebooting_hard resuming suspending '
    'unpausing'.split()
) | {None}


# Volumes come and go in all of these.
WITH_VOLUMES: States = frozenset(
    [ACTIVE, PAUSED, STOPPED, RESIZED, SHELVED, OFFLOADED, SOFT_DELETED]
)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One action.  ``vm_states`` or ``task_states`` None: any but ``refused_task_states``.

    ``name`` is what a refusal calls the action.  ``action`` is Nova's instance-action word and
    ``event`` the name of the event at the host, where the action is an operation.
    """

    name: str
    vm_states: States | None = None
    task_states: States | None = IDLE
    refused_task_states: States = frozenset()
    launched: bool = True
    lockable: bool = True
    needs_host: bool = False
    task_state: str | None = None
    vm_state: str | None = None
    action: str | None = None
    event: str = ''
    without_shares: bool = False


RULES = {
    'delete': Rule(
        name='delete',
        task_states=None,
        launched=False,
        task_state=DELETING,
        vm_state='deleted',
        action='delete',
        event='compute_terminate_instance',
    ),
    'start': Rule(
        name='start',
        vm_states=frozenset([STOPPED]),
        needs_host=True,
        task_state='powering-on',
        vm_state=ACTIVE,
        action='start',
        event='compute_start_instance',
    ),
    'stop': Rule(
        name='stop',
        vm_states=frozenset([ACTIVE, ERROR]),
        needs_host=True,
        task_state='powering-off',
        vm_state=STOPPED,
        action='stop',
        event='compute_stop_instance',
    ),
    'reboot SOFT': Rule(
        name='reboot',
        vm_states=frozenset([ACTIVE]),
        needs_host=True,
        task_state='rebooting',
        vm_state=ACTIVE,
        action='reboot',
        event='compute_reboot_instance',
    ),
    'reboot HARD': Rule(
        name='reboot',
        vm_states=BASIC | {ERROR},
        task_states=HARD_REBOOT,
        needs_host=True,
        task_state='rebooting_hard',
        vm_state=ACTIVE,
        action='reboot',
        event='compute_reboot_instance',
    ),
    'console output': Rule(
        name='get_console_output', task_states=None, launched=False, lockable=False, needs_host=True
    ),
    **{
        f'{protocol} console': Rule(
            name=f'get_{protocol}_console',
            task_states=None,
            refused_task_states=frozenset([DELETING, 'migrating']),
            launched=False,
            lockable=False,
            needs_host=True,
        )
        for protocol in ('vnc', 'spice', 'serial', 'mks')
    },
    'diagnostics': Rule(
        name='get_diagnostics', task_states=None, launched=False, lockable=False, needs_host=True
    ),
    'pause': Rule(
        name='pause',
        vm_states=frozenset([ACTIVE]),
        needs_host=True,
        task_state='pausing',
        vm_state=PAUSED,
        action='pause',
    ),
    'unpause': Rule(
        name='unpause',
        vm_states=frozenset([PAUSED]),
        needs_host=True,
        task_state='unpausing',
        vm_state=ACTIVE,
        action='unpause',
    ),
    'suspend': Rule(
        name='suspend',
        vm_states=frozenset([ACTIVE]),
        needs_host=True,
        task_state='suspending',
        without_shares=True,
        vm_state=SUSPENDED,
        action='suspend',
    ),
    'resume': Rule(
        name='resume',
        vm_states=frozenset([SUSPENDED]),
        needs_host=True,
        task_state='resuming',
        vm_state=ACTIVE,
        action='resume',
    ),
    'attach_share': Rule(
        name='attach_share',
        vm_states=frozenset([STOPPED]),
        lockable=False,
        needs_host=True,
        action='attach_share',
        event='compute_allow_share',
    ),
    'detach_share': Rule(
        name='detach_share',
        vm_states=frozenset([STOPPED]),
        lockable=False,
        needs_host=True,
        action='detach_share',
        event='compute_deny_share',
    ),
    'resize': Rule(
        name='resize',
        vm_states=frozenset([ACTIVE, STOPPED]),
        needs_host=True,
        task_state='resize_prep',
        vm_state=RESIZED,
        action='resize',
    ),
    'migrate': Rule(
        name='migrate',
        vm_states=frozenset([ACTIVE, STOPPED]),
        needs_host=True,
        task_state='resize_prep',
        vm_state=RESIZED,
        action='migrate',
    ),
    'confirmResize': Rule(
        name='confirmResize', vm_states=frozenset([RESIZED]), action='confirmResize'
    ),
    'revertResize': Rule(
        name='revertResize',
        vm_states=frozenset([RESIZED]),
        task_state='resize_reverting',
        action='revertResize',
    ),
    'os-migrateLive': Rule(
        name='os-migrateLive',
        vm_states=frozenset([ACTIVE, PAUSED]),
        needs_host=True,
        task_state='migrating',
        without_shares=True,
        action='live-migration',
    ),
    'abort live migration': Rule(
        name='abort live migration',
        task_states=frozenset(['migrating']),
        action='live_migration_cancel',
        event='compute_live_migration_abort',
    ),
    'force_complete': Rule(
        name='force_complete',
        vm_states=frozenset([ACTIVE]),
        task_states=frozenset(['migrating']),
        action='live_migration_force_complete',
        event='compute_live_migration_force_complete',
    ),
    'evacuate': Rule(
        name='evacuate',
        vm_states=frozenset([ACTIVE, STOPPED, ERROR]),
        task_states=None,
        lockable=False,
        task_state='rebuilding',
        without_shares=True,
        action='evacuate',
    ),
    'rescue': Rule(
        name='rescue',
        vm_states=frozenset([ACTIVE, STOPPED, ERROR]),
        needs_host=True,
        task_state='rescuing',
        vm_state=RESCUED,
        action='rescue',
    ),
    'unrescue': Rule(
        name='unrescue',
        vm_states=frozenset([RESCUED]),
        needs_host=True,
        task_state='unrescuing',
        vm_state=ACTIVE,
        action='unrescue',
    ),
    'set_admin_password': Rule(
        name='set_admin_password',
        vm_states=frozenset([ACTIVE]),
        needs_host=True,
        task_state='updating_password',
        action='changePassword',
    ),
    'trigger_crash_dump': Rule(
        name='trigger_crash_dump',
        vm_states=frozenset([ACTIVE, ERROR, PAUSED, RESCUED, RESIZED]),
        needs_host=True,
        action='trigger_crash_dump',
    ),
    'soft_delete': Rule(
        name='soft_delete',
        task_states=None,
        task_state='soft-deleting',
        vm_state=SOFT_DELETED,
        action='soft-delete',
    ),
    'restore': Rule(
        name='restore',
        vm_states=frozenset([SOFT_DELETED]),
        task_state='restoring',
        vm_state=ACTIVE,
        action='restore',
    ),
    'attach_volume': Rule(name='attach_volume', vm_states=WITH_VOLUMES, action='attach_volume'),
    'detach_volume': Rule(name='detach_volume', vm_states=WITH_VOLUMES, action='detach_volume'),
    'swap_volume': Rule(
        name='swap_volume',
        vm_states=frozenset([ACTIVE, PAUSED, RESIZED]),
        needs_host=True,
        action='swap_volume',
    ),
    'extend_volume': Rule(
        name='extend_volume',
        vm_states=frozenset([ACTIVE, PAUSED, STOPPED, RESIZED]),
        task_states=None,
        lockable=False,
        needs_host=True,
        action='extend_volume',
    ),
    'volume_snapshot_create': Rule(
        name='volume_snapshot_create',
        needs_host=True,
        launched=False,
        lockable=False,
        action='volume_snapshot_create',
    ),
    'volume_snapshot_delete': Rule(
        name='volume_snapshot_delete',
        needs_host=True,
        launched=False,
        lockable=False,
        action='volume_snapshot_delete',
    ),
    'lock': Rule(
        name='lock',
        task_states=None,
        launched=False,
        lockable=False,
        action='lock',
        event='api_lock',
    ),
    'unlock': Rule(
        name='unlock',
        task_states=None,
        launched=False,
        lockable=False,
        action='unlock',
        event='api_unlock',
    ),
    'snapshot': Rule(
        name='snapshot',
        vm_states=BASIC,
        needs_host=True,
        lockable=False,
        task_state='image_snapshot_pending',
        action='createImage',
    ),
    'snapshot_volume_backed': Rule(
        name='snapshot_volume_backed',
        vm_states=BASIC,
        lockable=False,
        action='createImage',
        event='api_snapshot_instance',
    ),
    'backup': Rule(
        name='backup',
        vm_states=BASIC,
        needs_host=True,
        lockable=False,
        task_state='image_backup',
        action='createBackup',
    ),
    'rebuild': Rule(
        name='rebuild',
        vm_states=frozenset([ACTIVE, STOPPED, ERROR]),
        needs_host=True,
        task_state='rebuilding',
        without_shares=True,
        action='rebuild',
    ),
    'shelve': Rule(
        name='shelve',
        vm_states=BASIC,
        needs_host=True,
        task_state='shelving',
        without_shares=True,
        action='shelve',
    ),
    'shelve_offload': Rule(
        name='shelve_offload',
        vm_states=frozenset([SHELVED]),
        task_state='shelving_offloading',
        action='shelveOffload',
    ),
    'unshelve': Rule(
        name='unshelve',
        vm_states=frozenset([SHELVED, OFFLOADED]),
        task_state='unshelving',
        vm_state=ACTIVE,
        action='unshelve',
    ),
    'attach_interface': Rule(
        name='attach_interface',
        vm_states=frozenset([ACTIVE, PAUSED, STOPPED]),
        needs_host=True,
        action='attach_interface',
    ),
    'detach_interface': Rule(
        name='detach_interface',
        vm_states=frozenset([ACTIVE, PAUSED, STOPPED]),
        needs_host=True,
        action='detach_interface',
    ),
    'addFixedIp': Rule(name='add_fixed_ip', task_states=None, launched=False, needs_host=True),
    'removeFixedIp': Rule(
        name='remove_fixed_ip', task_states=None, launched=False, needs_host=True
    ),
    'injectNetworkInfo': Rule(
        name='inject_network_info', task_states=None, launched=False, needs_host=True
    ),
    'update metadata': Rule(name='update metadata', vm_states=BASIC, task_states=None),
    'delete metadata': Rule(name='delete metadata', vm_states=BASIC, task_states=None),
    'update tags': Rule(
        name='update tags', vm_states=BASIC, task_states=None, launched=False, lockable=False
    ),
    'delete tags': Rule(
        name='delete tags', vm_states=BASIC, task_states=None, launched=False, lockable=False
    ),
}

CREATE_EVENT = 'compute__do_build_and_run_instance'


def check(context: RequestContext, server: Server, rule: Rule) -> None:
    """Raises InstanceIsLocked, InstanceNotReady, InstanceInvalidState, ForbiddenSharesNotSupported."""
    if rule.lockable and server.locked and not context.is_admin:
        raise exception.InstanceIsLocked(instance_uuid=server.uuid)
    if rule.without_shares and server.shares:
        raise exception.ForbiddenSharesNotSupported()
    for attr, allowed in (('vm_state', rule.vm_states), ('task_state', rule.task_states)):
        value = getattr(server, attr)
        refused = attr == 'task_state' and value in rule.refused_task_states
        if refused or (allowed is not None and value not in allowed):
            if value is None:
                raise exception.InstanceInvalidState(
                    f"Instance {server.uuid} is in an invalid state for '{rule.name}'"
                )
            raise exception.InstanceInvalidState(
                method=rule.name, instance_uuid=server.uuid, attr=attr, state=value
            )
    if rule.needs_host and not server.host:
        raise exception.InstanceNotReady(instance_id=server.uuid)
    if rule.launched and server.launched_at is None:
        raise exception.InstanceInvalidState(f"Instance is in an invalid state for '{rule.name}'")
