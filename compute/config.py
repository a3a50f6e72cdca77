"""Options of nova-compute: names, groups and defaults are Nova's.

``[libvirt]`` is the driver's (``virt.config``);
``[fake_driver]`` is our own.
"""

from oslo_config import cfg

from kilonova.common.config import Opts
from kilonova.common.notifications import config as notifications_config
from kilonova.compute import console_config

HOST = [
    cfg.StrOpt(
        'compute_driver',
        help='The virt driver: libvirt.LibvirtDriver, fake.FakeDriver, or a name that a package '
        'has registered as an entry point in kilonova.virt.',
    ),
    cfg.StrOpt(
        'instances_path',
        default='$state_path/instances',
        sample_default='$state_path/instances',
        help='Directory with the disks of the servers on this host.',
    ),
    cfg.IntOpt(
        'reserved_host_disk_mb', default=0, min=0, help='Disk in MiB that servers do not get.'
    ),
    cfg.IntOpt(
        'reserved_host_memory_mb',
        default=512,
        min=0,
        help='Memory in MiB that servers do not get.',
    ),
    cfg.StrOpt(
        'my_shared_fs_storage_ip',
        default='$my_ip',
        help='Address from which this host uses shares of the file system service.',
    ),
    cfg.IntOpt('reserved_host_cpus', default=0, min=0, help='Processors that servers do not get.'),
]


def _ratio(name: str, what: str, initial: float) -> list[cfg.Opt]:
    return [
        cfg.FloatOpt(
            f'{name}_allocation_ratio',
            min=0.0,
            help=f'How much {what} servers get for each unit that there is. Unset (or 0): '
            f'initial_{name}_allocation_ratio for a new provider, later what placement has, '
            'so that it can be changed there.',
        ),
        cfg.FloatOpt(
            f'initial_{name}_allocation_ratio',
            default=initial,
            min=0.0,
            help=f'Allocation ratio of {what} that a new provider starts with.',
        ),
    ]


RATIOS = [
    *_ratio('cpu', 'virtual processors', 4.0),
    *_ratio('ram', 'memory', 1.0),
    *_ratio('disk', 'disk', 1.0),
]

BUILD = [
    cfg.IntOpt(
        'max_concurrent_live_migrations',
        default=1,
        min=0,
        help='How many running servers leave this host at a time; others wait. 0: no limit.',
    ),
    cfg.IntOpt(
        'max_concurrent_builds',
        default=10,
        min=0,
        help='How many servers are built at a time; others wait. 0: no limit.',
    ),
    cfg.IntOpt(
        'max_concurrent_snapshots',
        default=5,
        min=0,
        help='How many images of servers are made at a time; others wait. 0: no limit.',
    ),
    cfg.StrOpt(
        'config_drive_format',
        default='iso9660',
        choices=['iso9660', 'vfat'],
        help='File system of configuration drives.',
    ),
    cfg.BoolOpt(
        'vif_plugging_is_fatal',
        default=True,
        help='Fail a build when Neutron does not report its ports as plugged in time.',
    ),
    cfg.IntOpt(
        'vif_plugging_timeout',
        default=300,
        min=0,
        help='Seconds to wait for that report; 0: do not wait.',
    ),
    cfg.IntOpt(
        'network_allocate_retries',
        default=0,
        min=0,
        help='How often making the ports of a server is tried again.',
    ),
    cfg.IntOpt(
        'reimage_timeout_per_gb',
        default=20,
        min=1,
        help='Seconds that Cinder gets for each GiB of a volume that an image is written to.',
    ),
    cfg.IntOpt(
        'block_device_allocate_retries',
        default=60,
        min=0,
        help='How often it is looked again whether Cinder has made a volume for a new server.',
    ),
    cfg.IntOpt(
        'block_device_allocate_retries_interval',
        default=3,
        min=0,
        help='Seconds between two such looks.',
    ),
]

