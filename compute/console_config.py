"""Options of the consoles that guests have, and of where users find their proxies."""

from oslo_config import cfg

from kilonova.common.config import Opts

VNC = [
    cfg.BoolOpt(
        'enabled',
        default=True,
        deprecated_name='vnc_enabled',
        deprecated_group='DEFAULT',
        help='Give guests a VNC display.',
    ),
    cfg.URIOpt(
        'novncproxy_base_url',
        default='http://127.0.0.1:6080/vnc_auto.html',
        deprecated_group='DEFAULT',
        help='URL of the noVNC proxy as users reach it.',
    ),
    cfg.HostAddressOpt(
        'server_listen', default='127.0.0.1', help='Address that VNC displays listen on.'
    ),
    cfg.HostAddressOpt(
        'server_proxyclient_address',
        default='127.0.0.1',
        help='Address of this host at which console proxies reach VNC displays.',
    ),
]

SPICE = [
    cfg.BoolOpt('enabled', default=False, help='Give guests a SPICE display.'),
    cfg.URIOpt(
        'html5proxy_base_url',
        default='http://127.0.0.1:6082/spice_auto.html',
        help='URL of the SPICE proxy as users reach it.',
    ),
    cfg.URIOpt(
        'spice_direct_proxy_base_url',
        default='http://127.0.0.1:13002/nova',
        help='URL of the proxy for native SPICE clients (type spice-direct) as users reach it.',
    ),
    cfg.BoolOpt('agent_enabled', default=True, help='Give guests the channel of the SPICE agent.'),
    cfg.StrOpt('server_listen', default='127.0.0.1', help='Address that SPICE displays listen on.'),
    cfg.StrOpt(
        'server_proxyclient_address',
        default='127.0.0.1',
        help='Address of this host at which console proxies reach SPICE displays.',
    ),
    cfg.BoolOpt(
        'require_secure',
        default=False,
        help='Only encrypted SPICE connections, which are for native clients (spice-direct): '
        'consoles of type spice-html5 are refused then.',
    ),
    cfg.StrOpt(
        'image_compression',
        advanced=True,
        choices=['auto_glz', 'auto_lz', 'quic', 'glz', 'lz', 'off'],
        help='Compression of images.',
    ),
    cfg.StrOpt(
        'jpeg_compression',
        advanced=True,
        choices=['auto', 'never', 'always'],
        help='Lossy compression of images on slow links.',
    ),
    cfg.StrOpt(
        'zlib_compression',
        advanced=True,
        choices=['auto', 'never', 'always'],
        help='Compression of images on slow links.',
    ),
    cfg.BoolOpt('playback_compression', advanced=True, help='Compression of sound.'),
    cfg.StrOpt(
        'streaming_mode',
        advanced=True,
        choices=['filter', 'all', 'off'],
        help='Which parts of the screen are taken for video.',
    ),
]

SERIAL = [
    cfg.BoolOpt(
        'enabled', default=False, help="Make guests' serial ports reachable through TCP ports."
    ),
    cfg.URIOpt(
        'base_url',
        default='ws://127.0.0.1:6083/',
        help='URL of the serial proxy as users reach it.',
    ),
    cfg.StrOpt(
        'port_range',
        default='10000:20000',
        regex=r'^\d+:\d+$',
        help='First and last TCP port for serial consoles on this host.',
    ),
    cfg.StrOpt(
        'proxyclient_address',
        default='127.0.0.1',
        help='Address of this host at which the serial proxy reaches the consoles.',
    ),
]

MKS = [
    cfg.BoolOpt('enabled', default=False, help='Offer consoles of type webmks (VMware).'),
    cfg.URIOpt(
        'mksproxy_base_url',
        default='http://127.0.0.1:6090/',
        help='URL of the MKS proxy as users reach it.',
    ),
]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [('vnc', VNC), ('spice', SPICE), ('serial_console', SERIAL), ('mks', MKS)]
