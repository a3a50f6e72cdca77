"""Key pairs and certificates: made, or looked at."""

import base64
import binascii
import datetime
import hashlib

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import oid

from kilonova.common import exception

_RSA_BITS = 2048
_CERTIFICATE_DAYS = 3650
_UPN = x509.ObjectIdentifier('1.3.6.1.4.1.311.20.2.3')


def fingerprint(kind: str, public: str) -> str:
    """Return the fingerprint of a public key or certificate.  Raises Invalid if it is none."""
    return _certificate_fingerprint(public) if kind == 'x509' else _ssh_fingerprint(public)


def generate(kind: str, user_id: str) -> tuple[str, str, str]:
    """Return (private key, public key, fingerprint)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    return _certificate(key, user_id) if kind == 'x509' else _ssh(key)


def _colons(digest: bytes) -> str:
    return ':'.join(f'{byte:02x}' for byte in digest)


def _invalid(reason: str) -> exception.Invalid:
    return exception.Invalid(f'Keypair data is invalid: {reason}')


def _ssh_fingerprint(public: str) -> str:
    try:
        serialization.load_ssh_public_key(public.encode())
        blob = base64.b64decode(public.split()[1])
    except (ValueError, IndexError, binascii.Error, exceptions.UnsupportedAlgorithm):
        raise _invalid('failed to generate fingerprint') from None
    return _colons(hashlib.md5(blob, usedforsecurity=False).digest())


def _certificate_fingerprint(public: str) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(public.encode())
        return _colons(certificate.fingerprint(hashes.SHA1()))
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise _invalid('failed to generate X509 fingerprint') from None


def _ssh(key: rsa.RSAPrivateKey) -> tuple[str, str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    raw = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    public = raw.decode() + ' Generated-by-Nova'
    return private, public, _ssh_fingerprint(public)


def _certificate(key: rsa.RSAPrivateKey, user_id: str) -> tuple[str, str, str]:
    """Make a self-signed client certificate, as Windows guests take it for WinRM."""
    # A common name has at most 64 characters.
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, user_id[:64] or 'user')])
    upn = f'{user_id}@localhost'.encode()
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=_CERTIFICATE_DAYS))
        .add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.OtherName(_UPN, _der_utf8(upn))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return private, public, _certificate_fingerprint(public)


def _der_utf8(text: bytes) -> bytes:
    """Encode a UTF8String: tag, length, bytes."""
    size = len(text)
    if size < 0x80:
        return bytes([0x0C, size]) + text
    length = size.to_bytes((size.bit_length() + 7) // 8, 'big')
    return bytes([0x0C, 0x80 | len(length)]) + length + text
