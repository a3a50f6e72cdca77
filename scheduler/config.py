"""The scheduler's options: names and defaults are Nova's."""

from oslo_config import cfg

from kilonova.common import metrics
from kilonova.common.config import Opts

ARCHITECTURES = (
    'alpha armv6 armv7l armv7b aarch64 cris i686 ia64 lm32 m68k microblaze microblazeel mips mipsel '
    'mips64 mips64el openrisc parisc parisc64 ppc ppcle ppc64 ppc64le ppcemb s390 s390x sh4 sh4eb '
    'sparc sparc64 unicore32 x86_64 xtensa xtensaeb'
).split()

SCHEDULER = [
    cfg.IntOpt(
        'workers',
        min=0,
        help='Number of scheduler processes. Unset: one for each processor.',
    ),
    cfg.IntOpt(
        'discover_hosts_in_cells_interval',
        default=-1,
        min=-1,
        help='Every so many seconds the conductor is asked to map compute hosts that no cell is '
        'recorded for, as nova-manage cell_v2 discover_hosts does. Hosts map themselves when they '
        'start, so only those need it whose mapping was deleted while they ran. 0 or -1: never.',
    ),
    cfg.IntOpt(
        'max_placement_results',
        default=1000,
        min=1,
        help='How many allocation candidates to ask placement for. With more hosts than this, '
        'filters and weighers see only a part of them; make placement choose that part at random '
        '([placement]randomize_allocation_candidates in placement.conf).',
    ),
    cfg.BoolOpt(
        'limit_tenants_to_placement_aggregate',
        default=False,
        help='A project that a host aggregate names in a filter_tenant_id* metadata item gets only '
        'hosts of such aggregates.',
    ),
    cfg.BoolOpt(
        'placement_aggregate_required_for_tenants',
        default=False,
        help='With limit_tenants_to_placement_aggregate: a project that no aggregate names gets no '
        'host at all, instead of any.',
    ),
    cfg.BoolOpt(
        'query_placement_for_image_type_support',
        default=False,
        help="Ask placement only for hosts that have the trait of the image's disk format "
        '(COMPUTE_IMAGE_TYPE_*).',
    ),
    cfg.BoolOpt(
        'enable_isolated_aggregate_filtering',
        default=False,
        help='Keep hosts of aggregates that have trait:NAME=required metadata for flavors and images '
        'that require all these traits.',
    ),
    cfg.BoolOpt(
        'image_metadata_prefilter',
        default=False,
        help='Turn image properties that name a device model, bus or architecture into required '
        'traits, so that placement offers only hosts that can emulate them.',
    ),
    cfg.BoolOpt(
        'query_placement_for_routed_network_aggregates',
        default=False,
        help='Ask Neutron for the segments of the requested networks, and placement only for hosts '
        'that are in the aggregates of these segments. Needed with routed provider networks.',
    ),
]


def _multiplier(name: str, default: float, of: str, **kwargs: float) -> cfg.Opt:
    return cfg.FloatOpt(
        f'{name}_weight_multiplier',
        default=default,
        help=f'How much {of} counts among the weights. A host aggregate can override it with a '
        'metadata item of this name.',
        **kwargs,
    )


