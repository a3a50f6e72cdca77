"""Options of the libvirt driver about where disks and snapshots are."""

from oslo_config import cfg

LVM = [
    cfg.StrOpt('images_volume_group', help='LVM volume group for images_type=lvm.'),
    cfg.BoolOpt(
        'sparse_logical_volumes',
        default=False,
        deprecated_for_removal=True,
        deprecated_since='18.0.0',
        help='Make logical volumes that take space only when they are written to.',
    ),
    cfg.StrOpt(
        'volume_clear',
        default='zero',
        choices=['zero', 'shred', 'none'],
        help='How the content of a logical volume is destroyed before it is removed.',
    ),
    cfg.IntOpt(
        'volume_clear_size',
        default=0,
        min=0,
        help='MiB at the start of a logical volume that are overwritten; 0: all of it.',
    ),
]

RBD = [
    cfg.StrOpt('images_rbd_pool', default='rbd', help='Ceph pool for images_type=rbd.'),
    cfg.StrOpt(
        'images_rbd_ceph_conf',
        help="Path of Ceph's configuration file; unset: Ceph's own default.",
    ),
    cfg.StrOpt('rbd_user', help="Ceph user that guests' disks are reached as."),
    cfg.StrOpt('rbd_secret_uuid', help='Secret of libvirt with the key of rbd_user.'),
    cfg.IntOpt(
        'rbd_connect_timeout', default=5, help='Seconds after which Ceph is taken to be away.'
    ),
]

SNAPSHOTS = [
    cfg.StrOpt(
        'snapshots_directory',
        default='$instances_path/snapshots',
        help='Where images of servers are made before they go to Glance.',
    ),
    cfg.StrOpt(
        'snapshot_image_format',
        choices=['raw', 'qcow2', 'vmdk', 'vdi'],
        help='Format of images that are made of servers. Unset: as their disks are stored, '
        'qcow2 or raw.',
    ),
    cfg.BoolOpt(
        'snapshot_compression',
        default=False,
        help='Compress images that are made of servers, where their format can do that.',
    ),
]

RESCUE = [
    cfg.StrOpt(
        'rescue_image_id',
        help='Image that rescued servers boot when the user names none. Unset: their own.',
    ),
    cfg.StrOpt('rescue_kernel_id', help='Kernel image for rescue_image_id.'),
    cfg.StrOpt('rescue_ramdisk_id', help='RAM disk image for rescue_image_id.'),
]

SHARES = [
    cfg.StrOpt(
        'ceph_mount_point_base',
        default='$state_path/mnt',
        help='Directory in which CephFS shares of guests are mounted.',
    ),
    cfg.ListOpt('ceph_mount_options', help='Options of these mounts.'),
]

STORAGE = [*LVM, *RBD, *SNAPSHOTS, *RESCUE, *SHARES]
