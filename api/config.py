"""Options of the two APIs: names, groups and defaults are Nova's."""

from oslo_config import cfg, types

from kilonova.common import base_config
from kilonova.common.config import Opts

SERVER = [
    cfg.ListOpt(
        'enabled_apis',
        default=['osapi_compute', 'metadata'],
        item_type=types.String(choices=['osapi_compute', 'metadata']),
        help='Which APIs nova-api serves.',
    ),
    cfg.ListOpt(
        'enabled_ssl_apis',
        default=[],
        help='Which of them use TLS, with the certificate of [wsgi].',
    ),
    cfg.StrOpt('osapi_compute_listen', default='0.0.0.0', help='Address of the compute API.'),
    cfg.PortOpt('osapi_compute_listen_port', default=8774, help='Port of the compute API.'),
    cfg.IntOpt(
        'osapi_compute_workers',
        min=1,
        help='Processes of the compute API; as many as there are processors when not set.',
    ),
    cfg.StrOpt('metadata_listen', default='0.0.0.0', help='Address of the metadata API.'),
    cfg.PortOpt('metadata_listen_port', default=8775, help='Port of the metadata API.'),
    cfg.IntOpt(
        'metadata_workers',
        min=1,
        help='Processes of the metadata API; as many as there are processors when not set.',
    ),
]

IMAGES = [
    cfg.ListOpt(
        'non_inheritable_image_properties',
        default=['cache_in_nova', 'bittorrent'],
        help='Properties of its image that an image made of a server does not get.',
    ),
]

API = [
    cfg.StrOpt(
        'auth_strategy',
        default='keystone',
        choices=['keystone', 'noauth2'],
        help='Who says who a caller is: Keystone, or (for tests) the caller.',
    ),
    cfg.IntOpt('max_limit', default=1000, min=0, help='Most items that one list answers with.'),
    cfg.StrOpt('compute_link_prefix', help='What links in answers begin with, behind a proxy.'),
    cfg.StrOpt('glance_link_prefix', help='What links to images begin with.'),
    cfg.BoolOpt(
        'enable_instance_password',
        default=True,
        help="Whether creating a server answers with its administrator's password.",
    ),
]

WSGI = [
    cfg.StrOpt(
        'api_paste_config',
        default='api-paste.ini',
        deprecated_group='DEFAULT',
        help='Paste file that names the layers of the APIs.',
    ),
    cfg.StrOpt(
        'secure_proxy_ssl_header',
        deprecated_group='DEFAULT',
        help='Request header, spelled as in WSGI (HTTP_X_FORWARDED_PROTO), in which a proxy '
        'passes on the scheme.',
    ),
    cfg.StrOpt('ssl_ca_file', help='Certificate authorities that sign client certificates.'),
    cfg.StrOpt('ssl_cert_file', help="The server's certificate."),
    cfg.StrOpt('ssl_key_file', help='The private key of the certificate.'),
    cfg.IntOpt('tcp_keepidle', default=600, min=0, help='Seconds until TCP looks for its peer.'),
    cfg.IntOpt('default_pool_size', default=1000, min=0, help='Most requests at one time.'),
    cfg.IntOpt('max_header_line', default=16384, min=0, help='Longest header line in bytes.'),
    cfg.BoolOpt('keep_alive', default=True, help='Whether a connection serves several requests.'),
    cfg.IntOpt(
        'client_socket_timeout',
        default=900,
        min=0,
        help='Seconds after which a silent connection is closed; 0 waits for ever.  A request '
        'that has begun has to be there within a minute, whatever this says.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [
        (None, SERVER + IMAGES),
        ('api', API),
        ('wsgi', WSGI),
        ('keystone', base_config.fellow_service('identity')),
    ]
