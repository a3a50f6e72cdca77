"""The engine of durable operations.

An operation is a row, written in the transaction that accepted the request.  ``owner``
works on it until ``lease_until``; each conductor sweeps now and then for those whose
lease has run out and goes on with them from the recorded step:

* ``scheduling``: a conductor looks for a host.
* ``host``: a compute host works.  Its heartbeat prolongs the lease, its report ends the step.
* ``local``: a conductor does what a host that is gone cannot.
* ``release``: the operation has ended, but something may still be held in placement.

Taking over raises ``attempt``, in the operation and in the server's fence, so whatever an
earlier owner does then changes nothing.  Messages are hints: one that is lost is sent
again when the lease runs out.
"""

import contextlib
import os
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import oslo_messaging as messaging
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import concurrency, exception, volumes
from kilonova.common.objects.server import Server
from kilonova.conductor.interfaces.reports import HEARTBEAT_TIMEOUT
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import sizes
from kilonova.db import block_devices, hosts, operations, servers, types
from kilonova.db.engine import retry
from kilonova.db.operations import Operation

LOG = logging.getLogger(__name__)

BATCH = 50
LONGEST_PAUSE = 60
LONGEST_PATIENT_PAUSE = 900
SELECT_TIMEOUT = 120
"""How long the scheduler may take; a claim of a lost request may arrive until then."""


class Task(Protocol):
    """One kind of operation; ``resume`` and ``give_up`` get one whose lease is ours."""

    def resume(self, operation: Operation) -> None:
        """Go on from ``operation.step``.  Raises ServiceUnavailable: to be tried again later."""

    def give_up(self, operation: Operation, reason: str) -> None:
        """End it: all attempts have failed."""


