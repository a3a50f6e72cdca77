"""What a scheduling decision costs in a large cloud: real placement, MariaDB, RabbitMQ.

``decision``: hosts are written into the databases, a real conductor tells of them, and a real
scheduler claims in a real placement.  ``boots``: one nova-compute plays many hosts, and
servers are booted through the API.  CPU time is that of the processes; the exit status is 1
when a figure is over its limit.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

import psutil
import requests
from measure import held, seed
from oslo_config import cfg

from kilonova.common import config, rpc
from kilonova.common.context import get_admin_context
from kilonova.common.fitting import config as fitting_config
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.conductor import interface
from kilonova.scheduler import config as scheduler_config
from kilonova.scheduler.cache import HostCache
from kilonova.scheduler.changes import Changes
from kilonova.scheduler.interface import SchedulerInterface
from kilonova.scheduler.select import Selector
from kilonova.tests.integration.backends import MariaDB, RabbitMQ
from kilonova.tests.integration.processes import Processes, wait_for
from kilonova.tests.integration.stack import Stack

FILTERS = (
    'ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,ServerGroupAntiAffinityFilter,'
    'ServerGroupAffinityFilter,DifferentHostFilter,SameHostFilter,AggregateInstanceExtraSpecsFilter,'
    'AggregateMultiTenancyIsolation,AggregateTypeAffinityFilter,AggregateImagePropertiesIsolation,'
    'IoOpsFilter,NumInstancesFilter,NUMATopologyFilter,PciPassthroughFilter'
)
DECISION_MS, CLAIM_MS, MEMORY_MB, GROWTH, BOOT_MS = 10.0, 40.0, 200.0, 3.0, 250.0
HELD = {'VCPU': 1, 'MEMORY_MB': 512, 'DISK_GB': 1}
"""What a server of the flavor takes."""
HERE = pathlib.Path(__file__).resolve().parent
GROUPS = ('placement', 'mariadb', 'nova-scheduler', 'nova-conductor')


class NoClaims:
    """A placement that says yes and costs nothing."""

    def find_providers(self, query):
        return []

    def claim(self, *args):
        return 1

    def release(self, *args):
        return True


def spec() -> RequestSpec:
    return RequestSpec(
        flavor=Flavor(flavorid='1', name='bench', vcpus=1, memory_mb=512, root_gb=1),
        image=Image(id=str(uuid.uuid4()), properties={'hw_architecture': 'x86_64'}),
        project_id='bench',
        user_id='bench',
    )


def cpu(processes: Processes) -> dict[str, float]:
    """Return the CPU seconds of each group of processes."""
    found: dict[str, float] = collections.defaultdict(float)
    for name, process in processes.running.items():
        group = next((one for one in GROUPS if name.startswith(one)), name)
        for one in _family(process.pid):
            times = one.cpu_times()
            found[group] += times.user + times.system
    return found


def _family(pid: int) -> list[psutil.Process]:
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def decision(transport, number: int) -> tuple[float, float]:
    """Return milliseconds of CPU of a decision without its claim, and of reading the table."""
    conf = cfg.ConfigOpts()
    config.register(scheduler_config.list_opts(), conf)
    config.register(fitting_config.list_opts(), conf)
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    conf.set_override('enabled_filters', FILTERS.split(','), group='filter_scheduler')
    conductor = interface.client(cfg.CONF, transport)
    changes = Changes(lambda marks: conductor.get_host_changes(get_admin_context(), marks))
    cache = HostCache(lambda: None, max_age=1e9, changes=changes)
    started = time.process_time()
    selector = Selector(conf, NoClaims(), cache, random.Random(1))
    selector.select(spec(), [str(uuid.uuid4())], 0)
    table = time.process_time() - started
    started = time.process_time()
    for _ in range(number):
        selector.select(spec(), [str(uuid.uuid4())], 0, alternates=2)
    return (time.process_time() - started) / number * 1000, table * 1000


def claims(stack: Stack, transport, number: int) -> tuple[dict[str, float], float]:
    """Return milliseconds of CPU by process group for one select over RPC, and the scheduler's MB."""
    scheduler = rpc.client_for(SchedulerInterface, transport)
    context = get_admin_context()

    def select() -> None:
        scheduler.select_destinations(context, spec(), [str(uuid.uuid4())], 0, 2)

    for _ in range(5):
        select()
    before = cpu(stack.processes)
    for _ in range(number):
        select()
    after = cpu(stack.processes)
    pid = stack.processes.running['nova-scheduler'].pid
    memory = max(one.memory_info().rss for one in _family(pid)) / 1e6
    return {name: (after[name] - before[name]) / number * 1000 for name in GROUPS}, memory


