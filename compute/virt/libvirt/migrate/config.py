"""Options about guests that move: names, groups and defaults are Nova's."""

from oslo_config import cfg

from kilonova.common.config import Opts

LIBVIRT = [
    cfg.StrOpt(
        'live_migration_uri',
        default='',
        help="URI of another host's libvirt, with %s in the place of its address. Empty: "
        'qemu+SCHEME://%s/system. Disks of cold migrations are read over it, too.',
    ),
    cfg.StrOpt(
        'live_migration_scheme',
        default='',
        help='SCHEME in that URI and in the one for the memory: tcp (also when empty), tls, ssh ….',
    ),
    cfg.StrOpt(
        'live_migration_inbound_addr',
        default='',
        help='Address at which other hosts reach this one for migrations; empty: '
        'migration_inbound_addr.',
    ),
    cfg.StrOpt(
        'migration_inbound_addr',
        default='$my_ip',
        help='Address at which other hosts read the disks of servers that have left this one.',
    ),
    cfg.IntOpt(
        'live_migration_bandwidth',
        default=0,
        help='MiB a second that a live migration may take; 0: all.',
    ),
    cfg.BoolOpt(
        'live_migration_with_native_tls',
        default=False,
        help='Let QEMU encrypt memory and disks on their way. It needs certificates of the '
        'hosts, as default_tls_x509_cert_dir of qemu.conf says.',
    ),
    cfg.IntOpt(
        'live_migration_parallel_connections',
        default=1,
        min=1,
        help='Connections over which the memory goes; more than 1 cannot be had with post-copy.',
    ),
    cfg.IntOpt(
        'live_migration_downtime',
        default=500,
        min=100,
        help='Milliseconds that a guest may stand still at the end.',
    ),
    cfg.IntOpt(
        'live_migration_downtime_steps',
        default=10,
        min=3,
        help='In how many steps that much is allowed.',
    ),
    cfg.IntOpt(
        'live_migration_downtime_delay',
        default=75,
        min=3,
        help='Seconds between two of these steps, for each GiB that has to be copied.',
    ),
    cfg.IntOpt(
        'live_migration_completion_timeout',
        default=800,
        min=0,
        help='Seconds for each GiB that has to be copied, after which live_migration_timeout_action '
        'is taken; 0: never.',
    ),
    cfg.StrOpt(
        'live_migration_timeout_action',
        default='abort',
        choices=['abort', 'force_complete'],
        help='What is done then: the guest stays where it is, or it is moved by post-copy where '
        'that is permitted, else by letting it stand still.',
    ),
    cfg.BoolOpt(
        'live_migration_permit_post_copy',
        default=False,
        help='A migration that is forced to its end starts the guest at its destination, which '
        'fetches the memory that it misses. If the network fails then, the guest is lost.',
    ),
    cfg.BoolOpt(
        'live_migration_permit_auto_converge',
        default=False,
        help='Slow a guest down that changes its memory faster than it can be copied.',
    ),
    cfg.IntOpt(
        'live_migration_monitor_interval',
        default=5,
        min=1,
        help='Seconds between two looks at how far a migration is; shorter while it begins.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [('libvirt', LIBVIRT)]
