"""A daemon's life in a process of its own: readiness, signals, workers, failures to start."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest

DAEMON = """
import os, sys, time
from oslo_config import cfg
from kilonova.common import base_config, concurrency, exception, rpc, service
concurrency.choose(sys.argv.pop(1))
mode = sys.argv.pop(1)

class Daemon:
    def __init__(self, conf, transport):
        print('made', flush=True)
        if mode == 'refuses':
            raise exception.KilonovaError('the disk is full')
    def start(self):
        if mode == 'crashes':
            raise exception.KilonovaError('no placement')
        if mode == 'waits':
            time.sleep(60)
        print('started', os.getpid(), flush=True)
    def stop(self):
        print('stopped', os.getpid(), flush=True)
        if mode == 'hangs':
            time.sleep(60)

workers = 2 if mode in ('forks', 'refuses') else 1
sys.exit(service.run('daemon', base_config.list_opts, Daemon, lambda conf: workers,
                     transport=lambda conf: rpc.get_transport(conf, 'fake://')))
"""


class Runner:
    def __init__(self, folder: pathlib.Path) -> None:
        self.conf = folder / 'nova.conf'
        self.conf.write_text('[DEFAULT]\ngraceful_shutdown_timeout = 2\n')
        self.output = folder / 'output'
        self.process: Any = None
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(30)
        self.notify.bind(str(folder / 'ready'))

    def start(self, backend: str, mode: str = 'works', notify: str = '') -> None:
        """``notify``: an address that is listened on by the test itself."""
        notify = notify or str(self.notify.getsockname())
        with open(self.output, 'wb') as out:
            self.process = subprocess.Popen(
                [sys.executable, '-W', 'ignore', '-c', DAEMON, backend, mode, '--config-file',
                 str(self.conf)],
                stdout=out, stderr=out, env={**os.environ, 'NOTIFY_SOCKET': notify},
            )  # fmt: skip

    def wait_for(self, words: str, times: int = 1) -> list[str]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            lines = [line for line in self.output.read_text().splitlines() if words in line]
            if len(lines) >= times:
                return lines
            time.sleep(0.05)
        raise AssertionError(f'{words} is not in:\n{self.output.read_text()}')

    def wait_ready(self) -> None:
        assert self.notify.recv(64) == b'READY=1'

    def end(self, number: int | None = signal.SIGTERM) -> int:
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def runner(tmp_path):
    made = Runner(tmp_path)
    yield made
    made.notify.close()
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.fixture(params=('path', 'abstract'))
def systemd(request, tmp_path):
    """Return systemd's socket, and how the environment names it."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.settimeout(30)
    if request.param == 'path':
        name = address = str(tmp_path / 'notify')
    else:
        name = '@kilonova-' + uuid.uuid4().hex
        address = '\0' + name[1:]
    sock.bind(address)
    yield sock, name
    sock.close()


@pytest.mark.parametrize('mode', ('works', 'forks'))
def test_systemd_is_told(runner, systemd, mode):
    sock, name = systemd
    runner.start('threading', mode, name)
    assert sock.recv(64) == b'READY=1'
    assert runner.end() == 0
    assert sock.recv(64) == b'STOPPING=1'


def test_systemd_is_not_told_too_early(runner, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / 'notify'))
        sock.settimeout(0.5)
        runner.start('threading', 'waits', str(tmp_path / 'notify'))
        runner.wait_for('made')
        with pytest.raises(TimeoutError):
            sock.recv(64)
        assert runner.end() == 0


@pytest.mark.parametrize('backend', ('eventlet', 'threading'))
@pytest.mark.parametrize('number', (signal.SIGTERM, signal.SIGINT))
def test_a_signal_ends_it(runner, backend, number):
    runner.start(backend)
    runner.wait_ready()
    assert runner.end(number) == 0
    runner.wait_for('stopped')


@pytest.mark.parametrize('backend', ('eventlet', 'threading'))
def test_a_hangup_reads_the_options_again(runner, backend):
    runner.start(backend)
    runner.wait_ready()
    runner.process.send_signal(signal.SIGHUP)
    runner.wait_for('has read its mutable options again')
    runner.conf.write_text('this is no option file\n[')
    runner.process.send_signal(signal.SIGHUP)
    runner.wait_for('keeps its options')
    assert runner.end() == 0


@pytest.mark.parametrize('backend', ('eventlet', 'threading'))
def test_a_killed_worker_is_started_again(runner, backend):
    runner.start(backend, 'forks')
    runner.wait_ready()
    lines = runner.wait_for('started', 2)
    os.kill(int(lines[0].split()[1]), signal.SIGKILL)
    runner.wait_for('started', 3)
    assert runner.end() == 0
    runner.wait_for('stopped', 2)


def test_a_stop_that_takes_too_long(runner):
    runner.start('threading', 'hangs')
    runner.wait_ready()
    assert runner.end() == 1
    runner.wait_for('daemon did not stop within 2 s')


@pytest.mark.parametrize(
    'mode, words', (('refuses', 'the disk is full'), ('crashes', 'no placement'))
)
def test_it_says_why_it_cannot_start(runner, mode, words):
    runner.start('eventlet', mode)
    assert runner.end(None) == 1
    runner.wait_for(f'daemon cannot start: {words}')
    assert 'Traceback' not in runner.output.read_text()
