"""How long a guest stands still while it is moved, beside ``virsh migrate --live`` with the same options.

Two libvirt hosts with a network between them, each in namespaces of its own, and one guest, which goes
to and fro: once by the driver, once by virsh, with the same flags and the limit for the pause that the
driver begins with.
The pause is what libvirt tells of the completed job at the destination (``downtime``).  Needs root and
what the integration suite needs.  Exits with 1 when the driver's median is over its limit.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec
from kilonova.compute.virt.libvirt.migrate import pace
from kilonova.tests.integration.libvirt import hosts
from kilonova.tests.integration.libvirt.booted import Booted
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.libvirt.hosts import Host
from kilonova.tests.integration.processes import wait_for

TIMES_LIMIT = 1.2
DIRTIER = (
    '(while :; do dd if=/dev/zero of=/dev/shm/x bs=64k count={} 2>/dev/null; sleep 0.05; done) &'
)
Figures = list[tuple[float, float]]
"""Milliseconds of the pause, seconds of the whole move."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--image', required=True, help='a guest that boots (tools/build-guest-image)'
    )
    parser.add_argument('--rounds', type=int, default=9, help='moves of each kind (9)')
    parser.add_argument('--block', action='store_true', help='disks go along (shared)')
    parser.add_argument(
        '--dirty',
        type=int,
        default=0,
        help='pages of 64 KiB that the guest writes all the time (0)',
    )
    arguments = parser.parse_args()
    with _standing(pathlib.Path(arguments.image), not arguments.block) as bench:
        if arguments.dirty:
            bench.dirty(arguments.dirty)
        ours, bare = bench.measure(arguments.rounds)
    figures = {**_summary('driver', ours), **_summary('virsh', bare)}
    figures['times_virsh'] = figures['driver_pause_ms'] / figures['virsh_pause_ms']
    print(json.dumps(figures, indent=1))
    return int(figures['times_virsh'] > TIMES_LIMIT)


def _summary(name: str, figures: Figures) -> dict[str, Any]:
    pauses = sorted(pause for pause, _ in figures)
    return {
        f'{name}_pause_ms': statistics.median(pauses),
        f'{name}_pauses_ms': pauses,
        f'{name}_whole_s': round(statistics.median(took for _, took in figures), 2),
    }


class MigrationBench:
    """A guest, and the host that it is on: the first of ``pair``."""

    def __init__(self, pair: tuple[Host, Host], server: Server, image: File, shared: bool) -> None:
        self._pair, self._server, self._shared = list(pair), server, shared
        spec = GuestSpec(server=server, vifs=[])
        changes = pair[0].driver.spawn(spec, image, lambda start: start())
        pair[0].ready(server)
        self._booted = Booted(pair[0].conf, pair[0].driver, server, image, pair[0].daemon, changes)

    def dirty(self, pages: int) -> None:
        """Let the guest write to memory from now on."""
        self._booted.run(DIRTIER.format(pages) + ' >/dev/null 2>&1')

    def measure(self, rounds: int) -> tuple[Figures, Figures]:
        """Move it that often in each way, by turns; the first move of each fills caches."""
        ours: Figures = []
        bare: Figures = []
        for number in range(2 * rounds + 2):
            way, figures = (self._by_driver, ours) if number % 2 == 0 else (self._by_virsh, bare)
            took = way()
            self._pair.reverse()
            figures.append((self._pause(), took))
        return ours[1:], bare[1:]

    def _pause(self) -> float:
        told = self._pair[0].daemon.virsh('domjobinfo', '--completed', self._server.uuid)
        (line,) = [line for line in told.splitlines() if line.startswith('Total downtime')]
        value, unit = line.partition(':')[2].split()
        assert unit == 'ms', line
        return float(value)

    def _by_driver(self) -> float:
        source, target = self._pair
        server = self._server
        data = self._prepared()
        began = time.monotonic()
        source.driver.migrate_live(server, target.name, data, lambda progress: None)
        took = time.monotonic() - began
        self._finished(data)
        return took

    def _by_virsh(self) -> float:
        """Have the driver prepare and tidy up, and virsh do what lies between."""
        source, target = self._pair
        server, uri = self._server, source.conf.libvirt.live_migration_uri % self._pair[1].address
        data = self._prepared()
        command = ['migrate', '--live', '--p2p', '--persistent', '--undefinesource']
        if data['block_migration']:
            disks = ','.join(disk['target'] for disk in data['local']['disks'])
            command += ['--copy-storage-inc', '--migrate-disks', disks]
        source.daemon.virsh('migrate-setmaxdowntime', server.uuid, str(self._downtime()))
        began = time.monotonic()
        source.daemon.virsh(*command, server.uuid, uri, '--migrateuri', f'tcp://{target.address}')
        took = time.monotonic() - began
        self._finished(data)
        return took

    def _downtime(self) -> int:
        """Return the milliseconds that the driver allows first."""
        conf = self._pair[0].conf.libvirt
        most, count = conf.live_migration_downtime, conf.live_migration_downtime_steps
        return pace.steps(most, count, conf.live_migration_downtime_delay)[0][1]

    def _prepared(self) -> dict[str, Any]:
        source, target = self._pair
        data = target.driver.check_live_destination(self._server, None, False)
        data = source.driver.check_live_source(self._server, data)
        return {**target.driver.receive_live(self._server, [], data), 'volumes': []}

    def _finished(self, data: dict[str, Any]) -> None:
        source, target = self._pair
        target.driver.arrive_live(self._server, [], data)
        source.driver.clean_live(self._server, [], data)
        wait_for('it runs', lambda: target.driver.get_power_state(self._server.uuid) == 1, 30)

    def close(self) -> None:
        for host in self._pair:
            host.driver.destroy(self._server, [])


@contextlib.contextmanager
def _standing(image: pathlib.Path, shared: bool) -> Iterator[MigrationBench]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix='kn-move-', dir='/var/tmp'))
    folder.chmod(0o755)
    try:
        with hosts.two(folder, shared=shared) as pair:
            server = hosts.make_server()
            server.image.properties = {'hw_qemu_guest_agent': 'yes'}
            bench = MigrationBench(pair, server, File(image), shared)
            try:
                yield bench
            finally:
                bench.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    sys.exit(main())
