"""nova-manage cell_v2: which cells there are, and which hosts are in them."""

import argparse
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from kilonova.conductor.manage import cell_hosts, cell_servers, tables
from kilonova.conductor.manage.parts import CommandError, Databases, find_cell
from kilonova.db import cells, hosts
from kilonova.db.models.api import CellMapping, HostMapping, InstanceMapping


def add_parsers(categories: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Declare the category."""
    commands = categories.add_parser('cell_v2', help='Manage cells.').add_subparsers(
        dest='command', required=True
    )

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=text, description=text)
        parser.set_defaults(run=run)
        return parser

    parser = command('map_cell0', map_cell0, 'Map cell0, where servers without a host are.')
    parser.add_argument(
        '--database_connection', metavar='<database_connection>', help='default: ..._cell0'
    )
    parser = command('create_cell', create_cell, 'Map a cell.')
    parser.add_argument('--name', dest='cell_name', metavar='<cell_name>')
    parser.add_argument(
        '--database_connection', metavar='<database_connection>', help='default: [database]'
    )
    _transport(parser)
    parser.add_argument('--verbose', action='store_true', help="Print the cell's UUID.")
    parser.add_argument('--disabled', action='store_true', help='Schedule nothing to it.')
    parser = command('simple_cell_setup', simple_cell_setup, 'Map cell0 and one cell, with hosts.')
    _transport(parser)
    parser = command('list_cells', list_cells, 'Show all cells.')
    parser.add_argument('--verbose', action='store_true', help='Show passwords too.')
    parser = command('update_cell', update_cell, "Change a cell's mapping.")
    _cell(parser)
    parser.add_argument('--name', dest='cell_name', metavar='<cell_name>')
    _transport(parser)
    parser.add_argument('--database_connection', metavar='<database_connection>')
    parser.add_argument('--disable', action='store_true')
    parser.add_argument('--enable', action='store_true')
    parser = command('delete_cell', delete_cell, "Remove an empty cell's mapping.")
    parser.add_argument('--force', action='store_true', help='Also with hosts mapped to it.')
    _cell(parser)
    parser = command(
        'map_cell_and_hosts',
        map_cell_and_hosts,
        'Map a cell with the configured database, and the compute hosts that have registered '
        'in it. Exit code 1: there are none.',
    )
    _transport(parser)
    parser.add_argument('--name', dest='cell_name', metavar='<cell_name>')
    parser.add_argument('--verbose', action='store_true', help="Print the cell's UUID.")
    cell_hosts.add_parsers(command)
    cell_servers.add_parsers(command)


def _transport(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--transport-url',
        '--transport_url',
        metavar='<transport_url>',
        dest='cell_transport_url',
        help='default: [DEFAULT]transport_url',
    )


def _cell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--cell_uuid', metavar='<cell_uuid>', required=True)


def map_cell0(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases, databases.api().transaction() as session:
        connection = words.database_connection or cells.cell0_url(_database(conf, None))
        if not cells.map_cell0(session, connection):
            print('Cell0 is mapped already')
    return 0


def create_cell(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    transport = _transport_url(conf, words.cell_transport_url)
    connection = _database(conf, words.database_connection)
    with Databases(conf) as databases, databases.api().transaction() as session:
        _check_unique(session, transport, connection, None, 2)
        row = cells.create(session, words.cell_name, transport, connection, words.disabled)
    if words.verbose:
        print(row.uuid)
    return 0


def simple_cell_setup(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    transport = _transport_url(conf, words.cell_transport_url)
    connection = _database(conf, None)
    with Databases(conf) as databases:
        with databases.api().transaction() as session:
            cells.map_cell0(session, cells.cell0_url(connection))
            row = cells.local(session, conf)
            if row is None:
                row = cells.create(session, cells.FIRST_CELL, transport, connection)
        found = cell_hosts.map_new(databases, row, lambda text: None)
        with databases.api().reader() as session:
            known = session.scalar(
                sa.select(sa.func.count(HostMapping.id)).where(HostMapping.cell_id == row.id)
            )
    print(f'Cell {row.uuid}: {len(found)} hosts mapped now, {known} in all.')
    if not known:
        print('No compute host has registered yet; each is mapped when it does.')
        return 1
    return 0


def map_cell_and_hosts(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    transport = _transport_url(conf, words.cell_transport_url)
    connection = _database(conf, None)
    with Databases(conf) as databases:
        there = cell_hosts.computes_in(databases.cell())
        if not there:
            print('There is no compute host to be mapped.')
            return 1
        with databases.api().transaction() as session:
            if there <= set(session.scalars(sa.select(HostMapping.host))):
                print('All compute hosts are mapped already.')
                return 0
            known = {cells.database_url(conf, row): row for row in cells.find_all(session)}
            row = known.get(connection) or cells.create(
                session, words.cell_name, transport, connection
            )
        cell_hosts.map_new(databases, row, lambda text: None, by_service=True)
    if words.verbose:
        print(row.uuid)
    return 0


def list_cells(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases, databases.api().reader() as session:
        rows = sorted(cells.find_all(session), key=lambda row: row.name or '')

    def show(url: str | None) -> str:
        return url or '' if words.verbose else _without_password(url or '')

    print(
        tables.draw(
            ('Name', 'UUID', 'Transport URL', 'Database Connection', 'Disabled'),
            [
                (r.name, r.uuid, show(r.transport_url), show(r.database_connection), r.disabled)
                for r in rows
            ],
        )
    )
    return 0


def update_cell(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases, databases.api().transaction() as session:
        row = find_cell(session, words.cell_uuid)
        if words.disable and words.enable:
            raise CommandError('A cell cannot be enabled and disabled at once.', 4)
        if row.uuid == cells.CELL0_UUID and (words.disable or words.enable):
            raise CommandError('Cell0 cannot be disabled.', 5)
        transport, connection = words.cell_transport_url, words.database_connection
        if row.uuid != cells.CELL0_UUID:  # whose URLs are never those of the configuration
            transport = _transport_url(conf, transport)
            connection = _database(conf, connection)
            _check_unique(session, transport, connection, row.id, 3)
        row.name = words.cell_name or row.name
        row.transport_url = transport or row.transport_url
        row.database_connection = connection or row.database_connection
        if words.disable or words.enable:
            row.disabled = bool(words.disable)
    if words.disable or words.enable:
        _tell_schedulers(conf, row)
    return 0


def _tell_schedulers(conf: cfg.ConfigOpts, mapping: CellMapping) -> None:
    """Make their copies of the hosts old; without the cell's database they find out by and by."""
    try:
        with Databases(conf) as databases, databases.mapped(mapping).transaction() as session:
            hosts.bump(session)
    except DBAPIError as error:
        print(f'The cell does not answer: {error.orig}')


def delete_cell(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases, databases.api().transaction() as session:
        row = find_cell(session, words.cell_uuid)
        hosts = sa.select(sa.func.count(HostMapping.id)).where(HostMapping.cell_id == row.id)
        if session.scalar(hosts) and not words.force:
            raise CommandError(f'Hosts are mapped to cell {row.uuid}.', 2)
        of_cell = InstanceMapping.cell_id == row.id
        alive = sa.select(sa.func.count(InstanceMapping.id)).where(
            of_cell, InstanceMapping.queued_for_delete.is_(False)
        )
        if session.scalar(alive):
            raise CommandError(f'Servers are mapped to cell {row.uuid}.', 3)
        if not words.force and session.scalar(
            sa.select(sa.func.count(InstanceMapping.id)).where(of_cell)
        ):
            raise CommandError(f'Deleted servers are mapped to cell {row.uuid}.', 4)
        session.execute(sa.delete(InstanceMapping).where(of_cell))
        session.execute(sa.delete(HostMapping).where(HostMapping.cell_id == row.id))
        session.delete(row)
    return 0


def _transport_url(conf: cfg.ConfigOpts, given: str | None) -> str:
    url = given or conf.transport_url
    if not url:
        raise CommandError('Neither --transport-url nor [DEFAULT]transport_url is set.')
    return str(url)


def _database(conf: cfg.ConfigOpts, given: str | None) -> str:
    url = given or conf.database.connection
    if not url:
        raise CommandError('Neither --database_connection nor [database]connection is set.')
    return str(url)


def _check_unique(
    session: Session, transport: str, connection: str, own_id: int | None, code: int
) -> None:
    for row in cells.find_all(session):
        if row.id == own_id or row.uuid == cells.CELL0_UUID:
            continue
        if row.transport_url == transport or row.database_connection == connection:
            raise CommandError(
                'The transport_url and/or database_connection already exists for cell '
                f'{row.name} ({row.uuid}).',
                code,
            )


def _without_password(url: str) -> str:
    if '{' in url or '://' not in url:
        return url
    scheme, _, rest = url.partition('://')
    authority, slash, tail = rest.partition('/')
    hosts = []
    for host in authority.split(','):
        user, at, place = host.rpartition('@')
        name, colon, _ = user.partition(':')
        hosts.append(f'{name}{":****" if colon else ""}{at}{place}')
    return f'{scheme}://{",".join(hosts)}{slash}{tail}'