def one_size(hosts: int, number: int) -> dict[str, float]:
    """Measure a cloud of so many hosts."""
    with cloud(1, ('nova-conductor', 'nova-scheduler')) as stack:
        seed.placement(stack.folder / 'placement.conf', hosts)
        seed.cell(stack.conf, hosts)
        cfg.CONF.reset()
        from kilonova.scheduler.service import Scheduler  # registers what the transport needs

        assert Scheduler
        config.register(scheduler_config.list_opts())
        config.parse(['--config-file', str(stack.conf)], 'bench')
        stack.start()
        transport = rpc.get_transport(cfg.CONF)
        wait_for('the scheduler', lambda: _answers(transport), 120)
        decided, table = decision(transport, number)
        parts, memory = claims(stack, transport, number)
        transport.cleanup()
        full = _overfull(stack, hosts)
    figures = {
        'decision_ms': decided,
        'claim_ms': parts['placement'] + parts['mariadb'],
        'scheduler_ms': parts['nova-scheduler'],
        'table_ms': table,
        'memory_mb': memory,
        'overfull': full,
    }
    print(hosts, 'hosts:', json.dumps({key: round(v, 2) for key, v in figures.items()}), flush=True)
    return figures


def _answers(transport) -> bool:
    scheduler = rpc.client_for(SchedulerInterface, transport)
    return bool(scheduler.select_destinations(get_admin_context(), spec(), [str(uuid.uuid4())], 0))


def _overfull(stack: Stack, hosts: int) -> float:
    """Return how many of the first hosts hold more than they have."""
    over = 0
    for n in range(1, min(hosts, 50) + 1):
        answer = requests.get(
            f'{stack.placement}/resource_providers/{seed.uuid_of(n)}/usages',
            headers={'X-Auth-Token': 'admin'}, timeout=10,
        )  # fmt: skip
        usages = answer.json().get('usages', {})
        over += usages.get('VCPU', 0) > seed.VCPUS * seed.RATIO
    return float(over)


class cloud:
    """A stack of its own in a folder of its own."""

    def __init__(self, hosts: int, daemons: tuple[str, ...], extra: str = '') -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='kn-bench-', dir='/var/tmp'))
        self.folder.chmod(0o755)
        self.processes, self.stack = Processes(self.folder), None
        extra = f'[filter_scheduler]\nenabled_filters = {FILTERS}\n{extra}'
        try:
            database = MariaDB(self.processes, self.folder)
            broker = RabbitMQ(self.processes, self.folder)
            self.stack = Stack(
                self.folder, database, broker, self.processes, hosts, extra, daemons=daemons
            )
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Stack:
        assert self.stack is not None
        return self.stack

    def __exit__(self, *error: object) -> None:
        self.processes.close()
        if self.stack is not None:
            self.stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def boots(hosts: int, servers: int, concurrency: int) -> dict[str, float]:
    """Boot servers on played hosts, look what they hold, and delete them."""
    daemons = ('nova-conductor', 'nova-scheduler', 'nova-compute', 'nova-api')
    extra = '[fake_driver]\nvcpus = 8\nmemory_mb = 8192\nlocal_gb = 100\n'
    with cloud(hosts, daemons, extra) as stack:
        stack.start()
        image = stack.glance.add()
        stack.flavor('bench')
        for name, process in stack.processes.running.items():
            (stack.folder / f'{name}.pid').write_text(str(process.pid))
        out = stack.folder / 'out.json'
        _client(
            stack, '--image', image, '--flavor', 'bench', '--no-quota', '--pids',
            str(stack.folder / '*.pid'), '-k', str(servers), '-c', str(concurrency), '--leave',
            '--label', 'kilonova', '--out', str(out),
        )  # fmt: skip
        found = json.loads(out.read_text())['kilonova']['median']['boot']
        faults = _faults(stack)
        _client(stack, '--purge', '-c', str(concurrency))
        left = _faults(stack)
    for line in [*faults, *left]:
        print(line)
    return {
        'boot_ms': found['cpu_ms_per_op'],
        'not_active': servers - found['active'],
        'faults': len(faults),
        'left': len(left),
    }


