"""Secrets that libvirt keeps for QEMU: passwords of targets, keys of encrypted volumes.

They are in libvirt's memory alone, so they are handed over again at each start of a guest.
"""

from typing import Any

from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.xml.secret import Secret

USAGES = {'iscsi': 'iscsi_target', 'volume': 'volume', 'ceph': 'ceph_name'}


class Secrets:
    """Keeps them by what they are used for."""

    def __init__(self, conn: connection.Connection) -> None:
        self._connection = conn

    def keep(self, usage: str, name: str, value: bytes) -> str:
        """Hand a value over; returns the secret's uuid."""
        xml = Secret(usage=usage, **{USAGES[usage]: name}).to_xml()

        def run(conn: Any) -> str:
            secret = _find(conn, usage, name) or conn.secretDefineXML(xml)
            secret.setValue(value)
            return str(secret.UUIDString())

        found: str = self._connection.call(run)
        return found

    def forget(self, usage: str, name: str) -> None:
        """No error when there is none."""

        def run(conn: Any) -> None:
            secret = _find(conn, usage, name)
            if secret is not None:
                secret.undefine()

        self._connection.call(run)


def _find(conn: Any, usage: str, name: str) -> Any:
    lib = connection.library()
    kind = {
        'iscsi': lib.VIR_SECRET_USAGE_TYPE_ISCSI,
        'volume': lib.VIR_SECRET_USAGE_TYPE_VOLUME,
        'ceph': lib.VIR_SECRET_USAGE_TYPE_CEPH,
    }[usage]
    try:
        return conn.secretLookupByUsage(kind, name)
    except lib.libvirtError as error:
        if error.get_error_code() != lib.VIR_ERR_NO_SECRET:
            raise
        return None
