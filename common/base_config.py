"""Options that every daemon has: names and defaults are Nova's."""

import socket

from keystoneauth1 import loading as ks
from oslo_config import cfg

from kilonova.common.config import Opts
from kilonova.common.fitting import config as fitting_config

BASE = [
    cfg.StrOpt(
        'host',
        default=socket.gethostname(),
        sample_default='<current_hostname>',
        help='Name of this node, as it is stored with its services and known to Neutron. '
        'It need not be a resolvable host name.',
    ),
    cfg.StrOpt(
        'my_ip',
        default='127.0.0.1',
        sample_default='<host_ipv4>',
        help='Address of this host on the management network.',
    ),
    cfg.StrOpt(
        'instance_name_template',
        default='instance-%08x',
        help='Name of a server on its hypervisor: %08x takes its number, %(uuid)s its id.',
    ),
    cfg.StrOpt(
        'default_schedule_zone',
        help='Availability zone of servers that ask for none; empty for any zone.',
    ),
    cfg.IntOpt('password_length', default=12, min=0, help='Length of generated passwords.'),
    cfg.StrOpt('state_path', default='/var/lib/nova', help='Directory for what has to be kept.'),
    cfg.IntOpt('report_interval', default=10, help='Seconds between two heartbeats.'),
    cfg.IntOpt(
        'service_down_time',
        default=60,
        help='Seconds after the last heartbeat until a service counts as down.',
    ),
    cfg.IntOpt(
        'graceful_shutdown_timeout',
        default=180,
        min=0,
        help='Seconds that a daemon may take to finish what is in flight when it is stopped; '
        '0 waits for ever.',
    ),
    cfg.IntOpt(
        'shutdown_timeout',
        default=60,
        min=0,
        help='Seconds that a guest gets to shut down before it is powered off; the image '
        'property os_shutdown_timeout overrides it.',
    ),
    cfg.StrOpt(
        'default_availability_zone',
        default='nova',
        help='Zone of compute hosts that no aggregate puts into another one.',
    ),
    cfg.StrOpt(
        'concurrency_backend',
        default='auto',
        choices=['auto', 'eventlet', 'threading'],
        help='How a daemon does many things at once. "auto" picks what was measured to be '
        'the cheaper one for the daemon.',
    ),
    # Read by conductors, which keep it with a server that they accept, and by computes.
    cfg.BoolOpt(
        'force_config_drive', default=False, help='Give every server a configuration drive.'
    ),
]

UPGRADE_LEVELS = [
    cfg.StrOpt(
        name,
        help=f'Highest version of the {name} interface to speak: a version, or "auto" for what '
        'the oldest running daemon understands.',
    )
    for name in ('conductor', 'compute', 'scheduler')
]


def _adapter(service_type: str) -> list[cfg.Opt]:
    opts = ks.get_adapter_conf_options(include_deprecated=False)
    cfg.set_defaults(opts, valid_interfaces=['internal', 'public'], service_type=service_type)
    return opts


def fellow_service(service_type: str) -> list[cfg.Opt]:
    """Return keystoneauth's options of a section that names a fellow service.

    The authentication plugin's own options (``username`` …) are registered when it is loaded.
    """
    return [
        *ks.get_session_conf_options(),
        *ks.get_auth_common_conf_options(),
        *_adapter(service_type),
    ]


SERVICE_USER = [
    cfg.BoolOpt(
        'send_service_user_token',
        default=False,
        help="Send our own token beside the user's, so that long work outlives it.",
    ),
    *ks.get_session_conf_options(),
    *ks.get_auth_common_conf_options(),
]

VENDORDATA_AUTH = [*ks.get_session_conf_options(), *ks.get_auth_common_conf_options()]

NEUTRON = [
    cfg.BoolOpt(
        'service_metadata_proxy',
        default=False,
        help="Metadata requests come through Neutron's metadata agent.",
    ),
    cfg.StrOpt(
        'metadata_proxy_shared_secret',
        default='',
        secret=True,
        help="Secret shared with Neutron's metadata agent; signs the server's id.",
    ),
    cfg.StrOpt('ovs_bridge', default='br-int', help='Open vSwitch bridge that ports are put on.'),
    cfg.IntOpt('http_retries', default=3, min=0, help='How often a request is tried again.'),
    cfg.StrOpt(
        'default_floating_pool',
        default='nova',
        help='External network, by name or id, of floating IPs that are asked for without a pool.',
    ),
    *fellow_service('network'),
]

