"""Options of the conductor: quotas, zones, records of hosts, durable operations."""

from oslo_config import cfg

from kilonova.common.base_config import fellow_service
from kilonova.common.config import Opts
from kilonova.conductor import audit_period

CONDUCTOR = [
    cfg.IntOpt(
        'workers',
        min=1,
        help='Number of conductor processes; the default is the number of processors.',
    ),
]

API = [
    cfg.BoolOpt(
        'list_records_by_skipping_down_cells',
        default=True,
        help='Lists leave out what is in a cell whose database does not answer. When false, '
        'such a list fails with 503. From microversion 2.69 on, lists of servers without '
        'filters, sorting and paging show the servers of such a cell with status UNKNOWN.',
    ),
]

HOSTS = [
    cfg.StrOpt(
        'internal_service_availability_zone',
        default='internal',
        help='Zone that is shown for services other than nova-compute.',
    ),
    cfg.BoolOpt(
        'enable_new_services',
        default=True,
        help='A nova-compute that registers for the first time gets servers at once. When '
        'false, its service starts disabled.',
    ),
]


def _limit(name: str, default: int, what: str) -> cfg.IntOpt:
    return cfg.IntOpt(
        name,
        default=default,
        min=-1,
        deprecated_name=f'quota_{name}',
        deprecated_group='DEFAULT',
        help=f'Default limit: {what}. -1: no limit.',
    )


QUOTA = [
    _limit('instances', 10, 'servers of a project'),
    _limit('cores', 20, 'VCPUs of all servers of a project'),
    _limit('ram', 50 * 1024, 'MiB of memory of all servers of a project'),
    _limit('metadata_items', 128, 'metadata items of a server'),
    _limit('injected_files', 5, 'files given when a server is created'),
    _limit('injected_file_content_bytes', 10 * 1024, 'bytes in each of these files'),
    _limit('injected_file_path_length', 255, "bytes in such a file's path"),
    _limit('key_pairs', 100, 'key pairs of a user'),
    _limit('server_groups', 10, 'server groups of a project'),
    _limit('server_group_members', 10, 'servers in a server group'),
    cfg.StrOpt(
        'driver',
        default='nova.quota.DbQuotaDriver',
        choices=[
            'nova.quota.DbQuotaDriver',
            'nova.quota.NoopQuotaDriver',
            'nova.quota.UnifiedLimitsDriver',
        ],
        help='Where limits come from: the API database, nowhere (all is allowed), or Keystone '
        '(see [oslo_limit]).',
    ),
    cfg.StrOpt(
        'unified_limits_resource_strategy',
        default='require',
        choices=['require', 'ignore'],
        help='Whether unified_limits_resource_list names what must have a registered limit in '
        'Keystone, and is refused without one, or what is not limited without one.',
    ),
    cfg.ListOpt(
        'unified_limits_resource_list',
        default=['servers'],
        help='Resources that unified_limits_resource_strategy is about: servers, class:VCPU …',
    ),
    cfg.BoolOpt(
        'recheck_quota',
        default=True,
        help='Read for compatibility. Usage is counted and booked in one transaction that others '
        'wait for, so that there is nothing to check again.',
    ),
    cfg.BoolOpt(
        'count_usage_from_placement',
        default=False,
        help='Read for compatibility. Usage is counted from the records of servers, of all cells, '
        'whether their cell is up or not.',
    ),
]


# Which limits of Keystone are ours, beside how to speak to it.
OSLO_LIMIT = [
    cfg.StrOpt('endpoint_id', help='Our endpoint, whose service has the limits registered.'),
    cfg.StrOpt('endpoint_service_type', help='Type of our service, when there is no endpoint_id.'),
    cfg.StrOpt('endpoint_service_name', help='Name of our service, when there is no endpoint_id.'),
    cfg.StrOpt('endpoint_region_name', help='Region of our endpoint, without an endpoint_id.'),
    cfg.StrOpt(
        'endpoint_interface',
        default='public',
        help='Interface of our endpoint, when there is no endpoint_id.',
    ),
    *fellow_service('identity'),
]

SERVERS = [
    cfg.IntOpt(
        'shelved_offload_time',
        default=0,
        min=-1,
        help='How many seconds after it was shelved a server leaves its host. 0: at once. '
        '-1: never by itself.',
    ),
    cfg.IntOpt(
        'reclaim_instance_interval',
        default=0,
        help='For how many seconds a deleted server can be restored. 0: it is deleted at once.',
    ),
]

