"""Run Tempest's compute tests against a cloud of fake hosts that is made for it."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

# PYTHONSAFEPATH may keep this directory out.
sys.path.insert(0, str(Path(__file__).resolve().parent))

import configuration
import report

CHECKOUT = Path(__file__).resolve().parents[2]
CLOUD = Path(os.environ.get('KILONOVA_DEMO_DIR') or '/var/lib/kilonova-tempest')
# A demo cloud of the same machine keeps the usual ports.
PORT_BASE = '31000'
EXCLUDED = Path(__file__).with_name('excluded')


def devcloud(*arguments: str) -> int:
    command = [f'KILONOVA_DEMO_DIR={CLOUD}', '/usr/bin/python3', 'tools/devcloud', *arguments]
    as_root = ['sudo', 'env'] if os.geteuid() else ['env']
    return subprocess.run(as_root + command, cwd=CHECKOUT).returncode


def run_tests(work: Path, patterns: list[str], concurrency: int) -> int:
    top = configuration.tempest_home().parent
    command = [
        sys.executable, '-m', 'stestr', '--test-path', str(top / 'tempest/test_discover'),
        '--top-dir', str(top), '--repo-url', str(work), '--group_regex',
        r'([^\.]*\.)*',
    ]  # fmt: skip
    if not (work / '.stestr').exists():
        subprocess.run([*command, 'init'], cwd=work, check=True)
    run = ['run', '--concurrency', str(concurrency), '--exclude-list', str(EXCLUDED)]
    environment = {
        **os.environ,
        'TEMPEST_CONFIG_DIR': str(work),
        'TEMPEST_CONFIG': configuration.FILE,
    }
    return subprocess.run([*command, *run, *patterns], cwd=work, env=environment).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog='tools/tempest', description=__doc__)
    parser.add_argument('patterns', nargs='*', default=[r'^tempest\.api\.compute\.'])
    parser.add_argument('--concurrency', type=int, default=os.cpu_count())
    parser.add_argument('--keep', action='store_true', help='leave the cloud running')
    parser.add_argument('--db', default='mariadb', help="Kilonova's databases")
    parser.add_argument(
        '--record', action='store_true', help='write the result into the documentation'
    )
    arguments = parser.parse_args()
    work = CHECKOUT / '.tox/tempest/work'
    work.mkdir(parents=True, exist_ok=True)
    status = devcloud(
        'up', '--driver', 'fake', '--with', 'cinder', '--db', arguments.db,
        '--port-base', PORT_BASE,
    )  # fmt: skip
    if status:
        return status
    try:
        configuration.write(work, CLOUD)
        before = report.runs(work)
        status = run_tests(work, arguments.patterns, arguments.concurrency)
        if report.runs(work) == before:
            print('stestr ended before it had a result', file=sys.stderr)
            return status or 1
        outcome = report.read(work)
        print(outcome.text())
        if arguments.record:
            outcome.record(CHECKOUT / 'doc/source/contributor/tempest.inc', EXCLUDED)
    finally:
        if not arguments.keep:
            devcloud('down')
    return status


if __name__ == '__main__':
    sys.exit(main())
