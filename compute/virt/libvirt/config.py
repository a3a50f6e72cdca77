"""Options of the libvirt driver: names, groups and defaults are Nova's."""

from oslo_config import cfg

from kilonova.common.config import Opts
from kilonova.compute.virt.libvirt import volume_config
from kilonova.compute.virt.libvirt.migrate import config as migrate_config
from kilonova.compute.virt.libvirt.storage_config import STORAGE

IMAGES = [
    cfg.BoolOpt(
        'force_raw_images',
        default=True,
        help='Keep images in the cache as raw files, whatever their format in Glance.',
    ),
    cfg.BoolOpt(
        'use_cow_images',
        default=True,
        help='With [libvirt]images_type=default: make root disks as qcow2 overlays of the '
        'cached image (True) or as raw copies of it (False).',
    ),
    cfg.StrOpt(
        'preallocate_images',
        default='none',
        choices=['none', 'space'],
        help='"space" allocates the whole of a disk on the file system when it is made.',
    ),
    cfg.StrOpt(
        'mkisofs_cmd',
        default='genisoimage',
        help='Program that makes an ISO 9660 file system: genisoimage, mkisofs or xorrisofs.',
    ),
    cfg.StrOpt(
        'default_ephemeral_format',
        help='File system of ephemeral disks. Unset: ext4 for images with os_type=linux, ntfs '
        'for windows, vfat else.',
    ),
    cfg.MultiStrOpt(
        'virt_mkfs',
        default=[],
        help='Command that makes the file system of ephemeral disks of an os_type, as '
        'OS_TYPE=COMMAND with %(fs_label)s and %(target)s in it.',
    ),
    cfg.StrOpt(
        'pointer_model',
        default='usbtablet',
        choices=['ps2mouse', 'usbtablet', 'None'],
        help='Pointer device of guests whose image does not say hw_pointer_model.',
    ),
]

COMPUTE = [
    cfg.ListOpt(
        'vmdk_allowed_types',
        default=['streamOptimized', 'monolithicSparse'],
        help='VMDK sub-formats that are accepted. Those with extents in other files would let an '
        "image read the host's files.",
    ),
    cfg.IntOpt(
        'max_concurrent_disk_ops',
        default=0,
        min=0,
        help='How many downloads, conversions and copies of images run at a time; 0: no limit.',
    ),
    cfg.IntOpt(
        'shutdown_retry_interval',
        default=10,
        min=1,
        help='Seconds after which a guest that has not shut down is asked again.',
    ),
]

CACHE = [
    cfg.StrOpt(
        'subdirectory_name',
        default='_base',
        help='Directory below instances_path in which images are cached. It must be the '
        "same on all hosts that share instances_path, and outside of servers' directories.",
    ),
]

WORKAROUNDS = [
    cfg.BoolOpt(
        'disable_deep_image_inspection',
        default=False,
        help='Trust qemu-img alone to inspect images. Leaves the host open to images that fool it.',
    ),
    cfg.BoolOpt(
        'handle_virt_lifecycle_events',
        default=True,
        help="Follow guests' starts and stops as libvirt tells of them, not only by polling.",
    ),
    cfg.BoolOpt(
        'libvirt_disable_apic',
        default=False,
        help='Give guests no APIC, for kernels that fail under nested virtualisation with it.',
    ),
]

