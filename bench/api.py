"""CPU time of each kind of request: every daemon, RabbitMQ, MariaDB, real placement.

Starts a control plane of its own (fake virt driver, ``noauth2``, one worker a daemon), boots servers, and
sends one kind of request after the other.  Exits with 1 when a figure is over its limit.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

from kilonova.tests.integration.stack import Stack
from kilonova.tests.integration.whole import standing

HERE = pathlib.Path(__file__).resolve().parent
# What serves a request; databases and broker are counted beside it.
SERVING = ('nova-api', 'nova-conductor')
LIMITS = {'show': 8.0}
"""Milliseconds of CPU a request, ``nova-api`` and ``nova-conductor`` together."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('-k', type=int, default=1000, help='servers (1000)')
    parser.add_argument('-c', '--concurrency', type=int, default=8, help='clients (8)')
    parser.add_argument('--seconds', type=float, default=10, help='of each kind of request (10)')
    parser.add_argument('--hosts', type=int, default=10, help='fake hypervisors (10)')
    parser.add_argument('--backend', default='auto', help='concurrency_backend of the daemons')
    parser.add_argument('--out', help='JSON file for all figures')
    arguments = parser.parse_args()
    with standing(arguments.hosts, arguments.backend) as stack:
        phases = _measure(stack, arguments)
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(phases, indent=1, sort_keys=True))
    return _judge(phases)


def _measure(stack: Stack, arguments: argparse.Namespace) -> dict:
    image = stack.glance.add()
    stack.flavor('bench')
    out = stack.folder / 'out.json'
    subprocess.run(
        [sys.executable, str(HERE / 'client.py'), '--requests', '--compute', stack.url,
         '--token', 'admin:admin', '--image', image, '--flavor', 'bench', '--no-quota',
         '--pids', str(stack.folder / '*.pid'), '-k', str(arguments.k),
         '-c', str(arguments.concurrency), '--read-seconds', str(arguments.seconds),
         '--microversion', '2.90', '--label', 'kilonova', '--out', str(out)],
        check=True, env={**os.environ, 'PYTHONSAFEPATH': ''},
    )  # fmt: skip
    phases: dict = json.loads(out.read_text())['kilonova']['runs'][0]
    return phases


def _judge(phases: dict) -> int:
    over = False
    print(
        f'\n{"request":12} {"ms api":>8} {"conductor":>9} {"both":>8} {"all":>8} {"per CPU s":>9}'
    )
    for name, phase in phases.items():
        if not phase['ops']:
            continue
        cost = {key: 1000 * s / phase['ops'] for key, s in phase['cpu_s_by_group'].items()}
        api, conductor = (cost[one] for one in SERVING)
        both, limit = api + conductor, LIMITS.get(name)
        over = over or (limit is not None and both > limit)
        words = '' if limit is None else f'  limit {limit:g} {"OVER" if both > limit else "ok"}'
        print(
            f'{name:12} {api:8.2f} {conductor:9.2f} {both:8.2f} {sum(cost.values()):8.2f} '
            f'{1000 / both:9.1f}{words}'
        )
    return 1 if over else 0


if __name__ == '__main__':
    sys.exit(main())