FILTERS = [
    cfg.MultiStrOpt(
        'available_filters',
        default=['nova.scheduler.filters.all_filters'],
        help='Filters that enabled_filters may name: the word for all filters that come with the '
        'scheduler, a class path, or the path of a function that returns classes. Filters that '
        'installed packages register under the entry point "kilonova.scheduler.filters" are '
        'always available.',
    ),
    cfg.ListOpt(
        'enabled_filters',
        default=[
            'ComputeFilter',
            'ComputeCapabilitiesFilter',
            'ImagePropertiesFilter',
            'ServerGroupAntiAffinityFilter',
            'ServerGroupAffinityFilter',
        ],
        help='Filters in the order in which they are applied; those that look at one host at a time '
        'are applied last.',
    ),
    cfg.ListOpt(
        'weight_classes',
        default=['nova.scheduler.weights.all_weighers'],
        help='Weighers: the word for all that come with the scheduler, class paths, or entry points '
        'of "kilonova.scheduler.weights".',
    ),
    cfg.BoolOpt(
        'track_instance_changes',
        default=True,
        help='Kept for compatibility: the scheduler always knows which servers are on which host.',
    ),
    cfg.IntOpt(
        'host_subset_size',
        default=1,
        min=1,
        help='Pick at random among this many best hosts. More than one lets several schedulers '
        'collide less often.',
    ),
    cfg.BoolOpt(
        'shuffle_best_same_weighed_hosts',
        default=False,
        help='Pick at random among the best hosts when they have the same weight.',
    ),
    cfg.IntOpt(
        'max_io_ops_per_host',
        default=8,
        min=0,
        help='IoOpsFilter: a host with this many builds, resizes, snapshots … going on gets no more.',
    ),
    cfg.IntOpt(
        'max_instances_per_host',
        default=50,
        min=1,
        help='NumInstancesFilter: a host with this many servers gets no more.',
    ),
    cfg.ListOpt(
        'isolated_hosts',
        default=[],
        help='IsolatedHostsFilter: hosts (patterns such as rack1-*) that are kept for isolated_images.',
    ),
    cfg.ListOpt(
        'isolated_images',
        default=[],
        help='IsolatedHostsFilter: image ids that may run on isolated_hosts only.',
    ),
    cfg.BoolOpt(
        'restrict_isolated_hosts_to_isolated_images',
        default=True,
        help='IsolatedHostsFilter: keep other images away from isolated_hosts.',
    ),
    cfg.StrOpt(
        'aggregate_image_properties_isolation_namespace',
        help='AggregateImagePropertiesIsolation: compare only aggregate metadata with this prefix.',
    ),
    cfg.StrOpt(
        'aggregate_image_properties_isolation_separator',
        default='.',
        help='AggregateImagePropertiesIsolation: what stands between that prefix and the name.',
    ),
    cfg.StrOpt(
        'image_properties_default_architecture',
        choices=ARCHITECTURES,
        help='ImagePropertiesFilter: architecture of images that do not say theirs.',
    ),
    _multiplier('ram', 1.0, 'free memory (negative: stack, rather than spread)'),
    _multiplier('cpu', 1.0, 'the number of free virtual CPUs'),
    _multiplier('disk', 1.0, 'free disk space'),
    _multiplier('hypervisor_version', 1.0, 'a newer hypervisor version'),
    _multiplier('num_instances', 0.0, 'the number of servers on a host'),
    _multiplier('io_ops', -1.0, 'the number of heavy operations on a host'),
    _multiplier('pci', 1.0, 'keeping PCI devices for those who ask for them', min=0.0),
    _multiplier('cross_cell_move', 1000000.0, "staying in the server's cell when it is moved"),
    _multiplier(
        'image_props',
        0.0,
        'having servers with the same image properties (positive: pack, negative: spread, 0: off)',
    ),
    cfg.ListOpt(
        'image_props_weight_setting',
        default=[],
        help='ImagePropertiesWeigher: image properties that count, with their ratios, as '
        'name=ratio. Empty: each one counts 1.',
    ),
    _multiplier('preferred_traits', 1.0, 'having the traits that a flavor prefers', min=0.0),
    _multiplier('soft_affinity', 1.0, 'having more servers of the group', min=0.0),
    _multiplier('soft_anti_affinity', 1.0, 'having fewer servers of the group', min=0.0),
    _multiplier(
        'build_failure', 1000000.0, 'the number of recent failed builds, against the host,'
    ),
]

METRICS = [
    cfg.FloatOpt(
        'weight_multiplier',
        default=1.0,
        help='How much the metrics count among the weights.',
    ),
    cfg.ListOpt(
        'weight_setting',
        default=[],
        help='Metrics with their ratios, as name=ratio; the weight is the sum of value times ratio.',
    ),
    cfg.BoolOpt(
        'required',
        default=True,
        help='A host without one of the metrics is an error; otherwise it gets '
        'weight_of_unavailable.',
    ),
    cfg.FloatOpt(
        'weight_of_unavailable',
        default=-10000.0,
        help='Weight of a host without one of the metrics.',
    ),
]


WORKAROUNDS = [
    cfg.BoolOpt(
        'disable_fallback_pcpu_query',
        default=False,
        deprecated_for_removal=True,
        deprecated_reason='Every host reports its dedicated CPUs as PCPU by now.',
        deprecated_since='20.0.0',
        help='When no host has the dedicated CPUs (PCPU) that a flavor or image asks for, do not '
        'look for hosts that have as many shared ones (VCPU).',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [
        ('scheduler', SCHEDULER),
        ('filter_scheduler', FILTERS),
        ('metrics', METRICS),
        ('workarounds', WORKAROUNDS),
        *metrics.list_opts(),
    ]
