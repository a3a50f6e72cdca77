"""A daemon's life: workers, signals, readiness, the end.

``run`` is what each ``cmd.main`` calls.  With one worker the daemon runs in the process
itself; with more, a small parent forks them before anything else is opened, and starts
a new one when one dies.  SIGTERM and SIGINT stop (what is in flight is finished or
handed over), SIGHUP re-reads the options that are mutable.
"""

import os
import re
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import concurrency, config, exception, rpc, version
from kilonova.common import context as ctx

LOG = logging.getLogger(__name__)

ENDING = {signal.SIGTERM, signal.SIGINT}
SIGNALS = ENDING | {signal.SIGHUP}
RESPAWN_LIMIT = 5
# Seconds after which a daemon that waits for others says so, again and again.
STILL_STARTING = 10.0
# The exit status of a process that has told why it cannot start.
CANNOT_START = 1
# What a worker sends its parent when it is ready.  Of this kind none gets lost among others.
READY = signal.SIGRTMIN
BLOCKED = SIGNALS | {signal.SIGCHLD, READY}
"""What the parent of workers waits for."""
STARTED = b'\0'


class Daemon(Protocol):
    """What ``make`` returns."""

    def start(self) -> None:
        """Begin to work; returns when the daemon is ready."""

    def stop(self) -> None:
        """Take no more work, finish or hand over what is in flight."""


Make = Callable[[cfg.ConfigOpts, messaging.Transport], Daemon]


def run(
    prog: str,
    options: Callable[[], config.Opts],
    make: Make,
    workers: Callable[[cfg.ConfigOpts], int] = lambda conf: 1,
    argv: list[str] | None = None,
    transport: Callable[[cfg.ConfigOpts], messaging.Transport] = rpc.get_transport,
) -> int:
    """Read the configuration and run until told to stop; returns the exit status."""
    conf = cfg.CONF
    config.register(options(), conf)
    try:
        config.parse(sys.argv[1:] if argv is None else argv, prog, conf)
    except cfg.Error as error:
        print(f'{prog}: {error}', file=sys.stderr)
        return 1
    count = workers(conf)
    worker = _Worker(prog, conf, make, transport)
    if count > 1:
        return _Parent(worker, count).run()
    return worker.run(lambda: _notify_systemd('READY=1'))


def version_cap(conf: cfg.ConfigOpts, name: str, ask: Callable[[], int | None]) -> rpc.Cap:
    """Return what ``[upgrade_levels]`` caps an interface at (None: not at all).

    ``ask`` returns the lowest service version of the running receivers; 'auto' needs it.
    """
    value = conf.upgrade_levels[name]
    if value == 'auto':
        return version.LowestRunning(name, ask)
    if value and not re.fullmatch(r'\d+\.\d+', value):
        raise exception.KilonovaError(
            f'[upgrade_levels]{name} must be a version like 1.0, or auto, not {value}.'
        )
    return value or None


def cpu_count() -> int:
    """Return how many processors this process may use: the default number of workers."""
    return len(os.sched_getaffinity(0))


def _notify_systemd(state: str) -> None:
    """Tell systemd (Type=notify) about a change of state; see sd_notify(3)."""
    address = os.environ.get('NOTIFY_SOCKET')
    if not address:
        return
    if address.startswith('@'):
        address = '\0' + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(address)
            sock.send(state.encode())
        except OSError as error:
            LOG.warning('systemd could not be told %s: %s', state, error)


class _Worker:
    """Runs one daemon object in this process until a signal ends it."""

    def __init__(
        self,
        prog: str,
        conf: cfg.ConfigOpts,
        make: Make,
        transport: Callable[[cfg.ConfigOpts], messaging.Transport],
    ) -> None:
        self.prog, self.conf, self.make, self.transport = prog, conf, make, transport

    def run(self, ready: Callable[[], None]) -> int:
        wake, poke = _catch_signals()
        LOG.info('%s starts (%s)', self.prog, concurrency.backend())
        try:
            transport = self.transport(self.conf)
            daemon = self.make(self.conf, transport)
            # In the background: starting may wait for another daemon, and can be told to stop.
            starting = concurrency.spawn(daemon.start)
            starting.add_done_callback(lambda _: os.write(poke, STARTED))
            number = self._wait_started(wake)
            if number in ENDING and not starting.done():
                LOG.info('%s stops before it was ready', self.prog)
                return 0
            starting.result()
        except (exception.KilonovaError, cfg.Error) as error:
            LOG.critical('%s cannot start: %s', self.prog, error)
            return CANNOT_START
        ready()
        while number not in ENDING:
            if number == signal.SIGHUP:
                _reload(self.prog, self.conf, daemon)
            number = _next(wake)
        LOG.info('%s stops', self.prog)
        _notify_systemd('STOPPING=1')
        _guard_stop(self.prog, self.conf)
        daemon.stop()
        transport.cleanup()
        return 0

    def _wait_started(self, wake: int) -> int:
        """Return STARTED, or the signal that ends the wait; say now and then that it is one."""
        while True:
            if not select.select([wake], [], [], STILL_STARTING)[0]:
                LOG.warning(
                    '%s is not ready yet: message bus, database or conductor do not answer',
                    self.prog,
                )
            elif (number := _next(wake)) != signal.SIGHUP:  # the options have just been read
                return number


