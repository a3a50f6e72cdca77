"""Options of ``[notifications]``; the bus itself is described by ``[oslo_messaging_notifications]``."""

from oslo_config import cfg

from kilonova.common.config import Opts

NOTIFICATIONS = [
    cfg.StrOpt(
        'notification_format',
        default='unversioned',
        choices=['both', 'versioned', 'unversioned'],
        deprecated_group='DEFAULT',
        help='Which form notifications have: objects with versions, the plain ones of old, or '
        'one of each.',
    ),
    cfg.StrOpt(
        'notify_on_state_change',
        choices=[None, 'vm_state', 'vm_and_task_state'],
        help='Send instance.update for changes of the VM state, of the task state too, or never.',
    ),
    cfg.StrOpt(
        'default_level',
        default='INFO',
        choices=['DEBUG', 'INFO', 'WARN', 'ERROR', 'CRITICAL'],
        deprecated_group='DEFAULT',
        deprecated_name='default_notification_level',
        help='Priority of unversioned notifications that are no errors.',
    ),
    cfg.ListOpt(
        'versioned_notifications_topics',
        default=['versioned_notifications'],
        help='Topics that versioned notifications are sent to.',
    ),
    cfg.BoolOpt(
        'bdms_in_notifications',
        default=False,
        help='Name the volumes of a server in notifications about it.',
    ),
    cfg.BoolOpt(
        'include_share_mapping',
        default=False,
        help='Name the shares of a server in notifications about it.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [('notifications', NOTIFICATIONS)]
