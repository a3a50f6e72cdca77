"""Hints about servers, gathered for a moment and then worked on together."""

import threading
from collections.abc import Callable

from oslo_log import log as logging

from kilonova.compute.operations import Operations

LOG = logging.getLogger(__name__)

WINDOW = 1.0


class Collector:
    """Calls ``work`` with the servers that were hinted at, once nothing runs for them.

    Several hints about one server within ``window`` seconds are one.
    """

    def __init__(
        self,
        name: str,
        operations: Operations,
        work: Callable[[list[str]], None],
        window: float = WINDOW,
    ) -> None:
        self._name, self._operations, self._work, self._window = name, operations, work, window
        self._lock = threading.Lock()
        self._hinted: dict[str, None] = {}
        self._wake = threading.Event()
        self._stopped = threading.Event()

    def hint(self, uuid: str) -> None:
        """Have a server looked at soon."""
        with self._lock:
            self._hinted[uuid] = None
        self._wake.set()

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True, name=self._name).start()

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._stopped.wait(self._window):
                return
            uuids = self._take()
            if not uuids:
                continue
            try:
                self._work(uuids)
            except Exception:  # the next hint or the periodic look gets another chance
                LOG.warning('%s failed for %s', self._name, uuids, exc_info=True)

    def _take(self) -> list[str]:
        """Return what can be worked on; keep the rest and look again after the next window."""
        with self._lock:
            free = [uuid for uuid in self._hinted if not self._operations.is_busy(uuid)]
            for uuid in free:
                del self._hinted[uuid]
            if not self._hinted:
                self._wake.clear()
        return free
