"""VeNCrypt: TLS with certificates of both sides, within RFB."""

import socket
import ssl
import struct

from oslo_config import cfg

from kilonova.common import exception
from kilonova.consoleproxy.target import Unreachable, read_exactly

_VERSION = bytes([0, 2])
_X509_NONE = 260
"""The server shows a certificate, we show ours, and there is no password."""


def context(conf: cfg.ConfigOpts) -> ssl.SSLContext:
    """Return how to speak to VNC servers.

    Consoles are reached at addresses that certificates need not name, so what counts is the
    authority: it has to be one that signs VNC servers and nothing else.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    options = conf.vnc
    if not options.vencrypt_ca_certs:
        raise exception.KilonovaError('[vnc]auth_schemes vencrypt needs [vnc]vencrypt_ca_certs')
    try:
        made.load_verify_locations(options.vencrypt_ca_certs)
        if options.vencrypt_client_cert:
            made.load_cert_chain(options.vencrypt_client_cert, options.vencrypt_client_key)
    except OSError as error:  # SSLError is one
        raise exception.KilonovaError(f'VeNCrypt cannot use its certificates: {error}') from error
    return made


def begin(conf: cfg.ConfigOpts, target: socket.socket) -> socket.socket:
    """Return the encrypted connection.  Raises Unreachable, OSError."""
    version = read_exactly(target, 2)
    if version < _VERSION:
        raise Unreachable('the VNC server speaks an old VeNCrypt')
    target.sendall(_VERSION)
    if read_exactly(target, 1) != b'\0':
        raise Unreachable('the VNC server does not speak VeNCrypt 0.2')
    count = read_exactly(target, 1)[0]
    kinds = struct.unpack(f'>{count}I', read_exactly(target, 4 * count))
    if _X509_NONE not in kinds:
        raise Unreachable('the VNC server does not offer VeNCrypt with certificates')
    target.sendall(struct.pack('>I', _X509_NONE))
    if read_exactly(target, 1) != b'\1':
        raise Unreachable('the VNC server refuses VeNCrypt with certificates')
    return context(conf).wrap_socket(target)
