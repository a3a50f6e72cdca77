"""CPU time of a request to the metadata API for a server that is remembered, and calls per guest.

Some processes of nova-api-metadata serve one port over HTTP, as workers do; the conductor's answers
come from this program.  Exits with 1 when a request costs more than its limit, or when guests that
boot together cost more than one call each.
"""

import argparse
import dataclasses
import hashlib
import hmac
import http.client
import json
import multiprocessing
import multiprocessing.process
import pathlib
import sys
import tempfile
import time
from multiprocessing.connection import Connection

import psutil

from kilonova.common import concurrency

LIMIT = 3.0
"""Milliseconds of CPU."""
SECRET = 'bench'
REQUESTS = 18
"""What cloud-init asks while a guest boots."""
PATHS = (
    '/openstack',
    '/openstack/latest/meta_data.json',
    '/openstack/latest/network_data.json',
    '/openstack/latest/vendor_data2.json',
    '/latest/meta-data/',
    '/latest/meta-data/block-device-mapping/',
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('-n', type=int, default=500, help='requests of each kind (500)')
    parser.add_argument('--workers', type=int, default=2, help='processes (2)')
    parser.add_argument('--guests', type=int, default=200, help='guests that boot together (200)')
    parser.add_argument('--backend', default='auto', choices=concurrency.CHOICES)
    parser.add_argument('--out', help='JSON file for all figures')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workers = _start(arguments.backend, arguments.workers, arguments.guests, folder)
        try:
            figures = _measure(workers, arguments.n)
        finally:
            for worker in workers:
                worker.process.terminate()
                worker.process.join(20)
    print(json.dumps(figures, indent=1))
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(figures))
    return int(max(figures[path] for path in PATHS) > LIMIT or figures['calls_per_guest'] > 1)


@dataclasses.dataclass
class Worker:
    """One process that serves."""

    process: multiprocessing.process.BaseProcess
    pipe: Connection
    port: int
    uuids: list[str]


def _start(backend: str, count: int, guests: int, folder: str) -> list[Worker]:
    spawn = multiprocessing.get_context('spawn')
    workers: list[Worker] = []
    for _ in range(count):
        here, there = multiprocessing.Pipe()
        port = workers[0].port if workers else 0
        process = spawn.Process(
            target=_serve, args=(backend, there, port, guests, folder), daemon=True
        )
        process.start()
        workers.append(Worker(process, here, *here.recv()))
    return workers


def _measure(workers: list[Worker], count: int) -> dict[str, float]:
    port, uuids = workers[0].port, workers[0].uuids
    began = _cpu(workers)
    for _ in range(REQUESTS // len(PATHS)):
        for path in PATHS:
            for uuid in uuids:
                _ask(port, uuid, path)
    figures: dict[str, float] = {'boot_ms_per_guest': (_cpu(workers) - began) / len(uuids) * 1000}
    calls = 0
    for worker in workers:
        worker.pipe.send('how many calls')
        calls += worker.pipe.recv()
    figures['calls_per_guest'] = calls / len(uuids)
    return figures | {path: _cost(workers, port, uuids[0], path, count) for path in PATHS}


def _cpu(workers: list[Worker]) -> float:
    """Return seconds of CPU of all workers."""
    return sum(sum(psutil.Process(worker.process.pid).cpu_times()[:2]) for worker in workers)


def _cost(workers: list[Worker], port: int, uuid: str, path: str, count: int) -> float:
    """Return milliseconds of CPU of the service for one request on a connection of its own."""
    started = _cpu(workers)
    for _ in range(count):
        _ask(port, uuid, path)
    return (_cpu(workers) - started) / count * 1000


def _ask(port: int, uuid: str, path: str) -> None:
    headers = {
        'X-Instance-ID': uuid,
        'X-Tenant-ID': 'demo',
        'X-Instance-ID-Signature': hmac.new(
            SECRET.encode(), uuid.encode(), hashlib.sha256
        ).hexdigest(),
        'X-Forwarded-For': '10.0.0.5',
    }
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    connection.request('GET', path, headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200, (path, answer.status)
    answer.read()
    connection.close()


def _serve(backend: str, pipe: Connection, port: int, guests: int, folder: str) -> None:
    concurrency.choose(backend)
    from oslo_config import cfg

    from kilonova.api import config, server
    from kilonova.api.metadata import app
    from kilonova.common.config import parse, register
    from kilonova.tests.unit.api.fake_servers import FakeServers, make_server

    conf = cfg.CONF
    register(config.list_opts(), conf)
    parse(['--config-file', '/dev/null'], 'bench', conf)
    conf.set_override('service_metadata_proxy', True, 'neutron')
    conf.set_override('metadata_proxy_shared_secret', SECRET, 'neutron')
    conf.set_override('metadata_cache_expiration', 3600, 'api')
    conf.set_override('metadata_listen_port', port)
    conf.set_override('state_path', folder)
    conf.set_override('metadata_workers', 2)
    conf.set_override('metadata_listen', '127.0.0.1')
    key = {'key_name': 'mykey', 'key_public': 'ssh-ed25519 AAAA', 'key_type': 'ssh'}
    conductor = FakeServers(*(make_server(number, **key) for number in range(1, guests + 1)))
    application = app.make_metadata_app(conf, conductor)
    (listening,) = server.serve(conf, {'metadata': application}, shared=True)
    pipe.send((listening.port, list(conductor.servers)))
    while True:
        if pipe.poll():
            pipe.recv()
            pipe.send(len(conductor.calls))
        time.sleep(0.2)


if __name__ == '__main__':
    sys.exit(main())
