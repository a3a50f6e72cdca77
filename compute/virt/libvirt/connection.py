"""The connection to libvirt, and the only place that imports its library.

libvirt's calls block in C, so each goes through a native thread: ``call`` takes a function
of the connection and may do several calls in it.  That function must not log, lock or
touch anything green.  Events come in a native thread of their own, which runs libvirt's
event loop for the whole process, and are handed over through a mailbox.
"""

import threading
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from oslo_log import log as logging

from kilonova.common import concurrency, exception
from kilonova.compute.virt.driver import Events

LOG = logging.getLogger(__name__)
T = TypeVar('T')

DEFAULT_URI = 'qemu:///system'
# A libvirtd that hangs is given up after this many seconds.
KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 5, 6


class HypervisorError(exception.VirtDriverError):
    """libvirt refused or failed; ``number`` is its error code."""

    msg = 'libvirt: %(reason)s'

    def __init__(self, message: str | None = None, number: int = 0, **kwargs: object) -> None:
        super().__init__(message, **kwargs)
        self.number = number


def library() -> Any:
    """Return libvirt's module; imported when it is needed, as other drivers live without."""
    import libvirt

    return libvirt


class _EventLoop:
    """libvirt's event loop: one a process, started by the first connection."""

    _started = False
    _lock = threading.Lock()

    @classmethod
    def start(cls) -> None:
        with cls._lock:
            if cls._started:
                return
            lib = library()
            # Without this every error is also printed on stderr.
            lib.registerErrorHandler(lambda _context, _error: None, None)
            lib.virEventRegisterDefaultImpl()
            concurrency.start_native_thread(cls._run, 'libvirt-events')
            cls._started = True

    @staticmethod
    def _run() -> None:
        lib = library()
        while True:
            lib.virEventRunDefaultImpl()


class Connection:
    """One connection, opened when it is needed and again after it was lost."""

    def __init__(self, uri: str = '') -> None:
        self.uri = uri or DEFAULT_URI
        self._lock = threading.Lock()
        self._connection: Any = None
        self._lost = self._closed = False
        self._mailbox: concurrency.Mailbox | None = None
        self.on_failure: Callable[[Exception], None] | None = None
        """Told each time that it cannot be opened; must return at once."""

    def call(self, function: Callable[[Any], T]) -> T:
        """Run ``function(connection)`` in a native thread.  Raises HypervisorError."""
        lib = library()
        connection = self._get()
        try:
            result: T = concurrency.in_native_thread(function, connection)
            return result
        except lib.libvirtError as error:
            if _says_lost(error):
                self._lost = True
            raise _translated(error) from error

    def watch(self, deliver: Callable[[str, Events], None]) -> None:
        """Call ``deliver`` for each change of a domain, in a thread (green, maybe) of its own.

        To be called once.
        """
        self._mailbox = concurrency.Mailbox()
        concurrency.spawn(self._forward, self._mailbox, deliver)
        with self._lock:
            if self._connection is not None:
                self._listen(self._connection)

    def close(self) -> None:
        """Let go of the connection for good."""
        with self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
        if self._mailbox is not None:
            self._mailbox.put(None)
        if connection is not None:
            _close(connection)

    def _get(self) -> Any:
        with self._lock:
            if self._closed:
                raise HypervisorError(reason='the driver was closed')
            if self._connection is not None and not self._lost:
                return self._connection
            if self._connection is not None:
                LOG.warning('The connection to libvirt (%s) was lost', self.uri)
                _close(self._connection)
                self._connection = None
            self._connection = self._open()
            self._lost = False
            return self._connection

    def _open(self) -> Any:
        lib = library()
        _EventLoop.start()
        try:
            connection = concurrency.in_native_thread(lib.open, self.uri)
            connection.setKeepAlive(KEEPALIVE_INTERVAL, KEEPALIVE_COUNT)
            connection.registerCloseCallback(self._on_close, None)
        except lib.libvirtError as error:
            self._raise_failure(error)
        LOG.info('Connected to libvirt at %s', self.uri)
        if self._mailbox is not None:
            self._listen(connection)
        return connection

    def _raise_failure(self, cause: Exception) -> NoReturn:
        try:
            raise _translated(cause) from cause
        except HypervisorError as error:
            if self.on_failure is not None:
                self.on_failure(error)
            raise

    def _listen(self, connection: Any) -> None:
        lib = library()
        lifecycle = lib.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        concurrency.in_native_thread(
            connection.domainEventRegisterAny, None, lifecycle, self._on_lifecycle, None
        )

    def _on_close(self, connection: Any, _reason: int, _opaque: Any) -> None:
        """Runs in libvirt's thread: only remember it."""
        if connection is self._connection:
            self._lost = True

    def _on_lifecycle(
        self, _connection: Any, domain: Any, event: int, _detail: int, _opaque: Any
    ) -> None:
        """Runs in libvirt's thread: only post it."""
        if self._mailbox is not None:
            self._mailbox.put((domain.UUIDString(), event))

    @staticmethod
    def _forward(mailbox: concurrency.Mailbox, deliver: Callable[[str, Events], None]) -> None:
        names = lifecycle_names()
        while (letter := mailbox.get()) is not None:
            uuid, number = letter
            event = names.get(number)
            if event is None:
                continue
            try:
                deliver(uuid, event)
            except Exception:
                LOG.exception('Handling %s of guest %s failed', event.value, uuid)


def lifecycle_names() -> dict[int, Events]:
    """Map libvirt's lifecycle events to ours; the others mean nothing to the manager."""
    lib = library()
    return {
        lib.VIR_DOMAIN_EVENT_STARTED: Events.STARTED,
        lib.VIR_DOMAIN_EVENT_STOPPED: Events.STOPPED,
        lib.VIR_DOMAIN_EVENT_SUSPENDED: Events.PAUSED,
        lib.VIR_DOMAIN_EVENT_RESUMED: Events.RESUMED,
        lib.VIR_DOMAIN_EVENT_PMSUSPENDED: Events.SUSPENDED,
        lib.VIR_DOMAIN_EVENT_UNDEFINED: Events.REMOVED,
    }


def _close(connection: Any) -> None:
    lib = library()
    try:
        concurrency.in_native_thread(connection.close)
    except lib.libvirtError as error:
        LOG.debug('Closing a lost connection: %s', error)


def _says_lost(error: Any) -> bool:
    lib = library()
    number = error.get_error_code()
    transport = error.get_error_domain() in (lib.VIR_FROM_REMOTE, lib.VIR_FROM_RPC)
    broken = (lib.VIR_ERR_SYSTEM_ERROR, lib.VIR_ERR_INTERNAL_ERROR, lib.VIR_ERR_RPC)
    return number == lib.VIR_ERR_INVALID_CONN or (transport and number in broken)


def _translated(error: Any) -> HypervisorError:
    return HypervisorError(number=error.get_error_code(), reason=error.get_error_message())
