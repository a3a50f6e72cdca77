"""Options about guests' volumes: names, groups and defaults are Nova's, but where it is said."""

from oslo_config import cfg

from kilonova.common.config import Opts

LIBVIRT = [
    cfg.IntOpt(
        'device_detach_attempts',
        default=8,
        min=1,
        help='How often a guest is asked to let go of a device.',
    ),
    cfg.IntOpt(
        'device_detach_timeout',
        default=20,
        min=1,
        help='Seconds that a guest gets each time to let go of a device.',
    ),
    cfg.StrOpt(
        'iscsi_initiator',
        default='host',
        choices=['host', 'qemu'],
        help='What logs in to iSCSI targets: the host by open-iscsi, or QEMU itself by libiscsi, '
        'which needs nothing on the host and no privileges, but knows no multipath. (Not one '
        'of the names that Nova has.)',
    ),
    cfg.StrOpt(
        'iscsi_iface',
        default='',
        deprecated_name='iscsi_transport',
        help='iscsiadm interface through which targets are reached.',
    ),
    cfg.IntOpt(
        'num_volume_scan_tries',
        default=5,
        deprecated_name='num_iscsi_scan_tries',
        help="How often the host's buses are scanned for a volume.",
    ),
    cfg.BoolOpt(
        'volume_use_multipath',
        default=False,
        deprecated_name='iscsi_use_multipath',
        help='Reach volumes over all paths that there are (needs multipathd).',
    ),
    cfg.BoolOpt(
        'volume_enforce_multipath',
        default=False,
        help='With volume_use_multipath: fail where multipathd does not run.',
    ),
    cfg.StrOpt(
        'nfs_mount_point_base',
        default='$state_path/mnt',
        help='Directory below which NFS shares with volumes are mounted.',
    ),
    cfg.StrOpt('nfs_mount_options', default='', help='Options of these mounts.'),
]
COMPUTE = [
    cfg.StrOpt(
        'my_block_storage_ip',
        default='$my_ip',
        help='Address from which this host reaches block storage.',
    ),
]

KEYS = [
    cfg.StrOpt(
        'fixed_key',
        secret=True,
        help='Key (hexadecimal) of every encrypted volume, for clouds without a key manager. It '
        'must be the same one in cinder.conf.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [(None, COMPUTE), ('libvirt', LIBVIRT), ('key_manager', KEYS)]
