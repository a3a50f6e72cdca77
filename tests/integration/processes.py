"""Processes that a test starts: each in a session of its own, ended by its recorded pid."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return int(sock.getsockname()[1])


def wait_for(what: str, check: Callable[[], Any], seconds: float = 60, pause: float = 0.1) -> Any:
    """Return the first true answer of ``check``; its last error tells why there was none."""
    deadline, why = time.monotonic() + seconds, ''
    while time.monotonic() < deadline:
        try:
            answer = check()
            if answer:
                return answer
            why = f'answer was {answer!r}'
        except Exception as error:
            why = f'{type(error).__name__}: {error}'
        time.sleep(pause)
    raise AssertionError(f'{what}: not within {seconds} s ({why})')


def port_open(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(('127.0.0.1', port)) == 0


class Processes:
    """Starts and ends processes; ``folder`` gets their logs."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        name: str,
        command: list[str],
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: pathlib.Path | None = None,
    ) -> subprocess.Popen[bytes]:
        with open(self.folder / f'{name}.log', 'ab') as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, 'PYTHONWARNINGS': 'ignore', **(env or {})},
                start_new_session=True,
                user=user,
                cwd=cwd,
            )
        self.running[name] = process
        return process

    def stop(self, name: str, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """End one process with all of its session; returns its exit status."""
        process = self.running.pop(name)
        if process.poll() is None:
            process.send_signal(number)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._kill_group(process)
            process.wait()
            raise AssertionError(f'{name} did not stop within {seconds} s') from None
        self._kill_group(process)
        return status

    def kill(self, name: str) -> None:
        """End one process, and its workers, without a chance to tidy up."""
        process = self.running.pop(name)
        self._kill_group(process)
        process.wait()

    @staticmethod
    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        for name in reversed(list(self.running)):
            process = self.running.pop(name)
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    pass
            self._kill_group(process)
            process.wait()

    def log(self, name: str) -> str:
        return (self.folder / f'{name}.log').read_text(errors='replace')


def need(*programs: str) -> str:
    """Return the first program's path; a missing one is a set-up error, not a skip."""
    for program in programs:
        found = shutil.which(program, path=os.environ['PATH'] + ':/usr/sbin:/usr/lib/rabbitmq/bin')
        if found:
            return found
    raise RuntimeError(f'{programs[0]} is not installed; tools/install-test-packages installs it')