PERIODIC = [
    cfg.IntOpt(
        'update_resources_interval',
        default=0,
        help='Seconds between two looks at what the host has to offer; 0: 60, negative: never.',
    ),
    cfg.IntOpt(
        'sync_power_state_interval',
        default=600,
        help='Seconds between two comparisons of all guests with their records; 0: 60, '
        'negative: never. Changes that the hypervisor tells of are handled at once.',
    ),
    cfg.IntOpt(
        'heal_instance_info_cache_interval',
        default=-1,
        help='Seconds until the addresses of the next server are read from Neutron again, '
        'one server at a time; 0: 60, negative: never, as Neutron tells of changes.',
    ),
    cfg.StrOpt(
        'running_deleted_instance_action',
        default='reap',
        choices=['reap', 'log', 'shutdown', 'noop'],
        help='What is done with a guest whose server has been deleted: removed, reported, '
        'powered off, or nothing.',
    ),
    cfg.IntOpt(
        'running_deleted_instance_poll_interval',
        default=1800,
        help='Seconds between two searches for such guests; 0: 60, negative: never.',
    ),
    cfg.IntOpt(
        'running_deleted_instance_timeout',
        default=0,
        help='Seconds after the deletion from which such a guest counts as forgotten.',
    ),
    cfg.BoolOpt(
        'instance_usage_audit',
        default=False,
        help='Have the servers of this host counted once in each instance_usage_audit_period; '
        'os-instance_usage_audit_log shows it.',
    ),
    cfg.IntOpt(
        'volume_usage_poll_interval',
        default=0,
        help='Seconds between two reports of what guests have read from and written to their '
        'volumes (the notification volume.usage); 0 or less: never.',
    ),
    cfg.ListOpt(
        'compute_monitors',
        default=[],
        help='What is measured on the host, for the MetricsWeigher and the notification '
        'metrics.update: cpu.virt_driver, or nothing.',
    ),
    cfg.BoolOpt(
        'resume_guests_state_on_host_boot',
        default=False,
        help='Start guests that were running when the host went down.',
    ),
]

