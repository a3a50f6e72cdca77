"""The command line."""

import argparse
import dataclasses
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from devcloud import commands, leftovers, progress
from devcloud.cloud import Cloud
from devcloud.progress import StepError, say, write
from devcloud.settings import DATABASES, DRIVERS, OPTIONAL_SERVICES, Choices, Settings
from devcloud.steps import StepFailed

_DESCRIPTION = """\
A complete cloud on this machine: RabbitMQ, MariaDB, Keystone, Glance, Placement, Neutron with
Open vSwitch, libvirt, and Kilonova from this checkout.  Everything is in one directory,
/var/lib/kilonova-demo or what KILONOVA_DEMO_DIR says, and listens on the loopback address.
With --driver fake there is neither libvirt nor a network: hosts and guests are in memory.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='tools/devcloud',
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='up|down|status')
    up = verbs.add_parser('up', help='install, configure and start all; then boot a server')
    up.add_argument(
        '--db', choices=DATABASES,
        help="Kilonova's own databases (as in the last run; at first sqlite)",
    )  # fmt: skip
    up.add_argument(
        '--driver', choices=DRIVERS,
        help='what runs the guests (as in the last run; at first libvirt)',
    )  # fmt: skip
    up.add_argument(
        '--with', dest='services', action='append', choices=[*OPTIONAL_SERVICES, 'none'],
        help='a service more (as in the last run; at first none)',
    )  # fmt: skip
    up.add_argument(
        '--port-base', type=int, metavar='N',
        help='use ports N to N+999 instead of the usual ones (0: the usual ones again)',
    )  # fmt: skip
    up.add_argument(
        '--no-walk-through', action='store_true', help='do not boot a server at the end'
    )
    # To develop this tool, and to compare with another Nova.
    up.add_argument('--services-venv', type=Path, help=argparse.SUPPRESS)
    up.add_argument('--compute-venv', type=Path, help=argparse.SUPPRESS)
    down = verbs.add_parser('down', help='stop all that up has started')
    down.add_argument('--purge', action='store_true', help='and delete the directory')
    status = verbs.add_parser('status', help='list what runs')
    status.add_argument(
        '--leftovers', action='store_true',
        help='list all that exists of this cloud; the exit status is 1 if there is anything',
    )  # fmt: skip
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    settings = Settings.from_environment()
    try:
        if arguments.verb == 'up':
            return _up(settings, arguments)
        if arguments.verb == 'down':
            return _down(settings, arguments)
        return _status(settings, arguments)
    except StepFailed as failure:
        return _failed(settings, failure.step, failure.error)
    except StepError as error:
        return _failed(settings, arguments.verb, error)
    except KeyboardInterrupt:
        commands.abort()
        say(arguments.verb, 'interrupted; what was started runs on until `make demo-down`')
        return 130
    except Exception as error:
        progress.log_only(traceback.format_exc())
        return _failed(settings, arguments.verb, StepError(f'{type(error).__name__}: {error}'))


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The first one is enough: make, sudo and the terminal may each send theirs.
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def _failed(settings: Settings, step: str, error: StepError) -> int:
    write(f'\nFAILED after {progress.elapsed():.0f} s in the step "{step}":\n    {error.reason}')
    log = error.log or settings.log / 'devcloud.log'
    if log.exists():
        write(f'\nLog: {log}   (all logs: {settings.log})')
    return 1


def _up(settings: Settings, arguments: argparse.Namespace) -> int:
    cloud = _open(settings)
    with cloud.locked():
        cloud.choose(_choices(settings.choices, arguments))
        say('devcloud', f'directory {settings.root}, database {settings.choices.db}')
        cloud.check()
        cloud.up(walk_through=not arguments.no_walk_through)
    root = settings.root
    write(
        f'\nThe cloud is up, after {progress.elapsed():.0f} s.  To go on:\n\n'
        f'    source {root}/openrc            # user admin in the project demo\n'
        '    openstack server create --image kilonova-guest --flavor m1.micro'
        ' --network private \\\n'
        '        --key-name demo --wait my-server\n'
        '    openstack console url show my-server   # its screen, for a browser\n\n'
        f'    the user demo:         source {root}/openrc-demo\n'
        f'    clouds.yaml:           {root}/etc/clouds.yaml\n'
        f'    ssh key of the guests: {root}/etc/id_demo\n'
        f'    logs:                  {root}/log\n'
        '    stop it:               make demo-down'
    )
    return 0


def _open(settings: Settings) -> Cloud:
    from devcloud import apt

    apt.check_system()
    settings.create()
    progress.keep_in(settings.log / 'devcloud.log')
    return Cloud(settings)


def _choices(stored: Choices, arguments: argparse.Namespace) -> Choices:
    """What the user says now, and else what was said the last time."""
    new = dataclasses.replace(stored)
    if arguments.db:
        new.db = arguments.db
    if arguments.driver:
        new.driver = arguments.driver
    if arguments.services:
        new.services = sorted({*arguments.services} - {'none'})
    if arguments.port_base is not None:
        if arguments.port_base and not 1024 <= arguments.port_base <= 64000:
            raise StepError('the port base must be 0 or from 1024 to 64000')
        new.port_base = arguments.port_base
    for name in ('services_venv', 'compute_venv'):
        path = getattr(arguments, name)
        if path:
            setattr(new, name, '' if str(path) == '-' else str(path.absolute()))
    return new


def _down(settings: Settings, arguments: argparse.Namespace) -> int:
    if not settings.state.exists():
        say('down', f'there is no cloud in {settings.root}')
        return 0
    cloud = _open(settings)
    with cloud.locked():
        cloud.down()
        left = leftovers.find(settings, cloud.processes)
        if left:
            raise StepError('left behind:\n    ' + '\n    '.join(left))
        if arguments.purge:
            cloud.purge()
    what = 'everything is stopped and deleted' if arguments.purge else 'everything is stopped'
    say('down', f'{what} ({settings.root})')
    return 0


def _status(settings: Settings, arguments: argparse.Namespace) -> int:
    cloud = Cloud(settings)
    if arguments.leftovers:
        left = leftovers.find(settings, cloud.processes)
        write('\n'.join(left) if left else 'nothing is left')
        return 1 if left else 0
    lines = cloud.status()
    for name, state, log in lines:
        write(f'{name:<28} {state:<14} {log}')
    if not lines:
        write(f'nothing runs ({settings.root})')
    return 1 if any(state == 'ENDED' for _, state, _ in lines) else 0


if __name__ == '__main__':
    sys.exit(main())
