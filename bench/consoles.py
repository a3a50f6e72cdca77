"""Memory of idle consoles and throughput of a busy one, beside websockify alone.

Starts a proxy in a process of its own (all of a daemon but the conductor's answer), opens many idle
consoles and reads its PSS; then reads one stream through it and the same one through
``python -m websockify``.  CPU time counts, not the clock.  Exits with 1 when a figure is over its limit.
"""

import argparse
import json
import pathlib
import resource
import socket
import subprocess
import sys
import threading
import time

import psutil

from kilonova.common import concurrency
from kilonova.tests.fakes.websocket_client import WebsocketClient

PSS_LIMIT = 200.0
"""Megabytes of a process with the idle consoles."""
SLOWER_LIMIT = 1.25
"""CPU time of a stream, against websockify alone."""
PATH = '/?token=bench-bench-bench-bench'
PIECE = b'\x5a' * 65536


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('-n', type=int, default=500, help='idle consoles (500)')
    parser.add_argument('--megabytes', type=int, default=1000, help='of the stream (1000)')
    parser.add_argument('--backend', default='auto', choices=concurrency.CHOICES)
    parser.add_argument('--out', help='JSON file for all figures')
    parser.add_argument('--serve', type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    if arguments.serve:
        return _serve(arguments.backend, arguments.serve)
    console = Console(arguments.megabytes)
    here = [sys.executable, __file__, '--backend', arguments.backend, '--serve', str(console.port)]
    figures = {'backend': arguments.backend}
    with Proxy(here) as proxy:
        figures |= _idle(proxy, arguments.n)
        figures['stream_cpu_s'] = _stream(proxy, console)
    port = _free_port()
    alone = [sys.executable, '-m', 'websockify', f'127.0.0.1:{port}', f'127.0.0.1:{console.port}']
    with Proxy(alone, port) as proxy:
        figures['stream_cpu_s_of_websockify'] = _stream(proxy, console)
    figures['times_websockify'] = figures['stream_cpu_s'] / figures['stream_cpu_s_of_websockify']
    print(json.dumps(figures, indent=1))
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(figures))
    over = figures['pss_mb'] > PSS_LIMIT or figures['times_websockify'] > SLOWER_LIMIT
    return int(over)


class Console:
    """A hypervisor's port: says nothing, or sends a stream to whoever sends a byte."""

    def __init__(self, megabytes: int) -> None:
        self._count = megabytes * 16
        self._listener = socket.create_server(('127.0.0.1', 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.idle: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            self.idle.append(sock)

    def stream(self) -> None:
        sock = self.idle[-1]
        for _ in range(self._count):
            sock.sendall(PIECE)

    @property
    def length(self) -> int:
        return self._count * len(PIECE)


class Proxy:
    """The process that is measured."""

    def __init__(self, command: list[str], port: int | None = None) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = port or int(self._process.stdout.readline())
        self.pid = self._process.pid
        time.sleep(1 if port else 0)

    def __enter__(self) -> 'Proxy':
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def open(self) -> WebsocketClient:
        return WebsocketClient(('127.0.0.1', self.port), PATH)

    def cpu(self) -> float:
        """Return the CPU seconds of the process and of those that it has forked."""
        own = psutil.Process(self.pid)
        processes = [own, *own.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in processes)

    def pss(self) -> float:
        text = pathlib.Path(f'/proc/{self.pid}/smaps_rollup').read_text()
        return next(int(line.split()[1]) for line in text.split('\n') if line[:4] == 'Pss:') / 1024


def _idle(proxy: Proxy, count: int) -> dict[str, float]:
    before = proxy.pss()
    clients = [proxy.open() for _ in range(count)]
    time.sleep(2)
    started = proxy.cpu()
    time.sleep(5)
    figures = {
        'idle_consoles': count,
        'pss_mb_without': before,
        'pss_mb': proxy.pss(),
        'idle_cpu_ms_per_s': (proxy.cpu() - started) / 5 * 1000,
    }
    for client in clients:
        client.close()
    time.sleep(3)
    return figures


def _stream(proxy: Proxy, console: Console) -> float:
    known = len(console.idle)
    client = proxy.open()
    while len(console.idle) == known:
        time.sleep(0.01)
    started = proxy.cpu()
    threading.Thread(target=console.stream, daemon=True).start()
    got = len(client._buffer)
    room = bytearray(1 << 20)
    while got < console.length:  # frames have headers, so this ends before the connection does
        got += client.sock.recv_into(room)
    used = proxy.cpu() - started
    client.close()
    return used


def _free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as sock:
        return int(sock.getsockname()[1])


def _serve(backend: str, port: int) -> int:
    """Be a proxy whose only console is at ``port``."""
    concurrency.choose(backend)
    from oslo_config import cfg

    from kilonova.common import base_config, config, rpc
    from kilonova.common.objects.console import ConsoleAccess, ConsolePlace
    from kilonova.consoleproxy import config as proxy_config
    from kilonova.consoleproxy import kinds
    from kilonova.consoleproxy.listener import Listener

    class Conductor:
        def validate_console_token(self, _context: object, _token: str) -> ConsoleAccess:
            place = ConsolePlace(host='127.0.0.1', port=port)
            return ConsoleAccess(
                instance_uuid='x', console_type='serial', place=place, base_url='ws://x'
            )

        def get_server(self, *_: object) -> None:
            return None

    for room in (base_config, proxy_config):
        config.register(room.list_opts(), cfg.CONF)
    cfg.CONF([], project='nova', default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override('web', '')
    cfg.CONF.set_override('check_interval', 3600, 'console')
    cfg.CONF.set_override('serialproxy_port', 0, 'serial_console')
    cfg.CONF.set_override('serialproxy_host', '127.0.0.1', 'serial_console')
    rpc.get_transport(cfg.CONF, 'rabbit://nobody@127.0.0.1/')
    listener = Listener(cfg.CONF, kinds.SERIAL, Conductor(), '')  # type: ignore[arg-type]
    listener.start()
    print(listener.port, flush=True)
    while True:
        time.sleep(3600)


if __name__ == '__main__':
    sys.exit(main())