def _catch_signals() -> tuple[int, int]:
    """Let signals wake whoever reads the pipe that is returned; handlers could run anywhere."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    return read, write


def _next(wake: int) -> int:
    """Wait for one of SIGNALS, or for STARTED; one that ends the daemon goes before the others."""
    while True:
        select.select([wake], [], [])
        received = {*SIGNALS, *STARTED}.intersection(os.read(wake, 64))
        if received:
            # SIGTERM is 15, SIGINT 2, SIGHUP 1 and STARTED 0: a SIGHUP that comes in with it has
            # nothing to read again, as the options have just been read.
            return max(received - {signal.SIGHUP}, default=int(signal.SIGHUP))


def _reload(prog: str, conf: cfg.ConfigOpts, daemon: Daemon) -> None:
    try:
        conf.mutate_config_files()
    except cfg.Error as error:
        LOG.error('%s keeps its options: %s', prog, error)
        return
    hook = getattr(daemon, 'reload', None)
    if hook is not None:
        hook()
    LOG.info('%s has read its mutable options again', prog)


def _guard_stop(prog: str, conf: cfg.ConfigOpts) -> None:
    """End the process for good when stopping takes longer than it may."""
    limit = conf.graceful_shutdown_timeout
    if not limit:
        return

    def expire() -> None:
        time.sleep(limit)
        LOG.error('%s did not stop within %s s', prog, limit)
        os._exit(1)

    threading.Thread(target=expire, daemon=True).start()


class _Parent:
    """Forks the workers and keeps their number."""

    def __init__(self, worker: _Worker, count: int) -> None:
        self.worker, self.prog, self.count = worker, worker.prog, count
        self.children: dict[int, float] = {}
        self.ready: set[int] = set()
        self.told = False
        self.failures = 0
        self.stopping = False

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        for _ in range(self.count):
            self._fork()
        while self.children:
            received = signal.sigwaitinfo(BLOCKED)
            if received.si_signo == signal.SIGCHLD:
                self._reap()
            elif received.si_signo == READY:
                self._note_ready(received.si_pid)
            else:
                self._pass_on(received.si_signo)
        return 1 if self.failures >= RESPAWN_LIMIT else 0

    def _note_ready(self, pid: int) -> None:
        """Tell systemd once all workers have been ready at the same time."""
        self.ready.add(pid)
        if not self.told and self.ready.issuperset(self.children):
            self.told = True
            _notify_systemd('READY=1')

    def _pass_on(self, number: int) -> None:
        if number in ENDING and not self.stopping:
            self.stopping = True
            _notify_systemd('STOPPING=1')
        for pid in self.children:
            os.kill(pid, number)

    def _fork(self) -> None:
        pid = os.fork()
        if pid:
            self.children[pid] = time.monotonic()
            return
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
        # It is the parent that systemd knows.
        parent, os.environ['NOTIFY_SOCKET'] = os.getppid(), ''
        concurrency.after_fork()
        status = 2
        try:
            status = self.worker.run(lambda: os.kill(parent, READY))
        except BaseException:
            LOG.exception('A worker of %s failed', self.prog)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            age = time.monotonic() - self.children.pop(pid)
            if self.stopping:
                continue
            # Workers that die at once, over and over, are a broken set-up: give up, systemd tells.
            self.failures = self.failures + 1 if age < 10 else 1
            code = os.waitstatus_to_exitcode(status)
            if code == CANNOT_START and pid not in self.ready:
                self.failures = RESPAWN_LIMIT
            else:
                LOG.error('Worker %s of %s ended (%s)', pid, self.prog, code)
            if self.failures >= RESPAWN_LIMIT:
                self.stopping = True
                for other in self.children:
                    os.kill(other, signal.SIGTERM)
            else:
                self._fork()


class Heartbeat:
    """Reports that a daemon is alive, every ``report_interval`` seconds.

    ``report`` is a function without arguments; its failures are logged and it is called again.
    """

    def __init__(self, interval: float, report: Callable[[], Any]) -> None:
        self._interval, self._report = interval, report
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name='heartbeat')

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self._report()
            except Exception:  # a heartbeat must outlive whatever goes wrong with one report
                LOG.warning('The heartbeat could not be sent', exc_info=True)


def heartbeat_for(
    conf: cfg.ConfigOpts, conductor: Any, binary: str, topic: str, host: str | None = None
) -> Heartbeat:
    """Register a daemon at the conductor (waits until it answers) and return its heartbeat."""
    name = host or conf.host
    context = ctx.get_admin_context()
    while True:
        try:
            conductor.service_started(context, name, binary, topic, version.SERVICE_VERSION)
            break
        except exception.ServiceUnavailable:
            LOG.warning('%s waits for the conductor', binary)
            time.sleep(1)
    return Heartbeat(
        conf.report_interval,
        lambda: conductor.report_state(ctx.get_admin_context(), name, binary, []),
    )
