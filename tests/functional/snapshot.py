"""All that a cloud holds, to tell whether a refused request has changed something."""

import pathlib
import sqlite3
import time
from typing import Any

from kilonova.tests.functional.cloud import Cloud, wait

# What daemons write by the clock.
_CLOCKWORK = {'services', 'compute_nodes', 'host_table', 'alembic_version', 'sqlite_sequence'}
# An operation that is over is looked at once more; what is taken back has another time.
_COLUMNS = {
    'operations': 'id, action, instance_uuid, state',
    'aggregate_hosts': 'host, aggregate_id',
}
_FILES = ('api.sqlite', 'cell1.sqlite')

Content = dict[str, Any]


class _Table:
    """The rows of one database, read again only when somebody has written."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._version, self._rows = -1, Content()

    def rows(self) -> Content:
        # It changes with each commit of another connection.
        version = self._connection.execute('PRAGMA data_version').fetchone()[0]
        if version != self._version:
            self._rows = _rows(self._connection, self._path.name)
            self._version = version
        return self._rows


_tables: dict[pathlib.Path, _Table] = {}


def take(cloud: Cloud) -> Content:
    """Return every row of both databases, the allocations and the ports."""
    found: Content = {
        'allocations': cloud.placement.usages(),
        'ports': sorted(cloud.neutron.ports),
    }
    for name in _FILES:
        path = cloud.folder / name
        if path not in _tables:
            _tables[path] = _Table(path)
        found.update(_tables[path].rows())
    return found


def _rows(connection: sqlite3.Connection, prefix: str) -> Content:
    names = [
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    return {
        f'{prefix} {name}': sorted(
            map(repr, connection.execute(f'SELECT {_COLUMNS.get(name, "*")} FROM "{name}"'))
        )
        for name in names
        if name not in _CLOCKWORK
    }


def changed(before: Content, after: Content) -> Content:
    """Return what differs, by table."""
    return {
        name: (before.get(name), after.get(name))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }


def busy(cloud: Cloud) -> int:
    """Return how many operations run."""
    return _count(cloud, "SELECT COUNT(*) FROM operations WHERE state = 'running'")


def _count(cloud: Cloud, query: str) -> int:
    connection = sqlite3.connect(cloud.folder / 'cell1.sqlite', timeout=30)
    try:
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


def _drains(cloud: Cloud) -> int:
    return _count(cloud, "SELECT COUNT(*) FROM host_drains WHERE state = 'draining'")


def settled(cloud: Cloud) -> Content:
    """Wait until nothing is worked on, and take a snapshot."""
    wait(lambda: not busy(cloud) and not _drains(cloud), 'nothing is worked on')
    found = take(cloud)
    while True:
        time.sleep(0.02)
        again = take(cloud)
        if again == found:
            return found
        found = again
