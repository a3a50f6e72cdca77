"""The only module that knows about eventlet.

``choose`` must run before anything else of the daemon is imported: with eventlet the
standard library is made cooperative here, once a process.
"""

import collections
import os
import queue
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

# Several oslo libraries import eventlet whatever the backend; an operator has no use for the banner.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

_backend = 'threading'
# What auto means for each daemon.  Measured (see the architecture document): an empty call over
# RabbitMQ costs 1.8 ms of CPU under eventlet and 2.5 to 3.1 ms under threading.
AUTO = 'eventlet'
CHOICES = ('auto', 'eventlet', 'threading')


def configured(argv: list[str]) -> str:
    """Read ``concurrency_backend`` from the configuration files that ``argv`` names.

    A throw-away parser is used: the real one may import what must not be imported
    before the choice is made.
    """
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt('concurrency_backend', default='auto')])
    keep, take = [], iter(argv)
    for word in take:
        if word in ('--config-file', '--config-dir'):
            keep += [word, next(take, '')]
        elif word.startswith(('--config-file=', '--config-dir=')):
            keep.append(word)
    try:
        conf(keep, project='nova', prog='nova')
    except cfg.Error:
        return 'auto'  # the real parser will report it
    value = conf.concurrency_backend
    return value if value in CHOICES else 'auto'


def choose(backend: str) -> str:
    """Set the process up for 'eventlet', 'threading' or 'auto'; return the choice."""
    global _backend
    chosen = AUTO if backend == 'auto' else backend
    if chosen == 'eventlet':
        os.environ.setdefault('EVENTLET_NO_GREENDNS', 'yes')
        import eventlet

        eventlet.monkey_patch()
        import oslo_messaging  # noqa: F401  (imports after the patch, as it decides by it)
    elif chosen != 'threading':
        raise ValueError(f'concurrency_backend must be auto, eventlet or threading, not {backend}')
    _backend = chosen
    return chosen


def after_fork() -> None:
    """Give a forked worker an event loop of its own, not its parent's descriptors."""
    if _backend == 'eventlet':
        import eventlet.hubs

        eventlet.hubs.use_hub()


def backend() -> str:
    """Return 'eventlet' or 'threading'."""
    return _backend


def rpc_executor() -> str:
    """Return the executor's name for oslo.messaging servers."""
    return _backend


def spawn(function: Callable[..., Any], *args: Any, **kwargs: Any) -> 'Future[Any]':
    """Run in the background; the returned future has the result or the error."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    # Under eventlet Thread is a greenthread; a daemon thread does not hold up the exit.
    threading.Thread(target=run, daemon=True).start()
    return future


def in_native_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a blocking C call (libvirt) so that the rest of the process goes on."""
    if _backend == 'eventlet':
        import eventlet.tpool

        return eventlet.tpool.execute(function, *args, **kwargs)
    return function(*args, **kwargs)


def start_native_thread(function: Callable[[], None], name: str) -> None:
    """Run a C library's event loop beside everything else, as a daemon thread of the system.

    It must not touch locks, queues or sockets that greenthreads use: a Mailbox is for that.
    """
    native: Any = threading
    if _backend == 'eventlet':
        import eventlet.patcher

        native = eventlet.patcher.original('threading')
    native.Thread(target=function, name=name, daemon=True).start()


class Mailbox:
    """Hands things from a native thread to a greenthread (or to another thread)."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._green = _backend == 'eventlet'
        if self._green:
            import eventlet.patcher

            self._letters: collections.deque[Any] = collections.deque()
            self._native_os: Any = eventlet.patcher.original('os')
            self._reader, self._writer = os.pipe()
            # A green read waits in the hub only where a plain read would not block.
            os.set_blocking(self._reader, False)

    def put(self, letter: Any) -> None:
        """Called from any thread."""
        if not self._green:
            self._queue.put(letter)
            return
        self._letters.append(letter)
        self._native_os.write(self._writer, b'.')

    def get(self) -> Any:
        """Wait for the next thing; called from one greenthread or thread."""
        if not self._green:
            return self._queue.get()
        os.read(self._reader, 1)
        return self._letters.popleft()
