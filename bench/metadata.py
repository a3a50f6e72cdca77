"""CPU time of a request to the metadata API for a server that is remembered.

A nova-api-metadata of its own serves over HTTP; the conductor's one answer comes from this program.
Exits with 1 when a request costs more than its limit.
"""

import argparse
import hashlib
import hmac
import http.client
import json
import multiprocessing
import pathlib
import sys
import time
from multiprocessing.connection import Connection

import psutil

from kilonova.common import concurrency

LIMIT = 3.0
"""Milliseconds of CPU."""
SECRET = 'bench'
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
    parser.add_argument('--backend', default='auto', choices=concurrency.CHOICES)
    parser.add_argument('--out', help='JSON file for all figures')
    arguments = parser.parse_args()
    here, there = multiprocessing.Pipe()
    fork = multiprocessing.get_context('spawn')
    service = fork.Process(target=_serve, args=(arguments.backend, there), daemon=True)
    service.start()
    port, uuid = here.recv()
    try:
        figures = {path: _cost(service.pid or 0, port, uuid, path, arguments.n) for path in PATHS}
        here.send('how many calls')
        figures['calls_to_the_conductor'] = here.recv()
    finally:
        service.terminate()
        service.join(20)
    print(json.dumps(figures, indent=1))
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(figures))
    return int(max(figures[path] for path in PATHS) > LIMIT)


def _cost(pid: int, port: int, uuid: str, path: str, count: int) -> float:
    """Return milliseconds of CPU of the service for one request on a connection of its own."""
    headers = {
        'X-Instance-ID': uuid,
        'X-Tenant-ID': 'demo',
        'X-Instance-ID-Signature': hmac.new(
            SECRET.encode(), uuid.encode(), hashlib.sha256
        ).hexdigest(),
        'X-Forwarded-For': '10.0.0.5',
    }
    process = psutil.Process(pid)
    started = 0.0
    for number in range(count + 1):
        if number == 1:  # the first one is not remembered
            started = sum(process.cpu_times()[:2])
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
        connection.request('GET', path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, (path, answer.status)
        answer.read()
        connection.close()
    return (sum(process.cpu_times()[:2]) - started) / count * 1000


def _serve(backend: str, pipe: Connection) -> None:
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
    conf.set_override('metadata_listen_port', 0)
    conf.set_override('metadata_listen', '127.0.0.1')
    guest = make_server(1, key_name='mykey', key_public='ssh-ed25519 AAAA', key_type='ssh')
    conductor = FakeServers(guest)
    (listening,) = server.serve(conf, {'metadata': app.make_metadata_app(conf, conductor)})
    pipe.send((listening.port, guest.uuid))
    while True:
        if pipe.poll():
            pipe.recv()
            pipe.send(len(conductor.calls))
        time.sleep(0.2)


if __name__ == '__main__':
    sys.exit(main())
