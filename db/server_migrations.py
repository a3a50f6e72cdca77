"""Records of moves."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects.migration import Migration, MigrationQuery, Move
from kilonova.db import paging, types
from kilonova.db.engine import affected
from kilonova.db.models.migrations import MigrationRow
from kilonova.db.models.servers import InstanceRow, table_of

MIGRATIONS = table_of(MigrationRow)
FIELDS = Migration.__struct_fields__
COLUMNS = tuple(MIGRATIONS.c[name] for name in FIELDS)
KEYS: tuple[paging.Key, ...] = ((MigrationRow.created_at, 'desc'), (MigrationRow.id, 'desc'))
EQUAL = (
    'instance_uuid',
    'source_compute',
    'status',
    'migration_type',
    'user_id',
    'project_id',
    'hidden',
)

COLD = ('resize', 'migration')
LIVE, EVACUATION = 'live-migration', 'evacuation'
IN_PROGRESS = ('queued', 'preparing', 'running', 'post-migrating')
"""Statuses in which a live migration is shown with its server."""
MOVING = ('accepted', 'pre-migrating', 'migrating', *IN_PROGRESS)
OPEN = (*MOVING, 'finished', 'confirming', 'reverting')
"""Statuses in which both hosts have something of the server."""

_decode_move = msgspec.json.Decoder(Move).decode


def _from_row(row: Sequence[Any]) -> Migration:
    return Migration(**dict(zip(FIELDS, row, strict=True)))


def add(session: Session, migration: Migration, move: Move) -> None:
    """Record a new move."""
    values = msgspec.structs.asdict(migration)
    del values['id']
    migration.created_at = migration.updated_at = types.utcnow()
    values |= {'created_at': migration.created_at, 'updated_at': migration.updated_at}
    session.execute(sa.insert(MIGRATIONS).values(**values, move=move))


def get(session: Session, uuid: str) -> Migration | None:
    """Return one move."""
    row = session.execute(sa.select(*COLUMNS).where(MIGRATIONS.c.uuid == uuid)).one_or_none()
    return _from_row(row) if row else None


def get_of_server(session: Session, instance_uuid: str, number: int) -> Migration:
    """Return a server's move by its number.  Raises MigrationNotFoundForInstance."""
    c = MIGRATIONS.c
    query = sa.select(*COLUMNS).where(c.id == number, c.instance_uuid == instance_uuid)
    row = session.execute(query).one_or_none()
    if row is None:
        raise exception.MigrationNotFoundForInstance(migration_id=number, instance_id=instance_uuid)
    return _from_row(row)


def hosts_of(session: Session, servers: Iterable[str]) -> dict[str, list[str]]:
    """Return where servers are and where they are going to be: one statement."""
    uuids = set(servers)
    i, m = table_of(InstanceRow).c, MIGRATIONS.c
    here = sa.select(i.uuid, i.host).where(i.uuid.in_(uuids), i.deleted == 0, i.host.is_not(None))
    there = sa.select(m.instance_uuid, m.dest_compute).where(
        m.instance_uuid.in_(uuids), m.status.in_(MOVING), m.dest_compute.is_not(None)
    )
    found: dict[str, list[str]] = {}
    for uuid, host in session.execute(sa.union(here, there)):
        found.setdefault(uuid, []).append(host)
    return found


def get_move(session: Session, uuid: str) -> Move:
    """Return what the way back needs."""
    column = sa.type_coerce(MIGRATIONS.c.move, types.LongText)
    return _decode_move(
        session.execute(sa.select(column).where(MIGRATIONS.c.uuid == uuid)).scalar_one()
    )


def update(session: Session, uuid: str, **values: Any) -> None:
    """Change a move; the server's row is locked, or its fence was checked."""
    values['updated_at'] = types.utcnow()
    session.execute(sa.update(MIGRATIONS).where(MIGRATIONS.c.uuid == uuid).values(**values))


def of_server(
    session: Session, instance_uuid: str, statuses: Iterable[str], kinds: Iterable[str] = ()
) -> list[Migration]:
    """Return a server's moves in any of some statuses, the oldest first."""
    c = MIGRATIONS.c
    query = sa.select(*COLUMNS).where(c.instance_uuid == instance_uuid, c.status.in_(statuses))
    if kinds:
        query = query.where(c.migration_type.in_(kinds))
    return [_from_row(row) for row in session.execute(query.order_by(c.id))]


