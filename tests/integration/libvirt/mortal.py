"""A libvirt driver whose process dies, or stands still, at a chosen step of what it does.

A step is whatever changes something outside of the process: a call of libvirt, a program that is run,
a file that is written, renamed or removed, a request to a fellow service, a report to the conductor.
Killed before each of them, a process has been killed in every state that it can leave behind.

nova-compute finds the driver by its entry point, in a folder that ``install`` makes; the tests give
their orders by files in it.
"""

import os
import pathlib
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import requests
from oslo_config import cfg

from kilonova.compute import report
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.compute.virt.libvirt.guest import Guest, Guests

NAME = 'mortal.MortalDriver'
FOLDER = 'KILONOVA_MORTAL'
LOOKS = (
    'state', 'isActive', 'XMLDesc', 'info', 'memoryStats', 'vcpus', 'blockStats', 'interfaceStats',
    'hasManagedSaveImage', 'backupGetXMLDesc', 'jobStats', 'blockJobInfo', 'isPersistent',
)  # fmt: skip
CHANGES = (
    'open', 'os.rename', 'os.remove', 'os.mkdir', 'os.link', 'os.symlink', 'os.truncate', 'shutil.rmtree',
)  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
OF_NO_ACCOUNT = ('/locks', '/compute_nodes', '/console.log')
IDENTITY = re.compile(r'[0-9a-f]{40}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


def install(folder: pathlib.Path) -> dict[str, str]:
    """Make the folder; return the environment of a nova-compute that is to find the driver."""
    info = folder / 'mortal-1.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: mortal\nVersion: 1\n')
    (info / 'entry_points.txt').write_text(f'[kilonova.virt]\n{NAME} = {__name__}:MortalDriver\n')
    return {'PYTHONPATH': str(folder), FOLDER: str(folder)}


class Orders:
    """What a test wants of the process: to die at the n-th step from now on, or to stand still there."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._order, self._trace, self._gate = folder / 'order', folder / 'trace', folder / 'gate'
        self._lock = threading.Lock()
        folder.mkdir(exist_ok=True)

    def give(self, step: int, *, hold: bool = False) -> None:
        """Have the process die before that step, or wait there until it is released."""
        self._gate.unlink(missing_ok=True)
        if hold:
            os.mkfifo(self._gate)
        self._trace.write_text('')
        self._order.with_suffix('.new').write_text(str(step))
        self._order.with_suffix('.new').rename(self._order)

    def cancel(self) -> None:
        self._order.unlink(missing_ok=True)

    def release(self) -> None:
        """Let a process that stands still go on."""
        self._gate.write_text('')

    @property
    def is_open(self) -> bool:
        """Whether it has not come to that step."""
        return self._order.exists()

    def steps(self) -> list[str]:
        """Return what has been done since, the last one being what the process died of."""
        return self._trace.read_text().splitlines()

    def step(self, name: str) -> None:
        """Die, if it is time."""
        with self._lock:
            try:
                fatal = int(self._order.read_text())
            except FileNotFoundError:
                return
            with open(self._trace, 'a') as file:
                file.write(name + '\n')
            if len(self.steps()) < fatal:
                return
            self.cancel()
            if not self._gate.exists():
                os.kill(os.getpid(), signal.SIGKILL)
            self._gate.read_text()  # all of the process waits, greenlets or not


class MortalDriver(LibvirtDriver):
    """The driver that it is derived from, in a process that is watched."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        _watch(Orders(pathlib.Path(os.environ[FOLDER]) / conf.host), conf.instances_path)


def _watch(orders: Orders, instances: str) -> None:
    """Stand before every step; the process is never as it was before."""

    def before(
        owner: Any, attribute: str, name: Callable[..., str | None], after: bool = False
    ) -> None:
        real = getattr(owner, attribute)

        def run(*args: Any, **kwargs: Any) -> Any:
            found = name(*args)
            if found is not None:
                orders.step(IDENTITY.sub('ID', found))
            answer = real(*args, **kwargs)
            if found is not None and after:
                orders.step(IDENTITY.sub('ID', f'{found}: done'))
            return answer

        setattr(owner, attribute, run)

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES or event == 'subprocess.Popen':
            found = _name(event, args, instances)
            if found is not None:
                orders.step(IDENTITY.sub('ID', found))

    before(Guest, '_call', lambda _guest, method, *_: None if method in LOOKS else method)
    before(Guests, 'define', lambda *_: 'defineXML')
    before(report, 'deliver', lambda what, *_: f'report {what}', after=True)
    before(requests.Session, 'send', _request)
    sys.addaudithook(audit)


def _request(_session: requests.Session, request: requests.PreparedRequest) -> str | None:
    if request.method in ('GET', 'HEAD'):
        return None
    return f'{request.method} {request.path_url}'


def _name(event: str, args: tuple[Any, ...], instances: str) -> str | None:
    """Return what a step is called; None for one that changes nothing of a server's."""
    if event == 'subprocess.Popen':
        return _program([str(word) for word in args[1]])
    if event == 'open' and not (isinstance(args[2], int) and args[2] & WRITES):
        return None
    path = os.fsdecode(args[0]) if isinstance(args[0], str | bytes | os.PathLike) else ''
    if not path.startswith(instances) or any(name in path for name in OF_NO_ACCOUNT):
        return None
    if (
        event == 'os.mkdir'
        and os.path.exists(path)
        or event == 'os.remove'
        and not os.path.exists(path)
    ):
        return None
    return f'{event} {path.removeprefix(instances)}'


def _program(words: list[str]) -> str | None:
    if 'qemu-img' in words:
        at = words.index('qemu-img')
        verb = words[at + 1]
        return None if verb in ('info', 'check', '--version') else f'qemu-img {verb}'
    return None if 'uptime' in words else os.path.basename(words[0])
