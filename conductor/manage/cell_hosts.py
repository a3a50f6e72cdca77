"""The commands of nova-manage cell_v2 about hosts."""

import argparse
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg

from kilonova.conductor.manage import tables
from kilonova.conductor.manage.parts import CommandError, Databases, find_cell
from kilonova.db import cells, hosts
from kilonova.db.engine import Database
from kilonova.db.models.api import CellMapping, HostMapping
from kilonova.db.models.cell import ComputeNodeRow, ServiceRow

Command = Callable[[str, Any, str], argparse.ArgumentParser]


def add_parsers(command: Command) -> None:
    """Declare the commands."""
    parser = command(
        'discover_hosts',
        discover_hosts,
        'Map compute hosts that are not mapped. Hosts are mapped when they register; this '
        'repairs what was lost.',
    )
    parser.add_argument('--cell_uuid', metavar='<cell_uuid>', help='default: all cells')
    parser.add_argument('--verbose', action='store_true')
    parser.add_argument('--strict', action='store_true', help='Exit with 1 if none was found.')
    parser.add_argument(
        '--by-service', action='store_true', help='Look at services, not at compute nodes.'
    )
    parser = command('list_hosts', list_hosts, 'Show which cells hosts are in.')
    parser.add_argument('--cell_uuid', metavar='<cell_uuid>', help='default: all cells')
    parser = command('delete_host', delete_host, 'Remove the mapping of a host without servers.')
    parser.add_argument('--cell_uuid', metavar='<cell_uuid>', required=True)
    parser.add_argument('--host', dest='mapped_host', metavar='<host>', required=True)


def discover_hosts(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    say: Callable[[str], None] = print if words.verbose else lambda text: None
    found: list[str] = []
    with Databases(conf) as databases:
        with databases.api().reader() as session:
            if words.cell_uuid:
                rows = [find_cell(session, words.cell_uuid)]
            else:
                rows = cells.find_all(session)
        rows = [row for row in rows if row.uuid != cells.CELL0_UUID]
        say(f'Found {len(rows)} cells beside cell0.')
        for row in rows:
            found += map_new(databases, row, say, words.by_service)
    return int(not found) if words.strict else 0


def computes_in(database: Database, by_service: bool = True) -> set[str]:
    """Return the compute hosts of a cell."""
    if by_service:
        query = sa.select(ServiceRow.host).where(ServiceRow.binary == hosts.COMPUTE)
    else:
        query = sa.select(ComputeNodeRow.host)
    with database.reader() as session:
        return set(session.scalars(query))


def map_new(
    databases: Databases,
    mapping: CellMapping,
    say: Callable[[str], None],
    by_service: bool = False,
) -> list[str]:
    """Map a cell's hosts that are not mapped; return them."""
    there = sorted(computes_in(databases.mapped(mapping), by_service))
    say(f'Cell {mapping.name} ({mapping.uuid}) has {len(there)} compute hosts.')
    with databases.api().transaction() as session:
        new = [host for host in there if cells.map_host(session, host, mapping.id)]
    for host in new:
        say(f'Host {host} is mapped now.')
    return new


def list_hosts(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases, databases.api().reader() as session:
        query = sa.select(CellMapping.name, CellMapping.uuid, HostMapping.host).join(
            CellMapping, CellMapping.id == HostMapping.cell_id
        )
        if words.cell_uuid:
            query = query.where(CellMapping.id == find_cell(session, words.cell_uuid).id)
        rows = sorted(session.execute(query), key=lambda row: (row[0] or '', row[2]))
    print(tables.draw(('Cell Name', 'Cell UUID', 'Hostname'), rows))
    return 0


def delete_host(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases, databases.api().transaction() as session:
        cell = find_cell(session, words.cell_uuid)
        mapping = session.scalars(
            sa.select(HostMapping).where(HostMapping.host == words.mapped_host)
        ).one_or_none()
        if mapping is None:
            raise CommandError(f'The host {words.mapped_host} was not found.', 2)
        if mapping.cell_id != cell.id:
            raise CommandError(f'The host {words.mapped_host} is not in cell {cell.uuid}.', 3)
        with databases.mapped(cell).reader() as there:
            if hosts.count_servers(there, words.mapped_host):
                raise CommandError(f'There are servers on the host {words.mapped_host}.', 4)
        session.delete(mapping)
    return 0
