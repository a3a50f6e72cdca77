"""What has changed of the host table since a scheduler looked last."""

import datetime

import msgspec

from kilonova.common.objects.host import Aggregate, HostState, Service
from kilonova.common.objects.numa import NumaTopology


class HostMark(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far a scheduler has read a cell.

    ``after``: a first look goes on with the nodes after this id.
    """

    version: int
    at: datetime.datetime
    after: int | None = None


class ServerPlace(msgspec.Struct, array_like=True):
    """Where a server is, and what it takes there; without ``host`` nowhere."""

    uuid: str
    host: str | None = None
    node: str = ''
    project_id: str = ''
    vcpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0
    busy: bool = False
    deleted: bool = False


class Occupied(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Layouts and devices of the servers on one node."""

    host: str
    node: str
    guests: list[NumaTopology] = []
    devices: list[str] = []


class HostChanges(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Of one cell.

    ``first``: forget what was known of it.  ``hosts``: new and changed nodes, without
    aggregates, servers and what these take.  ``servers``: all of which something may have
    changed.  ``troubled``: services that are disabled or not up; all others are well.
    ``aggregates``, ``occupied``: all of them; None: as before.  ``nodes``: how many there are.
    """

    cell_id: int | None = None
    mark: HostMark
    first: bool = False
    hosts: list[HostState] = []
    servers: list[ServerPlace] = []
    troubled: list[Service] = []
    aggregates: list[Aggregate] | None = None
    occupied: list[Occupied] | None = None
    default_zone: str = 'nova'
    nodes: int = 0
    table: int | None = None
    """The version of the whole table, when there are several cells."""
