"""nova-manage: what an operator does to the databases, past the running daemons."""

import argparse
import functools
import sys
from collections.abc import Callable
from importlib import metadata

from oslo_config import cfg
from oslo_log import log as logging
from oslo_messaging import opts as messaging_opts
from sqlalchemy import exc

from kilonova.common import config, exception, version
from kilonova.conductor import config as conductor_config
from kilonova.conductor.manage import cell_v2, host, schemas
from kilonova.conductor.manage.parts import CommandError
from kilonova.db import config as db_config

AddParsers = Callable[['argparse._SubParsersAction[argparse.ArgumentParser]'], None]

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    conf = cfg.ConfigOpts()
    try:
        read(conf, 'nova-manage', sys.argv[1:] if argv is None else argv, _add_parsers)
        return int(conf.category.run(conf, conf.category))
    except CommandError as error:
        print(error)
        return error.code
    except cfg.Error as error:
        print(f'nova-manage: {error}', file=sys.stderr)
        return 1
    except (exception.KilonovaError, ValueError) as error:
        print(f'ERROR: {error}', file=sys.stderr)
        return 1
    except exc.DBAPIError as error:
        LOG.debug('A statement failed', exc_info=True)
        print(f'ERROR: the database said: {error.orig}', file=sys.stderr)
        return 1


def read(conf: cfg.ConfigOpts, prog: str, argv: list[str], add_parsers: AddParsers) -> None:
    """Read command line and files; the subcommand is in ``conf.category``."""

    def declare(categories: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
        categories.required = True
        add_parsers(categories)

    config.register(db_config.list_opts(), conf)
    config.register(conductor_config.list_opts(), conf)
    config.register([(g, o) for g, o in messaging_opts.list_opts() if g is None], conf)
    conf.register_cli_opt(cfg.SubCommandOpt('category', title='Commands', handler=declare))
    config.parse(argv, prog, conf)
    # A command answers on standard output; of alembic only what is wrong matters beside it.
    logging.getLogger('alembic').logger.setLevel(logging.WARNING)


def _add_parsers(categories: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    schemas.add_parsers(categories)
    cell_v2.add_parsers(categories)
    host.add_parsers(categories)
    _add_other_rooms(categories)
    parser = categories.add_parser('version', help='Print the version.')
    parser.set_defaults(run=print_version)


def _add_other_rooms(categories: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Declare the categories that other rooms bring, without importing the rooms."""
    for entry in sorted(metadata.entry_points(group='kilonova.manage'), key=lambda e: e.name):
        parser = categories.add_parser(entry.name, add_help=False)
        parser.add_argument('words', nargs=argparse.REMAINDER)
        parser.set_defaults(run=functools.partial(_run_other_room, entry))


def _run_other_room(
    entry: metadata.EntryPoint, conf: cfg.ConfigOpts, words: argparse.Namespace
) -> int:
    return int(entry.load()(f'nova-manage {entry.name}', words.words, conf))


def print_version(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    """Run ``version``."""
    print(version.VERSION)
    return 0


if __name__ == '__main__':
    sys.exit(main())
