"""The commands of nova-manage cell_v2 about servers."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.conductor.manage.parts import CommandError, Databases, find_cell
from kilonova.db import types
from kilonova.db.models.api import CellMapping, InstanceMapping
from kilonova.db.models.servers import InstanceRow, table_of

Command = Callable[[str, Any, str], argparse.ArgumentParser]
BATCH = 500
INSTANCES = table_of(InstanceRow)
MAPPINGS = table_of(InstanceMapping)


def add_parsers(command: Command) -> None:
    """Declare the commands."""
    parser = command(
        'map_instances',
        map_instances,
        'Map servers of a cell that are not mapped, oldest first. Servers are mapped when they '
        'are created; this repairs what was lost. Exit code 1: --max-count left some over.',
    )
    parser.add_argument('--cell_uuid', metavar='<cell_uuid>', required=True)
    parser.add_argument('--max-count', dest='max_count', metavar='<max_count>')
    parser.add_argument(
        '--reset', dest='reset_marker', action='store_true',
        help='Kept for compatibility: every run begins with the oldest server.',
    )  # fmt: skip
    parser = command(
        'verify_instance',
        verify_instance,
        'Tell whether a server is mapped to a cell. Exit codes: 0 it is, 1 it is not, 2 its '
        'mapping names no cell, 3 it is deleted, 4 the cell does not know it (any more).',
    )
    parser.add_argument('--uuid', metavar='<instance_uuid>', required=True)
    parser.add_argument('--quiet', action='store_true', help='The exit code is all.')


def map_instances(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    room = _room(words.max_count)
    last: int | None = 0
    with Databases(conf) as databases:
        with databases.api().reader() as session:
            cell = find_cell(session, words.cell_uuid)
        while last is not None:
            with databases.mapped(cell).reader() as session:
                rows = _next(session, last)
            last = rows[-1].id if rows else None
            with databases.api().transaction() as session:
                new = _unmapped(session, rows)
                chosen = new if room is None else new[:room]
                _map(session, cell, chosen)
            if room is not None:
                room -= len(chosen)
            if len(chosen) < len(new):
                return 1
    return 0


def _room(given: str | None) -> int | None:
    if given is None:
        return None
    try:
        found = int(given)
    except ValueError:
        found = 0
    if found <= 0:
        raise CommandError(f'--max-count is to be a positive number, not {given}.', 127)
    return found


def _next(session: Session, last: int) -> Sequence[Any]:
    c = INSTANCES.c
    query = sa.select(
        c.id, c.uuid, c.project_id, c.user_id, c.vcpus, c.memory_mb, c.deleted, c.created_at
    )
    return session.execute(query.where(c.id > last).order_by(c.id).limit(BATCH)).all()


def _unmapped(session: Session, rows: Sequence[Any]) -> Sequence[Any]:
    query = sa.select(MAPPINGS.c.instance_uuid)
    known = session.scalars(query.where(MAPPINGS.c.instance_uuid.in_([row.uuid for row in rows])))
    mapped = set(known)
    return [row for row in rows if row.uuid not in mapped]


def _map(session: Session, cell: CellMapping, rows: Sequence[Any]) -> None:
    values = [
        {
            'instance_uuid': row.uuid,
            'cell_id': cell.id,
            'project_id': row.project_id,
            'user_id': row.user_id,
            'vcpus': row.vcpus,
            'memory_mb': row.memory_mb,
            'queued_for_delete': row.deleted != 0,
            'created_at': row.created_at or types.utcnow(),
        }
        for row in rows
    ]
    if values:
        session.execute(sa.insert(MAPPINGS), values)


def verify_instance(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    code, text = _verify(conf, words.uuid)
    if not words.quiet:
        print(text)
    return code


def _verify(conf: cfg.ConfigOpts, uuid: str) -> tuple[int, str]:
    with Databases(conf) as databases:
        with databases.api().reader() as session:
            query = sa.select(InstanceMapping).where(InstanceMapping.instance_uuid == uuid)
            mapping = session.scalars(query).one_or_none()
            if mapping is None:
                return 1, f'Server {uuid} is not mapped to a cell, or there is no such server.'
            cell = session.get(CellMapping, mapping.cell_id) if mapping.cell_id else None
        if cell is None:
            return 2, f'The mapping of server {uuid} names no cell.'
        where = f'cell {cell.name} ({cell.uuid})'
        with databases.mapped(cell).reader() as session:
            query = sa.select(INSTANCES.c.deleted).where(INSTANCES.c.uuid == uuid)
            deleted = session.scalar(query)
    if deleted is None:
        return 4, f'Server {uuid} is mapped to {where}, which has no record of it.'
    if deleted:
        return 3, f'Server {uuid} is mapped to {where} and deleted.'
    return 0, f'Server {uuid} is in {where}.'
