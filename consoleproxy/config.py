"""Options of the console proxies: names, groups and defaults are Nova's, but for the limits."""

from oslo_config import cfg, types

from kilonova.common.config import Opts

# These may be given on the command line as well.
COMMON = [
    cfg.BoolOpt('ssl_only', default=False, help='Refuse connections without TLS.'),
    cfg.BoolOpt('source_is_ipv6', default=False, help='Listen on IPv6, where a name has both.'),
    cfg.StrOpt(
        'cert',
        default='self.pem',
        help='Certificate (with its chain) for TLS.  When there is no such file, connections '
        'are in the clear.',
    ),
    cfg.StrOpt('key', help='Private key, when the file of the certificate does not have it.'),
    cfg.StrOpt(
        'web',
        default='/usr/share/spice-html5',
        help='Directory of the web client that the proxy serves.  nova-novncproxy has '
        '/usr/share/novnc for a default; nova-serialproxy serves none.',
    ),
    cfg.BoolOpt('daemon', default=False, help='Go to the background.'),
    cfg.StrOpt(
        'record',
        help='Write what goes over each connection to a file: this path, a dot, and the number '
        'of the connection.  Keystrokes, passwords among them, are in there.',
    ),
]

CONSOLE = [
    cfg.ListOpt(
        'allowed_origins',
        default=[],
        deprecated_name='console_allowed_origins',
        deprecated_group='DEFAULT',
        help="Hosts whose pages may open consoles, beside the proxy's own.",
    ),
    cfg.StrOpt(
        'ssl_ciphers',
        help="OpenSSL's list of the ciphers offered up to TLS 1.2; the default is that of Python.",
    ),
    cfg.StrOpt(
        'ssl_minimum_version',
        default='default',
        choices=['default', 'tlsv1_1', 'tlsv1_2', 'tlsv1_3'],
        help='Oldest version of TLS that is spoken; default means TLS 1.2.',
    ),
    cfg.IntOpt(
        'max_connections',
        default=2000,
        min=1,
        help='Most connections at one time; who comes after that is told to come back later.',
    ),
    cfg.IntOpt(
        'check_interval',
        default=60,
        min=1,
        help='Seconds between two looks whether the servers of open consoles are still there.',
    ),
]

CONSOLEAUTH = [
    cfg.BoolOpt(
        'enforce_session_timeout',
        default=False,
        help='Whether a console that is open ends when its URL expires.',
    ),
]

VNC = [
    cfg.StrOpt(
        'novncproxy_host',
        default='0.0.0.0',
        deprecated_group='DEFAULT',
        help='Address that nova-novncproxy listens on.',
    ),
    cfg.PortOpt(
        'novncproxy_port',
        default=6080,
        deprecated_group='DEFAULT',
        help='Port that nova-novncproxy listens on.',
    ),
    cfg.ListOpt(
        'auth_schemes',
        default=['none'],
        item_type=types.String(choices=['none', 'vencrypt']),
        help='How nova-novncproxy may identify itself to VNC servers, the best first: vencrypt '
        '(TLS with certificates) or none.',
    ),
    cfg.StrOpt('vencrypt_client_key', help='Private key of the certificate for VeNCrypt.'),
    cfg.StrOpt('vencrypt_client_cert', help='Certificate for VeNCrypt.'),
    cfg.StrOpt('vencrypt_ca_certs', help='Authorities that sign the certificates of VNC servers.'),
]

SPICE = [
    cfg.HostAddressOpt(
        'html5proxy_host', default='0.0.0.0', help='Address that nova-spicehtml5proxy listens on.'
    ),
    cfg.PortOpt('html5proxy_port', default=6082, help='Port that nova-spicehtml5proxy listens on.'),
]

SERIAL = [
    cfg.StrOpt(
        'serialproxy_host', default='0.0.0.0', help='Address that nova-serialproxy listens on.'
    ),
    cfg.PortOpt('serialproxy_port', default=6083, help='Port that nova-serialproxy listens on.'),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [
        (None, COMMON),
        ('console', CONSOLE),
        ('consoleauth', CONSOLEAUTH),
        ('vnc', VNC),
        ('spice', SPICE),
        ('serial_console', SERIAL),
    ]
