"""Hosts that are emptied for maintenance."""

import datetime

import msgspec

WAITING, MOVING, MOVED, FAILED, STAYS = 'waiting', 'moving', 'moved', 'failed', 'stays'
DRAINING, DRAINED, INCOMPLETE, STOPPED = 'draining', 'drained', 'incomplete', 'stopped'


class DrainedServer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One server of such a host.

    ``how``: 'live-migration', 'migration' or 'evacuation'.  ``status``: 'waiting', 'moving',
    'moved', 'failed', or 'stays' for one that cannot be moved as it is; ``reason`` says why.
    ``progress``: percent.  ``begun_at``: when it was set out to begin the move.
    """

    uuid: str
    name: str = ''
    how: str | None = None
    status: str = WAITING
    reason: str | None = None
    target: str | None = None
    progress: int = 0
    begun_at: datetime.datetime | None = None


class Drain(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far it is.

    ``state``: 'draining', 'drained' (the host is empty), 'incomplete' (something could not be
    moved), 'stopped' (by an administrator), or '' for what was only looked at.
    """

    host: str
    state: str = ''
    evacuate: bool = False
    started_at: datetime.datetime | None = None
    ended_at: datetime.datetime | None = None
    servers: list[DrainedServer] = []
