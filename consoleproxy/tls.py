"""TLS towards browsers."""

import os
import socket
import ssl

from oslo_config import cfg

from kilonova.common import exception

_HANDSHAKE = 0x16
"""The first byte of every TLS connection."""
_OLDEST = {
    'default': ssl.TLSVersion.TLSv1_2,
    'tlsv1_1': ssl.TLSVersion.TLSv1_1,
    'tlsv1_2': ssl.TLSVersion.TLSv1_2,
    'tlsv1_3': ssl.TLSVersion.TLSv1_3,
}


def context(conf: cfg.ConfigOpts) -> ssl.SSLContext | None:
    """Return what connections are wrapped with; None when there is no certificate."""
    if not conf.cert or not os.path.exists(conf.cert):
        if conf.ssl_only:
            raise exception.KilonovaError(f'ssl_only needs a certificate; {conf.cert} is not there')
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = _OLDEST[conf.console.ssl_minimum_version]
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    made.options |= ssl.OP_NO_RENEGOTIATION
    try:
        if conf.console.ssl_ciphers:
            made.set_ciphers(conf.console.ssl_ciphers)
        made.load_cert_chain(conf.cert, conf.key)
    except OSError as error:  # SSLError is one
        raise exception.KilonovaError(f'The certificate cannot be used: {error}') from error
    return made


def wrap(
    sock: socket.socket, context: ssl.SSLContext | None, only: bool
) -> socket.socket | ssl.SSLSocket | None:
    """Return the socket to speak HTTP over; None when the client has to go.

    One port serves both: who speaks TLS says so with the first byte.
    """
    if context is None:
        return sock
    first = sock.recv(1, socket.MSG_PEEK)
    if first and first[0] == _HANDSHAKE:
        # The handshake comes when whoever cuts slow connections knows the new socket.
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    return None if only else sock
