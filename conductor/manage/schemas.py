"""nova-manage api_db, nova-manage db: the databases' schemas."""

import argparse

from oslo_config import cfg

from kilonova.conductor.manage.parts import CommandError, Databases
from kilonova.db import cells
from kilonova.db.migrations import schema


def add_parsers(categories: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Declare the two categories."""
    for category, what in (('api_db', 'the API database'), ('db', "a cell's database")):
        commands = categories.add_parser(category, help=f'Manage {what}.').add_subparsers(
            dest='command', required=True
        )
        sync = commands.add_parser('sync', help=f'Bring the schema of {what} to a version.')
        sync.add_argument('version', metavar='VERSION', nargs='?', help='default: the newest')
        if category == 'db':
            sync.add_argument(
                '--local_cell',
                action='store_true',
                help="Only [database]connection, not cell0's database.",
            )
        sync.set_defaults(run=sync_api if category == 'api_db' else sync_cell)
        version = commands.add_parser('version', help=f'Print the version of {what}.')
        version.set_defaults(run=version_api if category == 'api_db' else version_cell)


def sync_api(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases:
        schema.sync(databases.api(), 'api', words.version)
    return 0


def version_api(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases:
        print(schema.version(databases.api(), 'api') or '')
    return 0


def sync_cell(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases:
        result = 0 if words.local_cell else _sync_cell0(databases, words.version)
        schema.sync(databases.cell(), 'cell', words.version)
    return result


def _sync_cell0(databases: Databases, revision: str | None) -> int:
    try:
        with databases.api().reader() as session:
            mapping = cells.cell0(session)
    except Exception as error:
        raise CommandError(
            f'The API database does not answer or has no tables: {error}\n'
            'Run "nova-manage api_db sync" first, or use --local_cell.'
        ) from error
    if mapping is None:
        print('WARNING: cell0 is not mapped; its database is left alone.')
        return 0
    try:
        schema.sync(databases.mapped(mapping), 'cell', revision)
    except Exception as error:
        print(f"ERROR: cell0's database cannot be brought up to date: {error}")
        return 1
    return 0


def version_cell(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    with Databases(conf) as databases:
        print(schema.version(databases.cell(), 'cell') or '')
    return 0
