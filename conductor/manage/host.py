"""The commands of nova-manage host."""

import argparse
import sys
import time

import oslo_messaging as messaging
from oslo_config import cfg

from kilonova.common import context as ctx
from kilonova.common import rpc
from kilonova.common.objects import drain as states
from kilonova.common.objects.drain import Drain
from kilonova.conductor import interface
from kilonova.conductor.manage import tables
from kilonova.conductor.manage.parts import CommandError

INTERVAL = 2.0
WIDTH = 40
COLUMNS = ('Server', 'Name', 'How', 'Status', 'To', 'Reason')


def add_parsers(categories: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Declare the commands."""
    commands = categories.add_parser('host', help='Compute hosts.').add_subparsers(
        dest='action', required=True
    )
    parser = commands.add_parser(
        'drain',
        help='Disable a host and move all its servers away, running ones as they run. Exits '
        'with 1 when some could not be moved; says which and why. It may be interrupted: '
        'the conductors go on.',
    )
    parser.add_argument('host', metavar='<host>')
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='Only say how they would be moved, and where the scheduler would send them.',
    )
    parser.add_argument(
        '--evacuate',
        action='store_true',
        help='If the host is down, make its servers anew on other hosts.',
    )
    parser.set_defaults(run=drain)


def drain(conf: cfg.ConfigOpts, words: argparse.Namespace) -> int:
    """Run ``host drain``."""
    conductor = interface.client(conf, rpc.get_transport(conf))
    context = ctx.get_admin_context()
    try:
        found = conductor.drain_host(context, words.host, words.evacuate, words.dry_run)
        while found.state == states.DRAINING:
            _show(found)
            time.sleep(INTERVAL)
            # Only looked at: another administrator may have stopped it meanwhile.
            found = conductor.get_host_drain(context, words.host)
    except messaging.MessagingTimeout:
        raise CommandError('No conductor answers.', 1) from None
    if not words.dry_run:
        _show(found)
        print(file=sys.stderr)
    _report(found)
    if found.state == states.STOPPED:
        print('The drain was stopped; what had begun to move goes on.', file=sys.stderr)
        return 1
    return int(any(one.status in (states.FAILED, states.STAYS) for one in found.servers))


def _show(found: Drain) -> None:
    """Draw the progress bar, over the one before."""
    total = len(found.servers)
    done = sum(
        one.progress / 100 if one.status == states.MOVING else one.status != states.WAITING
        for one in found.servers
    )
    part = done / total if total else 1.0
    bar = ('#' * round(part * WIDTH)).ljust(WIDTH, '.')
    moved = sum(one.status == states.MOVED for one in found.servers)
    end = '\r' if sys.stderr.isatty() else '\n'
    print(f'[{bar}] {part:4.0%}  {moved} of {total} moved', end=end, file=sys.stderr, flush=True)


def _report(found: Drain) -> None:
    rows = [
        (one.uuid, one.name, one.how or '', one.status, one.target or '', one.reason or '')
        for one in found.servers
    ]
    print(tables.draw(COLUMNS, rows))