GLANCE = [
    cfg.ListOpt('api_servers', help='URLs of Glance, when the catalog is not to be used.'),
    cfg.IntOpt('num_retries', default=3, min=0, help='How often a download is tried again.'),
    *fellow_service('image'),
]

CINDER = [
    cfg.StrOpt(
        'catalog_info',
        default='volumev3::publicURL',
        regex=r'^[\w-]+:\w*:.*$',
        help='Where the catalog has Cinder, as service type, service name and interface with '
        'colons between; the name may be empty.',
    ),
    cfg.StrOpt(
        'endpoint_template',
        help="Cinder's URL when the catalog is not to be used; %(project_id)s becomes the "
        "caller's project, e.g. http://localhost:8776/v3/%(project_id)s",
    ),
    cfg.StrOpt('os_region_name', help='Region of the catalog that Cinder is looked up in.'),
    cfg.IntOpt('http_retries', default=3, min=0, help='How often a connection is tried again.'),
    cfg.BoolOpt(
        'cross_az_attach',
        default=True,
        help='Servers may have volumes of other availability zones. When false, a new server '
        "is put into its volumes' zone.",
    ),
    *ks.get_session_conf_options(),
    *ks.get_auth_common_conf_options(),
]


MANILA = [
    cfg.IntOpt(
        'share_apply_policy_timeout',
        default=10,
        help='Seconds that Manila gets to let a host use a share.',
    ),
    *fellow_service('shared-file-system'),
]

# Read by the metadata API and by computes that write config drives.
METADATA = [
    cfg.StrOpt(
        'dhcp_domain',
        default='novalocal',
        help="Domain that metadata puts after a server's host name; empty for none.",
    ),
    cfg.StrOpt(
        'config_drive_skip_versions',
        default='1.0 2007-01-19 2007-03-01 2007-08-29 2007-10-10 2007-12-15 2008-02-01 2008-09-01',
        help='Versions of the EC2 tree that config drives go without, separated by spaces.',
    ),
    cfg.ListOpt(
        'vendordata_providers',
        default=['StaticJSON'],
        help='What vendor data is made of: StaticJSON is the file of vendordata_jsonfile_path, '
        'DynamicJSON the services of vendordata_dynamic_targets.',
    ),
    cfg.IntOpt(
        'metadata_cache_expiration',
        default=15,
        min=0,
        help='Seconds for which the metadata API remembers a server; 0 forgets it at once.',
    ),
    cfg.ListOpt(
        'vendordata_dynamic_targets',
        default=[],
        help='Services that DynamicJSON asks about each server, each as name@url.',
    ),
    cfg.IntOpt(
        'vendordata_dynamic_connect_timeout',
        default=5,
        min=3,
        help='Seconds for connecting to one of them.',
    ),
    cfg.IntOpt('vendordata_dynamic_read_timeout', default=5, min=0, help='Seconds for its answer.'),
    cfg.StrOpt(
        'vendordata_dynamic_ssl_certfile',
        help='Authorities, or the one certificate, that their TLS is checked against.',
    ),
    cfg.BoolOpt(
        'vendordata_dynamic_failure_fatal',
        default=False,
        help='Whether a build, or a request for vendor data, fails when one of them gives no '
        'answer; else its part is empty.',
    ),
    cfg.StrOpt('vendordata_jsonfile_path', help='JSON file with vendor data for every server.'),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [
        (None, BASE),
        ('api', METADATA),
        ('upgrade_levels', UPGRADE_LEVELS),
        ('placement', fellow_service('placement')),
        ('neutron', NEUTRON),
        ('glance', GLANCE),
        ('cinder', CINDER),
        ('manila', MANILA),
        ('service_user', SERVICE_USER),
        ('vendordata_dynamic_auth', VENDORDATA_AUTH),
        *fitting_config.list_opts(),
    ]
