"""CPU time of a boot and a delete, memory at rest: every daemon, RabbitMQ, MariaDB, real placement.

Starts a control plane of its own (fake virt driver, ``noauth2``, one worker a daemon), boots servers through the
API and adds up the CPU time of all processes, placement, database and broker included.
Exits with 1 when a figure is over its limit.
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
# (phase, figure, limit): milliseconds of CPU an operation, megabytes PSS
LIMITS = (
    ('boot', 'cpu_ms_per_op', 350.0),
    ('delete', 'cpu_ms_per_op', 250.0),
)
LIST_LIMIT = 0.5
"""Milliseconds of CPU for each server that GET /servers/detail lists."""
MEMORY_LIMIT = 450.0
DAEMONS = ('nova-api', 'nova-conductor', 'nova-scheduler', 'nova-compute')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('-k', type=int, default=100, help='servers to boot (100)')
    parser.add_argument('-c', '--concurrency', type=int, default=8, help='clients (8)')
    parser.add_argument('--runs', type=int, default=1, help='runs; the median counts')
    parser.add_argument('--hosts', type=int, default=1, help='fake hypervisors (1)')
    parser.add_argument('--backend', default='auto', help='concurrency_backend of the daemons')
    parser.add_argument('--out', help='JSON file for all figures')
    arguments = parser.parse_args()
    with standing(arguments.hosts, arguments.backend) as stack:
        return _measure(stack, arguments)


def _measure(stack: Stack, arguments: argparse.Namespace) -> int:
    image = stack.glance.add()
    stack.flavor('bench')
    out = stack.folder / 'out.json'
    subprocess.run(
        [sys.executable, str(HERE / 'client.py'), '--compute', stack.url, '--token', 'admin:admin',
         '--image', image, '--flavor', 'bench', '--no-quota', '--pids', str(stack.folder / '*.pid'),
         '-k', str(arguments.k), '-c', str(arguments.concurrency), '--runs', str(arguments.runs),
         '--label', 'kilonova', '--out', str(out)],
        check=True, env={**os.environ, 'PYTHONSAFEPATH': ''},
    )  # fmt: skip
    result = json.loads(out.read_text())['kilonova']
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(result, indent=1, sort_keys=True))
    return _judge(result['median'], result['runs'][-1], arguments.k)


def _judge(median: dict, run: dict, servers: int) -> int:
    figures = [
        (f'{phase} {figure}', median[phase][figure], limit) for phase, figure, limit in LIMITS
    ]
    listed = median['list_detail']['cpu_ms_per_op'] / servers
    figures.append(('list_detail cpu ms a server', listed, LIST_LIMIT))
    memory = sum(run['idle']['pss_mb_by_group'].get(name, 0) for name in DAEMONS)
    figures.append(('PSS MB of the daemons, idle', memory, MEMORY_LIMIT))
    over = False
    print()
    for name, value, limit in figures:
        over = over or value > limit
        print(f'{name:32} {value:9.2f}  limit {limit:7.2f}  {"OVER" if value > limit else "ok"}')
    return 1 if over else 0


if __name__ == '__main__':
    sys.exit(main())
