"""What runs on this host: one thing at a time for a server, in the order of arrival.

A cast of the conductor is a hint that may come twice.  ``start`` therefore drops what runs
or has run here already, and lets a newer attempt or a deletion cancel what it supersedes:
the older task sees it at its next step, undoes its work, and only then the newer begins.

What may have waited in the queue for long (see ``doubt.py``) begins only when it is still wanted.
"""

import collections
import contextlib
import threading
from collections.abc import Callable, Iterator

from oslo_log import log as logging

from kilonova.common import concurrency, exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.operation import Fence

LOG = logging.getLogger(__name__)

REMEMBERED = 4096
POLL = 1.0


class Abandoned(Exception):
    """The daemon ends: leave everything as it is, the next start takes it up."""


class Task:
    """One piece of work on one server."""

    def __init__(self, kind: str, uuid: str, fence: Fence | None, previous: 'Task | None') -> None:
        self.kind, self.uuid, self.fence = kind, uuid, fence
        self.done = threading.Event()
        self._previous = previous
        self._interrupted = threading.Event()
        self._abandoned = False

    def cancel(self) -> None:
        """Let the task find out at its next step that it is superseded."""
        self._interrupted.set()

    def abandon(self) -> None:
        """Let the task end at its next step without undoing anything."""
        self._abandoned = True
        self._interrupted.set()

    def check(self) -> None:
        """Raises Superseded or Abandoned when the task is not to go on."""
        if self._abandoned:
            raise Abandoned
        if self._interrupted.is_set():
            operation = self.fence.operation if self.fence else self.kind
            raise exception.Superseded(operation=operation, uuid=self.uuid)

    def sleep(self, seconds: float) -> None:
        """Wait, but not when the task is not to go on.  Raises as ``check``."""
        self._interrupted.wait(seconds)
        self.check()

    def wait_for_turn(self) -> None:
        """Wait until what came before on the same server is over."""
        if self._previous is not None:
            self._previous.done.wait()
            self._previous = None


class Operations:
    """All tasks of one host."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        """Work that is accepted before this is set waits for it."""
        self.stopping = threading.Event()
        self.is_doubtful: Callable[[], bool] = lambda: False
        """Whether what is accepted now may be out of date."""
        self.is_wanted: Callable[[RequestContext, Task], bool] = lambda context, task: True
        """Asked, in the background, about what may be out of date."""
        self._lock = threading.Lock()
        self._tasks: dict[str, list[Task]] = {}
        self._seen: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._idle = threading.Condition(self._lock)

    def start(
        self,
        context: RequestContext,
        kind: str,
        uuid: str,
        fence: Fence,
        work: Callable[[Task], object],
    ) -> Task | None:
        """Run ``work`` in the background; None: it is not wanted (any more)."""
        # A deletion is never taken back, so there is nothing to ask.
        doubtful = kind != 'delete' and (not self.ready.is_set() or self.is_doubtful())
        with self._lock:
            if self.stopping.is_set():
                LOG.info('%s of server %s is left for the next start', kind, uuid)
                return None
            if self._seen.get(fence.operation, -1) >= fence.attempt:
                LOG.info('%s of server %s came twice (%s)', kind, uuid, fence)
                return None
            self._remember(fence)
            for other in self._tasks.get(uuid, []):
                if kind == 'delete' or (other.fence and other.fence.operation == fence.operation):
                    other.cancel()
            task = self._append(kind, uuid, fence)
        concurrency.spawn(self._run, context, task, work, doubtful)
        return task

    @contextlib.contextmanager
    def hold(self, uuid: str, kind: str = 'housekeeping') -> Iterator[Task | None]:
        """Keep operations off a server for a moment; gives None when one is at work on it."""
        with self._lock:
            task = None if self._tasks.get(uuid) else self._append(kind, uuid, None)
        try:
            yield task
        finally:
            if task is not None:
                self._end(task)

    def is_busy(self, uuid: str) -> bool:
        """Return whether anything works on a server."""
        with self._lock:
            return uuid in self._tasks

    def running(self) -> list[str]:
        """Return the ids of all operations that this host works on."""
        with self._lock:
            fences = [task.fence for tasks in self._tasks.values() for task in tasks]
        return list(dict.fromkeys(fence.operation for fence in fences if fence))

    def drain(self, limit: float | None) -> bool:
        """Accept nothing more and wait until all is done; abandon what is not within ``limit``.

        What waits for a slot is abandoned at once.
        """
        self.stopping.set()
        with self._idle:
            if not self.ready.is_set():
                limit = 0  # nothing has begun
            if self._idle.wait_for(lambda: not self._tasks, limit):
                return True
            left = [task for tasks in self._tasks.values() for task in tasks]
            for task in left:
                LOG.warning('%s of server %s is left for the next start', task.kind, task.uuid)
                task.abandon()
            self.ready.set()
            self._idle.wait_for(lambda: not self._tasks, POLL)
        return False

    def _remember(self, fence: Fence) -> None:
        self._seen[fence.operation] = fence.attempt
        self._seen.move_to_end(fence.operation)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _append(self, kind: str, uuid: str, fence: Fence | None) -> Task:
        tasks = self._tasks.setdefault(uuid, [])
        task = Task(kind, uuid, fence, tasks[-1] if tasks else None)
        tasks.append(task)
        return task

    def _run(
        self,
        context: RequestContext,
        task: Task,
        work: Callable[[Task], object],
        doubtful: bool,
    ) -> None:
        context.update_store()  # for the request id in what is logged
        try:
            self.ready.wait()
            task.wait_for_turn()
            task.check()
            if doubtful and not self.is_wanted(context, task):
                task.cancel()
                task.check()
            work(task)
        except exception.Superseded as error:
            LOG.info('%s of server %s ends: %s', task.kind, task.uuid, error)
        except Abandoned:
            LOG.info('%s of server %s is left for the next start', task.kind, task.uuid)
        except Exception:
            # Nothing was reported; the conductor sends it again when the lease has run out.
            LOG.exception('%s of server %s failed unexpectedly', task.kind, task.uuid)
        finally:
            self._end(task)

    def _end(self, task: Task) -> None:
        with self._lock:
            tasks = self._tasks[task.uuid]
            tasks.remove(task)
            if not tasks:
                del self._tasks[task.uuid]
            if not self._tasks:
                self._idle.notify_all()
        task.done.set()


class Slots:
    """A limit on how many tasks do a thing at once."""

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count) if count else None

    @contextlib.contextmanager
    def take(
        self,
        task: Task,
        stopping: threading.Event,
        waiting: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Wait for a slot.  Raises Superseded, or Abandoned when the daemon begins to stop.

        ``waiting`` is called now and then meanwhile.
        """
        if self._free is None:
            yield
            return
        while not self._free.acquire(timeout=POLL):
            waiting()
            task.check()
            if stopping.is_set():
                raise Abandoned
        try:
            task.check()
            if stopping.is_set():
                raise Abandoned
            yield
        finally:
            self._free.release()
