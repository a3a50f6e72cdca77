#!/usr/bin/env python3
"""Benchmark of any Nova-compatible compute endpoint.  HTTP only, Python stdlib only.

Phases: warmup, idle, boot, list-detail, get-one, flavors, delete.  For each phase it records
latency/throughput as a client sees them and, for the processes named by --pids / --match (with
all their descendants), CPU seconds, PSS and RSS.  On a noisy machine CPU seconds per operation
is the figure to trust.

  client.py --auth-url http://127.0.0.1:15000/v3 --user admin --password secret --project admin \\
           --pids "$LAB/run/*.pid" -k 100 -c 8 --runs 3 --label nova-1c --out results.json
"""

import argparse
import os
import signal
import sys

from measure.cloud import Cloud
from measure.load import Run
from measure.report import save, table
from measure.requests import Requests


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        '--compute', help='compute endpoint, e.g. http://127.0.0.1:18774/v2.1 (default: catalog)'
    )
    p.add_argument('--auth-url')
    p.add_argument('--token')
    p.add_argument('--user', default='admin')
    p.add_argument('--password', default='secret')
    p.add_argument('--project', default='admin')
    p.add_argument('--project-id')
    p.add_argument('--domain', default='Default')
    p.add_argument('--image', default='cirros-fake', help='image name or id')
    p.add_argument('--image-url', help='image endpoint (default: catalog)')
    p.add_argument('--flavor', default='m1.tiny')
    p.add_argument('--network', default='none', help='none, auto or a network id')
    p.add_argument('--microversion', default='2.37')
    p.add_argument('-k', type=int, default=100, help='servers to boot')
    p.add_argument('-c', '--concurrency', type=int, default=8)
    p.add_argument('--warmup', type=int, default=8)
    p.add_argument('--idle', type=float, default=10, help='seconds of the idle phase')
    p.add_argument(
        '--settle', type=float, default=1, help='seconds of CPU counted after boot and delete'
    )
    p.add_argument('--poll', type=float, default=0.5, help='shortest pause between polls')
    p.add_argument('--read-seconds', type=float, default=8)
    p.add_argument('--timeout', type=float, default=600)
    p.add_argument(
        '--pids',
        action='append',
        metavar='[NAME=]GLOB',
        help='pid files; default group = file name',
    )
    p.add_argument(
        '--match', action='append', metavar='NAME=REGEX', help='processes by command line'
    )
    p.add_argument('--no-quota', action='store_true')
    p.add_argument('--runs', type=int, default=1)
    p.add_argument(
        '--requests', action='store_true', help='what each kind of request costs, not boots'
    )
    p.add_argument(
        '--purge', action='store_true', help='only delete all servers named bench-* and leave'
    )
    p.add_argument('--leave', action='store_true', help='leave the booted servers where they are')
    p.add_argument('--label', default='run')
    p.add_argument('--note', default='')
    p.add_argument('--out', help='JSON file; the result is merged into it under --label')
    a = p.parse_args()
    runs = []
    cloud = Cloud(a)
    if a.purge:
        ids = [s['id'] for s in cloud.get('/servers?name=bench-&limit=1000')['servers']]
        print('deleting', len(ids), Run(cloud, a).delete(ids, 'bench-'))
        return
    cloud.setup()
    if a.requests:
        save(a, cloud, [Requests(cloud, a).go()], None)
        return
    for i in range(a.runs):
        print('--- %s run %d/%d  load %s' % (a.label, i + 1, a.runs, os.getloadavg()), flush=True)
        if not a.token and i:
            cloud.login()
        runs.append(Run(cloud, a).go())
        b = runs[-1]['boot']
        print(
            '    boots/s {}  cpu ms/boot {}  to_active p50 {} ms'.format(
                b['boots_per_s'], b.get('cpu_ms_per_op'), b.get('to_active_p50_ms')
            ),
            flush=True,
        )
        if a.out:
            save(a, cloud, runs, None)
    summary = table(runs)
    if a.out:
        save(a, cloud, runs, summary)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main()
