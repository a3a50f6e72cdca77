"""What happens on a host without being asked for."""

import heapq
import random
import threading
import time
from collections.abc import Callable

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

UNSPECIFIED = 60


class Periodic:
    """Runs jobs, each at its interval, one after the other in one thread.

    Intervals are Nova's: 0 means a minute, a negative one never.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, float, Callable[[], object]]] = []
        self._stopped = threading.Event()

    def add(self, interval: float, job: Callable[[], object]) -> None:
        """Have ``job`` called every ``interval`` seconds, the first time at a random moment."""
        if interval >= 0:
            interval = interval or UNSPECIFIED
            first = time.monotonic() + random.uniform(0.5, 1.0) * interval
            heapq.heappush(self._queue, (first, len(self._queue), interval, job))

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True, name='periodic').start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while self._queue:
            due, number, interval, job = self._queue[0]
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            try:
                job()
            except Exception:  # one that fails must not keep the others, or its next run, away
                LOG.warning('A periodic job failed: %s', job, exc_info=True)
            heapq.heapreplace(self._queue, (time.monotonic() + interval, number, interval, job))
