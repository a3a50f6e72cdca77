"""Real guests under QEMU: how long a boot takes beside bare libvirt, and whether fifty leave nothing.

Starts a libvirtd, RabbitMQ, MariaDB, placement and every daemon of its own (``noauth2``; Glance and
Neutron are the tests' fakes).  Needs root and what the integration suite needs.

start: from the accepted request to QEMU running, image cached, against ``virsh create`` of the same
domain's XML with the same disks.  What fellow services take of it is reported apart.
many: guests booted and deleted, some at a time; nothing of them may be left.
Exits with 1 when a figure is over its limit or something is left.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import sys
import time

from measure.guests import GuestBench, standing

TIMES_LIMIT = 1.5
"""A start, without the fellow services' part, against virsh create."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('parts', nargs='*', help='start, many (both)')
    parser.add_argument(
        '--image', required=True, help='a guest that boots (tools/build-guest-image)'
    )
    parser.add_argument('--rounds', type=int, default=7, help='starts of each kind (7)')
    parser.add_argument('-n', type=int, default=50, help='guests of 128 MiB (50)')
    parser.add_argument('-c', '--concurrency', type=int, default=4, help='at a time (4)')
    parser.add_argument('--out', help='JSON file for all figures')
    arguments = parser.parse_args()
    figures = {}
    with standing(pathlib.Path(arguments.image)) as bench:
        if 'start' in (arguments.parts or ['start']):
            figures['start'] = _start(bench, arguments.rounds)
        if 'many' in (arguments.parts or ['many']):
            figures['many'] = _many(bench, arguments.n, arguments.concurrency)
    print(json.dumps(figures, indent=1))
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(figures, indent=1))
    over = figures.get('start', {}).get('times_virsh', 0) > TIMES_LIMIT
    return int(over or bool(figures.get('many', {}).get('wrong')))


# -- one start


def _start(bench: GuestBench, rounds: int) -> dict[str, float]:
    """Return medians; the first round only fills caches."""
    ours, fellows, bare = [], [], []
    for number in range(rounds + 1):
        took, of_fellows, uuid = bench.timed_boot()
        seconds = bench.timed_create(uuid)
        bench.cloud.delete(uuid)
        if number:
            ours.append(took)
            fellows.append(of_fellows)
            bare.append(seconds)
    found = {
        'request_to_running_s': statistics.median(ours),
        'fellow_services_s': statistics.median(fellows),
        'virsh_create_s': statistics.median(bare),
    }
    own = statistics.median(a - b for a, b in zip(ours, fellows, strict=True))
    return found | {'own_s': own, 'times_virsh': own / found['virsh_create_s']}


# -- many


def _many(bench: GuestBench, count: int, concurrency: int) -> dict[str, object]:
    before, began = bench.left(), time.monotonic()

    def live(_number: int) -> tuple[str, float]:
        start = time.monotonic()
        uuid = bench.boot()
        server = bench.cloud.settled(uuid, 'ACTIVE', 'ERROR')
        took = time.monotonic() - start
        return ('' if server['status'] == 'ACTIVE' else f'{uuid}: {server["fault"]}'), took

    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        done = list(pool.map(live, range(count)))
        active = time.monotonic() - began
        servers = bench.cloud.get('/servers?limit=1000')['servers']
        domains = len(bench.hypervisor.domains())
        list(pool.map(lambda one: bench.cloud.delete(one['id']), servers))
    wrong = [error for error, _ in done if error]
    left = {what: found for what, found in bench.left().items() if found != before[what]}
    if left:
        wrong.append(f'left: {left}')
    return {
        'guests': count,
        'domains_at_the_end': domains,
        'boot_p50_s': statistics.median(took for _, took in done),
        'all_active_s': active,
        'all_gone_s': time.monotonic() - began - active,
        'wrong': wrong,
    }


if __name__ == '__main__':
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    sys.exit(main())
