"""Files of servers, fetched from another host through its libvirt.

Hosts that send each other guests trust each other's libvirt already, which authenticates and
encrypts as it is told.  So there is no other daemon, no user's key and no shell: what
leaves a host is a file in one server's directory, as a volume of a pool that lasts for the
moment.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import Any

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.compute.virt.libvirt import connection

LOG = logging.getLogger(__name__)

NAMES = uuid.UUID('6c1d5a55-3c0a-4b39-8f5e-0f4f3f5a7a61')
POOL = """<pool type='dir'><name>{name}</name><target><path>{path}</path></target></pool>"""


class Source:
    """A server's directory on another host."""

    def __init__(self, conn: connection.Connection, pool: str) -> None:
        self._connection, self._pool = conn, pool

    def fetch(self, name: str, path: str) -> None:
        """Copy a file to ``path``, which is there when all of it is.

        Raises VirtDriverError, OSError.
        """
        part = path + '.part'
        try:
            with open(part, 'wb') as file:
                self._connection.call(lambda conn: _download(conn, self._pool, name, file.fileno()))
                file.truncate()
            os.replace(part, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)


@contextlib.contextmanager
def opened(uri: str, directory: str) -> Iterator[Source]:
    """Reach a directory of another host.  Raises VirtDriverError."""
    conn = connection.Connection(uri)
    # The name goes with the directory, so that the next one finds what a process that died has left.
    name = f'kilonova-{uuid.uuid5(NAMES, directory)}'
    xml = POOL.format(name=name, path=directory)
    try:
        conn.call(lambda found: _make_pool(found, name, xml))
        try:
            yield Source(conn, name)
        finally:
            conn.call(lambda found: found.storagePoolLookupByName(name).destroy())
    except connection.HypervisorError as error:
        raise exception.VirtDriverError(
            reason=f'Files cannot be fetched from {uri}: {error.message}'
        ) from error
    finally:
        conn.close()


def _make_pool(conn: Any, name: str, xml: str) -> None:
    """libvirt has no two pools of one directory."""
    lib = connection.library()
    try:
        conn.storagePoolLookupByName(name).destroy()
    except lib.libvirtError as error:
        if error.get_error_code() != lib.VIR_ERR_NO_STORAGE_POOL:
            raise
    conn.storagePoolCreateXML(xml, 0)


def _download(conn: Any, pool: str, name: str, descriptor: int) -> None:
    """Runs in a native thread.  Holes of the file stay holes."""
    lib = connection.library()
    volume = conn.storagePoolLookupByName(pool).storageVolLookupByName(name)
    stream = conn.newStream(0)
    volume.download(stream, 0, 0, lib.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)

    def write(_stream: Any, data: bytes, _opaque: None) -> int:
        return os.write(descriptor, data)

    def skip(_stream: Any, length: int, _opaque: None) -> None:
        end = os.lseek(descriptor, length, os.SEEK_CUR)
        os.ftruncate(descriptor, end)

    stream.sparseRecvAll(write, skip, None)
    stream.finish()