MOVES = [
    cfg.IntOpt(
        'migrate_max_retries',
        default=-1,
        min=-1,
        help='On how many more hosts a live migration is tried after the first one has refused '
        'it. -1: on all.',
    ),
    cfg.BoolOpt(
        'allow_resize_to_same_host',
        default=False,
        help='A resize may end on the host where the server is.',
    ),
    cfg.IntOpt(
        'resize_confirm_window',
        default=0,
        min=0,
        help='Seconds after which a resize is confirmed by itself. 0: never.',
    ),
    cfg.IntOpt(
        'max_local_block_devices',
        default=3,
        help="How many local disks a server may have, the flavor's included. 0: it has to boot "
        'from a volume. Below 0: as many as are asked for.',
    ),
]

IMAGE_CACHE = [
    cfg.IntOpt(
        'precache_concurrency',
        default=1,
        min=1,
        help='How many hosts of aggregates fetch images at a time that are to be cached there '
        'before servers need them.',
    ),
]

USAGE = [
    cfg.StrOpt(
        'instance_usage_audit_period',
        default='month',
        regex=audit_period.PATTERN,
        help='Period of the usage audit: hour, day, month or year. A number after @ says where '
        'it begins: hour@15 at a quarter past, day@6 at six, month@15 on the fifteenth, year@4 '
        'in April.',
    ),
]

CONSOLEAUTH = [
    cfg.IntOpt(
        'token_ttl',
        default=600,
        min=0,
        deprecated_name='console_token_ttl',
        deprecated_group='DEFAULT',
        help='Seconds for which the URL of a console can be used.',
    ),
]

SCHEDULER = [
    cfg.IntOpt(
        'max_attempts',
        default=3,
        min=1,
        help='On how many hosts a build is tried before the server goes to ERROR. The scheduler '
        'is asked for that many hosts at once.',
    ),
]

COMPUTE = [
    cfg.IntOpt(
        'max_disk_devices_to_attach',
        default=-1,
        min=-1,
        help='How many disks a server may have when one more is attached. -1: no limit.',
    ),
]

WORKAROUNDS = [
    cfg.BoolOpt(
        'disable_group_policy_check_upcall',
        default=False,
        help='Believe the scheduler about server groups: do not look again, when a server is '
        'given its host, whether the policy (affinity, anti-affinity) still holds. Servers that '
        'are created at the same time may then break it.',
    ),
]

OPERATIONS = [
    cfg.IntOpt(
        'lease',
        default=60,
        min=1,
        help='Seconds after which an operation that nobody reports on is taken over: another '
        'conductor goes on with it, or its compute host is told once more. Must be longer than '
        '[DEFAULT]report_interval.',
    ),
    cfg.FloatOpt(
        'sweep_interval',
        default=5.0,
        min=0.01,
        help='Seconds between two looks for operations whose lease has run out.',
    ),
    cfg.IntOpt(
        'max_attempts',
        default=10,
        min=1,
        help='How often an operation is taken up before it is ended with a fault.',
    ),
    cfg.IntOpt(
        'patience',
        default=24 * 3600,
        min=0,
        help='Seconds for which a deletion that fails is tried again, with growing pauses of '
        'up to 15 minutes: the disk may be busy, Neutron may be away. Only then the server goes '
        'to ERROR. A new request to delete it ends the pause.',
    ),
    cfg.IntOpt(
        'concurrency',
        default=64,
        min=1,
        help='How many operations one conductor process works on at once.',
    ),
    cfg.IntOpt(
        'booking_time',
        default=300,
        min=1,
        help='Seconds after which quota that was booked for a server is given back when the '
        'server was never recorded because the conductor died in between.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [
        (None, HOSTS + SERVERS + MOVES + USAGE),
        ('api', API),
        ('conductor', CONDUCTOR),
        ('compute', COMPUTE),
        ('quota', QUOTA),
        ('consoleauth', CONSOLEAUTH),
        ('oslo_limit', OSLO_LIMIT),
        ('scheduler', SCHEDULER),
        ('operations', OPERATIONS),
        ('workarounds', WORKAROUNDS),
        ('image_cache', IMAGE_CACHE),
    ]