class Engine:
    """Runs operations in the background, keeps their leases, takes over those of the dead."""

    def __init__(
        self, parts: Parts, spawn: Callable[..., Any] = concurrency.spawn, worker: str | None = None
    ) -> None:
        self.parts = parts
        self.worker = worker or f'{parts.conf.host}:{os.getpid()}:{uuid.uuid4().hex[:8]}'
        self.tasks: dict[str, Task] = {}
        self.patient: set[str] = set()
        """Actions that nothing but success should end: tried for ``patience`` seconds."""
        self.chores: list[Callable[[], object]] = []
        """What else is done now and then: about once a lease."""
        self.superseding: list[Callable[[Session, Server], None]] = []
        """Who is told, in the same transaction, that a server's operation is ended by another."""
        self._spawn = spawn
        self._slots = threading.BoundedSemaphore(parts.conf.operations.concurrency)
        self._working: set[str] = set()
        self._idle = threading.Condition()
        self._wake = threading.Event()
        self._stopping = False
        self._listening_since = types.utcnow()

    # -- running

    def run(self, ids: Sequence[str], function: Callable[..., object], *args: Any) -> None:
        """Run ``function`` in the background; meanwhile our leases on ``ids`` are prolonged."""
        with self._idle:
            if self._stopping:
                return  # what we own is handed over
            self._working.update(ids)
        self._spawn(self._run, ids, function, args)

    @contextlib.contextmanager
    def keeping(self, operation_id: str) -> Iterator[None]:
        """Keep the lease on an operation that is worked on while somebody waits."""
        with self._idle:
            self._working.add(operation_id)
        try:
            yield
        finally:
            with self._idle:
                self._working.discard(operation_id)
                self._idle.notify_all()

    def _run(
        self, ids: Sequence[str], function: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        try:
            with self._slots:
                function(*args)
        except Exception as error:
            LOG.exception('Operation %s failed; it will be tried again', ', '.join(ids))
            self._put_down_all(ids, f'{type(error).__name__}: {error}')
        finally:
            with self._idle:
                self._working.difference_update(ids)
                self._idle.notify_all()

    def _put_down_all(self, ids: Sequence[str], reason: str) -> None:
        for one in ids:
            try:
                with self.parts.cell_db.reader() as session:
                    operation = operations.get(session, one)
                if operation is not None and operation.owner == self.worker:
                    self.put_down(operation, reason)
            except Exception:  # the lease runs out, that is as good
                LOG.exception('Operation %s could not be put down', one)

    @retry
    def put_down(self, operation: Operation, reason: str, failure: str | None = None) -> None:
        """Try again after a pause, or end the operation when there were too many attempts.

        ``failure``: the details of a host that has tried, for the event of this attempt.
        """
        if operation.state == operations.RUNNING and self._is_over(operation, operation.tries):
            self.tasks[operation.action].give_up(operation, reason)
            return
        pause = self._pause(operation, operation.tries)
        LOG.warning(
            '%s of server %s waits %s s: %s',
            operation.action,
            operation.instance_uuid,
            pause,
            reason,
        )
        with self.parts.cell_db.transaction() as session:
            moved = operations.move(
                session, operation, owner=None, lease_until=self.parts.later(pause), message=reason
            )
            if moved and failure is not None:
                operations.finish_events(session, operation.id, 'Error', failure)

    def _is_over(self, operation: Operation, attempts: int) -> bool:
        """Tell whether a phase was tried often enough, and a patient action also long enough."""
        conf = self.parts.conf.operations
        if attempts < conf.max_attempts:
            return False
        age = (types.utcnow() - operation.started_at).total_seconds()
        return operation.action not in self.patient or age >= conf.patience

    def _pause(self, operation: Operation, tries: int) -> float:
        longest = LONGEST_PATIENT_PAUSE if operation.action in self.patient else LONGEST_PAUSE
        interval: float = self.parts.conf.operations.sweep_interval
        return min(interval * 2 ** min(tries, 10), longest)

    @retry
    def drop(self, operation: Operation) -> None:
        """End an operation whose server is gone or is worked on by another one."""
        LOG.warning('%s of server %s has nothing to do', operation.action, operation.instance_uuid)
        with self.parts.cell_db.transaction() as session:
            operations.move(
                session,
                operation,
                state=operations.SUPERSEDED,
                owner=None,
                lease_until=None,
                payload='',
                finished_at=types.utcnow(),
            )

    def supersede(self, session: Session, server: Server) -> None:
        """End a server's operation in favour of another; a late claim of it is given back."""
        assert server.operation is not None
        late = self.parts.conf.operations.lease + SELECT_TIMEOUT
        operations.supersede(session, server.operation, self.parts.later(late))
        for tell in self.superseding:
            tell(session, server)

    def hint(self, what: str, cast: Callable[..., None], *args: Any) -> None:
        """Send a message in the background that nobody misses when it is lost."""
        self._spawn(self._hint, what, cast, args)

    def _hint(self, what: str, cast: Callable[..., None], args: tuple[Any, ...]) -> None:
        try:
            cast(*args)
        except (exception.ServiceUnavailable, messaging.MessagingException, OSError) as error:
            LOG.warning('%s was not sent: %s', what, error)

    def send(self, operation: Operation, cast: Callable[..., None], *args: Any) -> None:
        """Send a message to a host in the background: a bus that is down holds up nobody."""
        self._spawn(self._send, operation, cast, args)

    def _send(self, operation: Operation, cast: Callable[..., None], args: tuple[Any, ...]) -> None:
        try:
            cast(*args)
        except (exception.ServiceUnavailable, messaging.MessagingException, OSError) as error:
            pause = self._pause(operation, operation.tries - 1)
            LOG.warning(
                '%s of server %s was not sent, it will be sent again in %s s: %s',
                operation.action,
                operation.instance_uuid,
                pause,
                error,
            )
            self._send_again(operation, pause)

    @retry
    def _send_again(self, operation: Operation, pause: float) -> None:
        """Shorten the lease of the host that was not reached; it stays the owner."""
        with self.parts.cell_db.transaction() as session:
            operations.move(session, operation, lease_until=self.parts.later(pause))

    # -- leases

    def sweep(self) -> int:
        """Take over what has been left; returns how many operations."""
        found = self._find()
        random.shuffle(found)  # several conductors sweep
        taken = [one for one in map(self._take, found) if one is not None]
        for operation in taken:
            self.run([operation.id], self._resume, operation)
        return len(taken)

    def _find(self) -> list[Operation]:
        with self.parts.cell_db.reader() as session:
            found = operations.expired(session, self.tasks, BATCH)
            at_hosts = any((one.owner or '').startswith(operations.COMPUTE) for one in found)
            if at_hosts and not self._hears_hosts(session):
                found = operations.expired(session, self.tasks, BATCH, of_hosts=False)
        return found

    def _hears_hosts(self, session: Session) -> bool:
        """Tell whether a host that does not report is at fault, and not what is between us.

        While no conductor ran, or the message bus was down, no host could prolong its leases.
        Afterwards each gets the time of a heartbeat that is lost, and of the next.
        """
        conf, now = self.parts.conf, types.utcnow()
        if not hosts.any_heard(session, min(conf.report_interval * 2, conf.service_down_time)):
            self._listening_since = now
        listening = (now - self._listening_since).total_seconds()
        return listening >= conf.report_interval * 1.5 + HEARTBEAT_TIMEOUT

    @retry
    def _take(self, operation: Operation) -> Operation | None:
        if self._stopping:
            return None
        with self.parts.cell_db.transaction() as session:
            return operations.take(session, operation, self.worker, self.parts.lease())

    def _resume(self, operation: Operation) -> None:
        task = self.tasks[operation.action]
        try:
            if operation.state != operations.RUNNING:
                self._release(operation)
            elif self._is_over(operation, operation.tries - 1):
                task.give_up(operation, operation.message or 'it was tried too often')
            else:
                task.resume(operation)
        except exception.ServiceUnavailable as error:
            self.put_down(operation, error.message)

    @retry
    def renew(self) -> None:
        """Prolong the leases of what runs here."""
        with self._idle:
            working = set(self._working)
        if working:
            with self.parts.cell_db.transaction() as session:
                operations.prolong(session, self.worker, working, self.parts.lease())

    @retry
    def report_host(self, host: str, ids: Sequence[str]) -> None:
        """A compute host says which operations it works on."""
        if ids:
            with self.parts.cell_db.transaction() as session:
                operations.prolong(session, operations.COMPUTE + host, ids, self.parts.lease())

    @retry
    def restart_host(self, host: str) -> None:
        """A compute host has started anew: what it worked on is sent to it again."""
        with self.parts.cell_db.transaction() as session:
            operations.hand_over(session, operations.COMPUTE + host)
        self.wake()

    def wake(self) -> None:
        """Sweep now: something does not want to wait."""
        self._wake.set()

    # -- what ended operations may have left in placement and Cinder

    def release(self, operation_id: str, server_uuid: str, again: bool = False) -> None:
        """Give back what an ended operation may hold; what fails is done by the sweep.

        ``again``: a late claim may still arrive, so the sweep shall look once more.
        """
        try:
            self._give_back(server_uuid)
        except exception.KilonovaError as error:
            LOG.warning('What server %s holds stays for now: %s', server_uuid, error)
            return
        if not again:
            self._released(operation_id)

    def _give_back(self, server_uuid: str) -> None:
        self.parts.placement.delete_allocations(server_uuid)
        sizes.set_aside(self.parts, server_uuid)
        with self.parts.cell_db.reader() as session:
            devices = block_devices.of_server(session, server_uuid)
        if any(device.is_volume for device in devices):
            volumes.release(self.parts.volumes(None), server_uuid, devices)

    @retry
    def _released(self, operation_id: str) -> None:
        with self.parts.cell_db.transaction() as session:
            operations.update(session, operation_id, lease_until=None)

    @retry
    def _release(self, operation: Operation) -> None:
        with self.parts.cell_db.reader() as session:
            held = servers.is_held(session, operation.instance_uuid)
        if held:
            # A guest may still run there; who deletes the server asks for the release, too.
            with self.parts.cell_db.transaction() as session:
                operations.move(session, operation, owner=None, lease_until=self.parts.lease())
            return
        self._give_back(operation.instance_uuid)
        with self.parts.cell_db.transaction() as session:
            operations.move(session, operation, owner=None, lease_until=None)

    # -- life

    def start(self) -> None:
        """Begin to sweep."""
        self._listening_since = types.utcnow()
        concurrency.spawn(self._loop)

    def _loop(self) -> None:
        conf = self.parts.conf.operations
        since_renewal = since_chores = 0.0
        while not self._stopping:
            pause = random.uniform(0.5, 1.0) * conf.sweep_interval
            self._wake.wait(pause)
            self._wake.clear()
            since_renewal, since_chores = since_renewal + pause, since_chores + pause
            try:
                if since_renewal > conf.lease / 4:
                    since_renewal = 0.0
                    self.renew()
                self.sweep()
                if since_chores > conf.lease:
                    since_chores = 0.0
                    for chore in self.chores:
                        chore()
            except Exception:  # the database may be away; the sweep must outlive that
                LOG.exception('The sweep failed')

    def stop(self, timeout: float | None = None) -> None:
        """Finish what runs, within ``timeout`` seconds, and hand over the rest."""
        self._stopping = True
        self._wake.set()
        with self._idle:
            self._idle.wait_for(lambda: not self._working, timeout)
        with self.parts.cell_db.transaction() as session:
            count = operations.hand_over(session, self.worker)
        if count:
            LOG.info('%d operations were handed over', count)