FAKE = [
    cfg.StrOpt(
        'hosts',
        help='Hosts that one nova-compute with a fake driver plays: a number (HOST-1, HOST-2 …; '
        '1: HOST) or names with commas between them. Unset: [DEFAULT]host alone.',
    ),
    cfg.IntOpt('vcpus', min=1, help='Processors of each host; unset: as the driver class has it.'),
    cfg.IntOpt('memory_mb', min=1, help='Memory of each host in MiB.'),
    cfg.IntOpt('local_gb', min=1, help='Disk of each host in GiB.'),
    cfg.IntOpt(
        'numa_cells', default=0, min=0, help='NUMA nodes of each host; 0: none is reported.'
    ),
    cfg.IntOpt('cpu_threads', default=2, min=1, help='Threads of each core, with numa_cells.'),
    cfg.IntOpt('huge_pages', default=0, min=0, help='Pages of 2 MiB in each NUMA node.'),
    cfg.IntOpt('gigantic_pages', default=0, min=0, help='Pages of 1 GiB in each NUMA node.'),
    cfg.IntOpt(
        'pci_devices',
        default=0,
        min=0,
        help='PCI devices (8086:1572) of each host; guests get those that [pci]device_spec names.',
    ),
    cfg.FloatOpt('spawn_delay', default=0.0, min=0.0, help='Seconds that making a guest takes.'),
    cfg.FloatOpt(
        'destroy_delay', default=0.0, min=0.0, help='Seconds that removing a guest takes.'
    ),
    cfg.FloatOpt('power_delay', default=0.0, min=0.0, help='Seconds that a power change takes.'),
    cfg.ListOpt(
        'fail_spawn',
        default=[],
        help='Builds that fail so that another host is tried: shell patterns of HOST/SERVER, '
        'such as "host-1/*" or "*/bad-*".',
    ),
    cfg.ListOpt('abort_spawn', default=[], help='Builds that fail for good; patterns likewise.'),
    cfg.ListOpt('fail_destroy', default=[], help='Guests that cannot be removed.'),
    cfg.ListOpt('fail_power', default=[], help='Guests whose power cannot be changed.'),
    cfg.ListOpt('fail_attach_volume', default=[], help='Guests that no volume can be given to.'),
    cfg.ListOpt('fail_detach_volume', default=[], help='Guests that no volume can be taken from.'),
    cfg.ListOpt('fail_attach', default=[], help='Guests that take and give no interfaces.'),
    cfg.FloatOpt(
        'move_delay', default=0.0, min=0.0, help='Seconds that each step of a move takes.'
    ),
    cfg.FloatOpt(
        'live_migration_delay',
        default=0.0,
        min=0.0,
        help="Seconds that copying a running guest's memory takes.",
    ),
    cfg.ListOpt(
        'fail_move',
        default=[],
        help='Steps of moves that fail: shell patterns of STEP/HOST/SERVER, where STEP is '
        'prepare, leave, finish, revert or confirm, or of live moves check, receive, migrate, '
        'arrive or clean.',
    ),
    cfg.FloatOpt(
        'fail_spawn_rate',
        default=0.0,
        min=0.0,
        max=1.0,
        help='Share of builds, picked at random, that fail so that another host is tried.',
    ),
    cfg.ListOpt(
        'lose_guests',
        default=[],
        help='Guests that vanish after lose_delay seconds, as when the hypervisor loses them.',
    ),
    cfg.ListOpt(
        'halt_guests',
        default=[],
        help='Guests that shut down from the inside after lose_delay seconds.',
    ),
    cfg.FloatOpt('lose_delay', default=1.0, min=0.0, help='See lose_guests and halt_guests.'),
    cfg.ListOpt(
        'ignore_shutdown',
        default=[],
        help='Guests that do not react to a request to shut down: the plug has to be pulled.',
    ),
    cfg.BoolOpt(
        'wait_for_plug_events',
        default=True,
        help="Wait for Neutron's network-vif-plugged events, as a real driver does.",
    ),
    cfg.BoolOpt(
        'download_images',
        default=False,
        help='Read the image from Glance at each build, verify it, and throw it away.',
    ),
    cfg.StrOpt(
        'state_dir',
        help='Directory in which each host keeps its guests, so that they survive a restart.',
    ),
]


def _old(name: str, *groups: str) -> list[cfg.DeprecatedOpt]:
    return [cfg.DeprecatedOpt(name, group=group) for group in groups]


CACHE = [
    cfg.IntOpt(
        'manager_interval',
        default=2400,
        min=-1,
        deprecated_opts=_old('image_cache_manager_interval', 'DEFAULT'),
        help='Seconds between two looks for cached images that nobody uses any more; 0: 60, '
        '-1: never.',
    ),
    cfg.BoolOpt(
        'remove_unused_base_images',
        default=True,
        deprecated_opts=_old('remove_unused_base_images', 'DEFAULT'),
        help='Remove cached images that no disk and no server of the host needs.',
    ),
    cfg.IntOpt(
        'remove_unused_original_minimum_age_seconds',
        default=24 * 3600,
        deprecated_opts=_old('remove_unused_original_minimum_age_seconds', 'DEFAULT'),
        help='Seconds that a cached image must have been unused before it is removed; less '
        'than a minute counts as one.',
    ),
    cfg.IntOpt(
        'remove_unused_resized_minimum_age_seconds',
        default=3600,
        deprecated_opts=_old('remove_unused_resized_minimum_age_seconds', 'libvirt'),
        help='The same for what can be made anew without Glance: empty swap and ephemeral '
        'disks, and resized copies that Nova has left.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [
        (None, [*HOST, *RATIOS, *BUILD, *PERIODIC]),
        ('image_cache', CACHE),
        ('fake_driver', FAKE),
        *notifications_config.list_opts(),
        *console_config.list_opts(),
    ]
