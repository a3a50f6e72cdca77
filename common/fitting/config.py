"""Options about PCI devices and NUMA nodes that more than one daemon reads."""

from oslo_config import cfg

from kilonova.common.config import Opts

PCI = [
    cfg.MultiStrOpt(
        'alias',
        default=[],
        help='A name for PCI devices, as JSON, for the extra spec pci_passthrough:alias: name, '
        'vendor_id and product_id (or resource_class, with pci_in_placement), device_type '
        '(type-PCI, type-PF, type-VF), numa_policy (legacy, preferred, required, socket), '
        'traits. Several with one name are alternatives. The same on conductors, schedulers and '
        'computes.',
    ),
    cfg.MultiStrOpt(
        'device_spec',
        default=[],
        help='Devices that guests may have, as JSON: vendor_id, product_id, address (a pattern '
        'such as 0000:8?:00.*) or devname; further items are tags of the devices, among them '
        'physical_network, resource_class, traits.',
    ),
    cfg.BoolOpt(
        'report_in_placement',
        default=False,
        help='Tell placement of the devices: a provider for each physical one, with an inventory '
        'of its resource_class. Not to be taken back once it is on.',
    ),
]

COMPUTE = [
    cfg.StrOpt(
        'cpu_shared_set',
        help='Host processors that floating virtual processors run on, such as "0-7,^3". '
        'Unset: all that are not in cpu_dedicated_set.',
    ),
    cfg.StrOpt(
        'cpu_dedicated_set',
        help='Host processors that guests may have for their own (hw:cpu_policy dedicated, mixed): '
        'the inventory of PCPU. Unset: none.',
    ),
    cfg.BoolOpt(
        'packing_host_numa_cells_allocation_strategy',
        default=False,
        help="Put guests on the fullest of a host's NUMA nodes that has room, not on the emptiest.",
    ),
]

FILTER_SCHEDULER = [
    cfg.BoolOpt(
        'pci_in_placement',
        default=False,
        help='Ask placement for the PCI devices that a flavor asks for. Only when all computes '
        'have [pci]report_in_placement.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [('pci', PCI), ('compute', COMPUTE), ('filter_scheduler', FILTER_SCHEDULER)]