def _client(stack: Stack, *words: str) -> None:
    command = [sys.executable, str(HERE / 'client.py'), '--compute', stack.url]
    subprocess.run(
        [*command, '--token', 'admin:admin', *words],
        check=True,
        env={**os.environ, 'PYTHONPATH': str(HERE)},
    )


def _faults(stack: Stack) -> list[str]:
    """Return what is wrong with the claims of all servers that there are."""
    path = '/servers/detail?all_tenants=1&limit=1000'
    servers = stack.get(path, token='admin:admin')['servers']
    return held.wrong(stack.folder / 'placement.conf', servers, HELD)


def judge(rows: list[tuple[str, float, float]]) -> int:
    """Print figures beside their limits; 1 when one is over."""
    print()
    for name, value, limit in rows:
        word = 'OVER' if value > limit else 'ok'
        print(f'{name:44} {value:9.2f}  limit {limit:7.2f}  {word}')
    return int(any(value > limit for _, value, limit in rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', choices=('decision', 'boots', 'all'), nargs='?', default='all')
    parser.add_argument('--hosts', type=int, default=10000, help='of the large cloud (10000)')
    parser.add_argument('--small', type=int, default=100, help='of the small cloud (100)')
    parser.add_argument('-n', type=int, default=100, help='decisions (100)')
    parser.add_argument('--boot-hosts', type=int, default=1000, help='played hosts (1000)')
    parser.add_argument('-k', type=int, default=200, help='servers to boot (200)')
    parser.add_argument('-c', '--concurrency', type=int, default=16, help='clients (16)')
    arguments = parser.parse_args()
    rows: list[tuple[str, float, float]] = []
    if arguments.what != 'boots':
        small = one_size(arguments.small, arguments.n)
        large = one_size(arguments.hosts, arguments.n)
        growth = (large['decision_ms'] + large['claim_ms']) / (
            small['decision_ms'] + small['claim_ms']
        )
        rows += [
            ('decision without claim, ms of CPU', large['decision_ms'], DECISION_MS),
            ('claim with placement and database, ms', large['claim_ms'], CLAIM_MS),
            (f'growth from {arguments.small} to {arguments.hosts} hosts', growth, GROWTH),
            ('memory of the scheduler, MB', large['memory_mb'], MEMORY_MB),
            ('hosts over their inventory', large['overfull'], 0.0),
        ]
    if arguments.what != 'decision':
        found = boots(arguments.boot_hosts, arguments.k, arguments.concurrency)
        rows += [
            ('boot, all processes, ms of CPU', found['boot_ms'], BOOT_MS),
            ('servers that are not active', found['not_active'], 0.0),
            ('claims lost, or hosts over their inventory', found['faults'], 0.0),
            ('claims that are left after deletion', found['left'], 0.0),
        ]
    return judge(rows)


if __name__ == '__main__':
    sys.exit(main())