def close(session: Session, instance_uuid: str, release_at: datetime.datetime) -> None:
    """End the open moves of a server that goes; what they hold is given back then."""
    c = MIGRATIONS.c
    status = sa.case((c.status.in_(('finished', 'confirming')), 'confirmed'), else_='error')
    session.execute(
        sa.update(MIGRATIONS)
        .where(c.instance_uuid == instance_uuid, c.status.in_(OPEN))
        .values(status=status, release_at=release_at, updated_at=types.utcnow())
    )


def on_host(session: Session, host: str) -> list[Migration]:
    """Return the moves that have something on a host: open ones, and those evacuated from it."""
    c = MIGRATIONS.c
    here = sa.or_(c.source_compute == host, c.dest_compute == host)
    left = sa.and_(c.migration_type == EVACUATION, c.status == 'done', c.source_compute == host)
    query = sa.select(*COLUMNS).where(sa.or_(sa.and_(here, c.status.in_(OPEN)), left))
    return [_from_row(row) for row in session.execute(query)]


def _owed_by(instance_uuid: sa.ColumnElement[str] | str) -> sa.ColumnElement[bool]:
    """Return the condition for a server's moves that hold something though they are over."""
    c = MIGRATIONS.c
    # What was evacuated holds its source until that is back.
    evacuated = sa.and_(c.migration_type == EVACUATION, c.status == 'done')
    held = sa.or_(c.release_at.is_not(None), evacuated)
    return sa.and_(c.instance_uuid == instance_uuid, held)


def owes(instance_uuid: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return whether a server has such moves, to be selected with something else."""
    return sa.exists().where(_owed_by(instance_uuid))


def owed(session: Session, instance_uuid: str | None = None) -> list[Migration]:
    """Return moves that may hold something although they are over; of one server: at once."""
    c = MIGRATIONS.c
    query = sa.select(*COLUMNS)
    if instance_uuid is not None:
        query = query.where(_owed_by(instance_uuid))
    else:
        query = query.where(c.release_at < types.utcnow())
    return [_from_row(row) for row in session.execute(query.order_by(c.id).limit(100))]


def paid(session: Session, uuid: str) -> bool:
    """Note that a move holds nothing any more."""
    statement = sa.update(MIGRATIONS).where(MIGRATIONS.c.uuid == uuid).values(release_at=None)
    return affected(session, statement) == 1


def waiting(session: Session, before: datetime.datetime) -> list[Migration]:
    """Return resizes that wait to be confirmed since some time."""
    c = MIGRATIONS.c
    query = sa.select(*COLUMNS).where(
        c.status == 'finished', c.migration_type.in_(COLD), c.updated_at < before
    )
    return [_from_row(row) for row in session.execute(query.limit(100))]


def marker_values(session: Session, query: MigrationQuery) -> list[Any] | None:
    """Return where a page begins.  Raises MarkerNotFound."""
    if query.marker is None:
        return None
    last = get(session, query.marker)
    if last is None:
        raise exception.MarkerNotFound(marker=query.marker)
    return [last.created_at, last.id]


def find(session: Session, query: MigrationQuery) -> list[Migration]:
    """Return moves, newest first.  Raises MarkerNotFound."""
    return page(session, query, marker_values(session, query))


def page(session: Session, query: MigrationQuery, after: list[Any] | None) -> list[Migration]:
    """Return moves, newest first, that come after the marker's values."""
    c = MIGRATIONS.c
    statement = sa.select(*COLUMNS)
    for name in EQUAL:
        if query.filters.get(name) is not None:
            statement = statement.where(c[name] == query.filters[name])
    host = query.filters.get('host')
    if host is not None:
        statement = statement.where(sa.or_(c.source_compute == host, c.dest_compute == host))
    if query.changes_since is not None:
        statement = statement.where(c.updated_at >= query.changes_since)
    if query.changes_before is not None:
        statement = statement.where(c.updated_at <= query.changes_before)
    statement = paging.page(statement, KEYS, after, query.limit)
    return [_from_row(row) for row in session.execute(statement)]
