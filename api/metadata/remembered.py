"""What the metadata API keeps for a moment of the servers that ask.

A guest asks some twenty things while it boots, and any of several processes may be asked.  What one
of them has learned is there for all: with ``[cache]enabled`` in what oslo.cache is told to use,
else in files of this machine; a single process keeps it in its memory.
"""

import contextlib
import fcntl
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from oslo_cache import core as oslo_cache
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common.service import cpu_count

LOG = logging.getLogger(__name__)

FOLDER = 'metadata-cache'
MOST = 5000
"""Servers in memory, some 5 KB each."""
_PAUSE, _PATIENCE = 0.01, 30.0
"""Seconds between two looks whether another process has learned it, and until we ask ourselves."""


class Store(Protocol):
    """Bytes by key, forgotten after a while.  Any thread may call."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, data: bytes) -> None: ...

    def drop(self, key: str) -> None: ...

    def alone(self, key: str) -> AbstractContextManager[None]:
        """Keep other processes from learning the same at the same time, if that can be done."""
        ...


def store(conf: cfg.ConfigOpts) -> Store:
    seconds: int = conf.api.metadata_cache_expiration
    oslo_cache.configure(conf)
    if conf.cache.enabled:
        return Shared(conf, seconds)
    if seconds and (conf.metadata_workers or cpu_count()) > 1:
        folder = os.path.join(conf.state_path, FOLDER)
        try:
            return Files(folder, seconds)
        except OSError as error:
            LOG.warning('Each process remembers metadata for itself: %s', error)
    return Memory(seconds)


class Memory:
    """That of one process."""

    def __init__(self, seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._known: dict[str, tuple[float, bytes]] = {}

    def get(self, key: str) -> bytes | None:
        known = self._known.get(key)
        return known[1] if known is not None and known[0] > self._clock() else None

    def put(self, key: str, data: bytes) -> None:
        now = self._clock()
        if len(self._known) >= MOST:
            fresh = {k: v for k, v in list(self._known.items()) if v[0] > now}
            self._known = fresh if len(fresh) < MOST else {}
        if self._seconds:
            self._known[key] = (now + self._seconds, data)

    def drop(self, key: str) -> None:
        self._known.pop(key, None)

    def alone(self, key: str) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


class Files:
    """One file a server, for the processes of one machine and user."""

    def __init__(self, folder: str, seconds: int, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._seconds, self._clock = folder, seconds, clock
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # User data may hold secrets.
        os.chmod(folder, 0o700)
        self._locks = os.open(os.path.join(folder, '.locks'), os.O_RDWR | os.O_CREAT, 0o600)
        self._swept = 0.0

    def get(self, key: str) -> bytes | None:
        try:
            with open(self._path(key), 'rb') as file:
                is_fresh = self._is_fresh(os.fstat(file.fileno()).st_mtime)
                return file.read() if is_fresh else None
        except FileNotFoundError:
            return None

    def put(self, key: str, data: bytes) -> None:
        try:
            self._write(key, data)
            self._sweep()
        except OSError as error:
            LOG.warning('Metadata cannot be remembered: %s', error)

    def drop(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(key))

    @contextlib.contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Lock the key's byte; the process that has died, or takes too long, is not waited for."""
        place = zlib.crc32(key.encode())
        deadline = time.monotonic() + _PATIENCE
        is_locked = False
        while not is_locked and time.monotonic() < deadline:
            try:
                fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                is_locked = True
            except BlockingIOError:
                time.sleep(_PAUSE)
        try:
            yield
        finally:
            if is_locked:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, place)

    def _path(self, key: str) -> str:
        return os.path.join(self._folder, key)

    def _is_fresh(self, modified: float) -> bool:
        return 0 <= self._clock() - modified < self._seconds

    def _write(self, key: str, data: bytes) -> None:
        descriptor, path = tempfile.mkstemp(prefix='.new-', dir=self._folder)
        with open(descriptor, 'wb') as file:
            file.write(data)
        now = self._clock()
        os.utime(path, (now, now))
        os.rename(path, self._path(key))

    def _sweep(self) -> None:
        """Remove what nobody wants any more, once in a while."""
        now = self._clock()
        if 0 <= now - self._swept < max(self._seconds, 1):
            return
        self._swept = now
        for entry in os.scandir(self._folder):
            with contextlib.suppress(FileNotFoundError):
                old = now - entry.stat().st_mtime > self._seconds + _PATIENCE
                if old and entry.name != '.locks':
                    os.unlink(entry.path)


class Shared:
    """What oslo.cache uses: memcached, as a rule.  One that is away costs a call, no answer."""

    def __init__(self, conf: cfg.ConfigOpts, seconds: int) -> None:
        self._seconds = seconds
        self._region = oslo_cache.create_region()
        oslo_cache.configure_cache_region(conf, self._region)

    def get(self, key: str) -> bytes | None:
        found = self._try('read', lambda: self._region.get(_name(key), self._seconds))
        return found if isinstance(found, bytes) else None

    def put(self, key: str, data: bytes) -> None:
        if self._seconds:
            self._try('written', lambda: self._region.set(_name(key), data))

    def drop(self, key: str) -> None:
        self._try('written', lambda: self._region.delete(_name(key)))

    def alone(self, key: str) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    @staticmethod
    def _try(what: str, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Exception as error:  # each back end has errors of its own
            LOG.warning('The cache cannot be %s: %s', what, error)
            return None


def _name(key: str) -> str:
    return f'kilonova-metadata-{key}'
