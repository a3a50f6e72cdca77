"""A server that has waited in cell0 goes to the cell of the host that was chosen for it.

The mapping in the API database says where a server is, and is locked all the while.  The
other cell has the server first, then cell0 gives it up, then the mapping says so:  whoever
dies in between leaves a server that is in the other cell, and perhaps in cell0, too.
``settle``, with which the other cell goes on, looks which of them it is.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common.objects.operation import Fence
from kilonova.db import operations, servers
from kilonova.db.engine import Database, retry
from kilonova.db.models.api import InstanceMapping
from kilonova.db.models.cell import CellBase

if TYPE_CHECKING:
    from kilonova.conductor.cells.cell import Cell

Rows = list[tuple[sa.Table, list[dict[str, Any]]]]


class _Unwelcome(Exception):
    """The server is not to go there; nothing is changed."""


def move(
    api_db: Database,
    cell0: 'Cell',
    target: 'Cell',
    uuid: str,
    fence: Fence,
    place: Callable[[Session, Session], bool],
) -> bool | None:
    """Move a server with all that is recorded of it; see ``Fleet.move``."""
    try:
        return _move(api_db, cell0, target, uuid, fence, place)
    except _Unwelcome:
        return False


@retry
def _move(
    api_db: Database,
    cell0: 'Cell',
    target: 'Cell',
    uuid: str,
    fence: Fence,
    place: Callable[[Session, Session], bool],
) -> bool | None:
    with api_db.transaction() as api, cell0.database.transaction() as session:
        mapping = lock(api, uuid)
        if mapping is None or mapping.cell_id != cell0.id or not _owns(session, uuid, fence):
            return None
        rows = _read(session, uuid)
        with target.database.transaction() as there:
            _remove(there, uuid)  # what an earlier try has left
            _insert(there, rows)
            if not place(api, there):
                raise _Unwelcome
        _remove(session, uuid)
        mapping.cell_id = target.id
    return True


@retry
def settle(api_db: Database, cell0: 'Cell', cell: 'Cell', uuid: str) -> bool:
    """Tell whether a server is this cell's; a copy that cell0 still has the original of goes."""
    with api_db.transaction() as api:
        mapping = lock(api, uuid)
        if mapping is None or mapping.cell_id == cell.id:
            return True
        with cell0.database.transaction() as session:
            original = session.execute(sa.select(servers.INSTANCES.c.id).where(_is(uuid))).first()
        if original is None:
            mapping.cell_id = cell.id
            return True
        with cell.database.transaction() as session:
            _remove(session, uuid)
    return False


def lock(session: Session, uuid: str) -> InstanceMapping | None:
    """Return a server's mapping when nobody else changes it."""
    query = sa.select(InstanceMapping).where(InstanceMapping.instance_uuid == uuid)
    return session.scalars(query.with_for_update()).one_or_none()


def _is(uuid: str) -> sa.ColumnElement[bool]:
    return servers.INSTANCES.c.uuid == uuid


def _owns(session: Session, uuid: str, fence: Fence) -> bool:
    """Lock the server; tell whether the operation may still do something with it."""
    c = servers.INSTANCES.c
    query = sa.select(c.operation, c.attempt).where(_is(uuid), c.deleted == 0)
    row = session.execute(query.with_for_update()).one_or_none()
    return row is not None and Fence(*row) == fence


def _parts(uuid: str) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
    """Yield the tables that say something of a server, those that others refer to first."""
    mine = sa.select(operations.OPERATIONS.c.id).where(
        operations.OPERATIONS.c.instance_uuid == uuid
    )
    for table in CellBase.metadata.sorted_tables:
        if table.name == servers.INSTANCES.name:
            yield table, table.c.uuid == uuid
        elif table.name == operations.EVENTS.name:
            yield table, table.c.operation_id.in_(mine)
        elif 'instance_uuid' in table.c:
            yield table, table.c.instance_uuid == uuid


def _read(session: Session, uuid: str) -> Rows:
    found: Rows = []
    for table, condition in _parts(uuid):
        columns = [c for c in table.c if not _is_number(c)]
        rows = session.execute(sa.select(*columns).where(condition)).mappings()
        found.append((table, [dict(row) for row in rows]))
    return found


def _is_number(column: sa.Column[Any]) -> bool:
    """Numbers are given anew by each database."""
    return column.primary_key and isinstance(column.type, sa.Integer)


def _insert(session: Session, rows: Rows) -> None:
    for table, found in rows:
        if found:
            session.execute(sa.insert(table), found)


def _remove(session: Session, uuid: str) -> None:
    for table, condition in reversed([*_parts(uuid)]):
        session.execute(sa.delete(table).where(condition))