LIBVIRT = [
    cfg.StrOpt(
        'virt_type',
        default='kvm',
        choices=['kvm', 'qemu'],
        help='What runs guests. Unset: kvm where a small guest could be run with it when the '
        'daemon started, else qemu (emulation), which is reported. A value that is '
        'set is used as it is.',
    ),
    cfg.StrOpt('connection_uri', default='', help='URI of libvirt; empty: qemu:///system.'),
    cfg.StrOpt(
        'cpu_mode',
        choices=['host-model', 'host-passthrough', 'custom', 'none'],
        help='Processor of guests. Unset: host-model (host-passthrough on AArch64 with KVM; '
        'the most that QEMU can emulate on AArch64 without).',
    ),
    cfg.ListOpt(
        'cpu_models',
        default=[],
        deprecated_name='cpu_model',
        help='Processor models for cpu_mode=custom. The first one that the host can run is used.',
    ),
    cfg.ListOpt(
        'cpu_model_extra_flags',
        default=[],
        help='Processor features to add (name or +name) or to take away (-name).',
    ),
    cfg.ListOpt(
        'hw_machine_type',
        help='Machine type of an architecture, as ARCH=TYPE, such as x86_64=q35.',
    ),
    cfg.StrOpt(
        'images_type',
        default='default',
        choices=['raw', 'flat', 'qcow2', 'lvm', 'rbd', 'default'],
        help='How disks are stored: qcow2 overlays of the cached image, raw copies (flat is '
        'the same), logical volumes (lvm), images of a Ceph pool (rbd), or as use_cow_images '
        'says (default).',
    ),
    cfg.IntOpt(
        'images_cpu_time_limit',
        default=30,
        min=1,
        help='Seconds of processor time that qemu-img may take to look at an image. To '
        'convert one it gets more, in proportion to its size.',
    ),
    cfg.IntOpt(
        'images_address_space_limit',
        default=2,
        min=1,
        help='Address space in GiB that qemu-img may use on an image.',
    ),
    cfg.StrOpt('disk_prefix', help='Prefix of disk device names, such as "vd"; unset: by bus.'),
    cfg.ListOpt(
        'disk_cachemodes',
        default=[],
        help='Cache modes as SOURCE=MODE, such as file=writeback. Unset: none where the file '
        'system takes direct I/O, else writeback.',
    ),
    cfg.StrOpt(
        'hw_disk_discard',
        choices=['ignore', 'unmap'],
        help="What happens to a guest's discard requests.",
    ),
    cfg.StrOpt('rng_dev_path', default='/dev/urandom', help='Where random bytes come from.'),
    cfg.IntOpt(
        'mem_stats_period_seconds',
        default=10,
        help="Seconds between two memory statistics of a guest's balloon; 0: none.",
    ),
    cfg.StrOpt(
        'sysinfo_serial',
        default='unique',
        choices=['none', 'os', 'hardware', 'auto', 'unique'],
        help="Serial number in guests' DMI tables: none, the host's machine id, the hardware's "
        "id, whichever of these there is, or the server's id.",
    ),
    cfg.IntOpt(
        'num_pcie_ports',
        default=0,
        min=0,
        max=28,
        help='PCIe ports of q35 and virt machines, for devices to be added; 0: as libvirt does.',
    ),
    cfg.IntOpt('max_queues', min=1, help='Most queues that a network device gets.'),
    cfg.IntOpt(
        'rx_queue_size', choices=[256, 512, 1024], help='Receive queue size of virtio NICs.'
    ),
    cfg.IntOpt(
        'tx_queue_size', choices=[256, 512, 1024], help='Transmit queue size of vhost-user NICs.'
    ),
    cfg.BoolOpt(
        'use_virtio_for_bridges',
        default=True,
        help='Give NICs the virtio model where the image does not say hw_vif_model.',
    ),
    cfg.IntOpt(
        'realtime_scheduler_priority',
        default=1,
        help="Priority of real-time processors of guests in the host's FIFO scheduler.",
    ),
    cfg.IntOpt(
        'file_backed_memory',
        default=0,
        min=0,
        help="MiB of a file system that guests' memory is in, as files; 0: memory is anonymous.",
    ),
    cfg.BoolOpt(
        'swtpm_enabled',
        default=False,
        help='Give guests that ask for it an emulated TPM. Needs swtpm and a key manager.',
    ),
    cfg.IntOpt(
        'tb_cache_size', min=0, help='Cache of translated code in MiB for each emulated guest.'
    ),
    cfg.IntOpt(
        'wait_soft_reboot_seconds',
        default=120,
        help='Seconds that a guest gets to shut down for a soft reboot, before a hard one.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [
        (None, IMAGES),
        ('compute', COMPUTE),
        ('image_cache', CACHE),
        ('workarounds', WORKAROUNDS),
        ('libvirt', [*LIBVIRT, *STORAGE]),
        *volume_config.list_opts(),
        *migrate_config.list_opts(),
    ]
