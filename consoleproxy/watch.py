"""Looks after the servers whose consoles are open, and says why a console has ended.

A guest that is stopped, deleted or moved takes its connections with it, which is seen at once.
What is looked for now and then is what nobody sees: a host that has been given up, and whose guest
goes on.
"""

import contextlib
import datetime
import threading
from collections import defaultdict
from collections.abc import Iterator

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import concurrency, exception
from kilonova.common.context import get_admin_context
from kilonova.common.objects.console import ConsoleAccess
from kilonova.common.objects.server import Server
from kilonova.conductor.interface import ConductorInterface
from kilonova.consoleproxy.session import NORMAL, POLICY, End, Session

LOG = logging.getLogger(__name__)

DELETED = End(NORMAL, 'The server has been deleted.')
MOVED = End(NORMAL, 'The server has moved to another host; open its console again.')
EXPIRED = End(POLICY, 'The time for this console is over.')
CLOSED = End(NORMAL, 'The hypervisor has closed the console.')
STOPPED = End(NORMAL, 'The server has been stopped.')
RESTARTED = End(NORMAL, 'The server is restarting; open its console again.')

_BY_TASK = {
    'deleting': DELETED,
    'soft-deleting': DELETED,
    'migrating': MOVED,
    'resize_migrating': MOVED,
    'resize_migrated': MOVED,
    'powering-off': STOPPED,
    'suspending': STOPPED,
    'shelving': STOPPED,
    'shelving_offloading': STOPPED,
    'reboot_started': RESTARTED,
    'reboot_started_hard': RESTARTED,
    'rebooting': RESTARTED,
    'rebooting_hard': RESTARTED,
    'rebuilding': RESTARTED,
    'rescuing': RESTARTED,
    'unrescuing': RESTARTED,
}
_BY_STATE = {
    'soft-delete': DELETED,
    'stopped': STOPPED,
    'suspended': STOPPED,
    'shelved': STOPPED,
    'shelved_offloaded': STOPPED,
}


class Watch:
    """Over all sessions of one proxy."""

    def __init__(self, conf: cfg.ConfigOpts, conductor: ConductorInterface) -> None:
        self._conf, self._conductor = conf, conductor
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._stopped = threading.Event()

    def start(self) -> None:
        concurrency.spawn(self._run)

    def stop(self, end: End) -> None:
        """End all sessions."""
        self._stopped.set()
        for session in self._open():
            session.end(end)

    @contextlib.contextmanager
    def over(self, session: Session) -> Iterator[None]:
        with self._lock:
            self._sessions.add(session)
        try:
            yield
        finally:
            with self._lock:
                self._sessions.discard(session)

    def why(self, access: ConsoleAccess) -> End:
        """Return why a hypervisor may have closed a console."""
        try:
            return self._look(access) or CLOSED
        except exception.KilonovaError as error:
            LOG.warning('Nobody says why a console has ended: %s', error)
            return CLOSED

    def _open(self) -> list[Session]:
        with self._lock:
            return list(self._sessions)

    def _run(self) -> None:
        while not self._stopped.wait(self._pause()):
            try:
                self.look()
            except exception.KilonovaError as error:
                LOG.warning('Open consoles cannot be looked after: %s', error)
            except Exception:  # this loop must outlive whatever goes wrong with one look
                LOG.exception('Unexpected error while open consoles were looked after')

    def _pause(self) -> float:
        """Return the seconds until the next look, which is due when a session's time is over."""
        times = [_left(session.access) for session in self._open()] if self._is_enforced else []
        return max(0.1, min([self._conf.console.check_interval, *times]))

    @property
    def _is_enforced(self) -> bool:
        return bool(self._conf.consoleauth.enforce_session_timeout)

    def look(self) -> None:
        """End the sessions whose server or time is gone: one question a server."""
        by_server: dict[str, list[Session]] = defaultdict(list)
        for session in self._open():
            if self._is_enforced and _left(session.access) <= 0:
                session.end(EXPIRED)
            else:
                by_server[session.access.instance_uuid].append(session)
        for uuid, sessions in by_server.items():
            server = self._server(uuid)
            for session in sessions:
                if end := _end_for_good(session.access, server):
                    session.end(end)

    def _look(self, access: ConsoleAccess) -> End | None:
        server = self._server(access.instance_uuid)
        if end := _end_for_good(access, server):
            return end
        return _BY_TASK.get(server.task_state or '') if server else None

    def _server(self, uuid: str) -> Server | None:
        try:
            return self._conductor.get_server(get_admin_context(), uuid)
        except exception.InstanceNotFound:
            return None


def _end_for_good(access: ConsoleAccess, server: Server | None) -> End | None:
    """Return the end of a console that does not come back, in whatever the server is now."""
    if server is None:
        return DELETED
    if access.compute_host is not None and server.host not in (None, access.compute_host):
        return MOVED
    return _BY_STATE.get(server.vm_state) if server.task_state is None else None


def _left(access: ConsoleAccess) -> float:
    """Return the seconds until a token expires."""
    if access.expires_at is None:
        return float('inf')
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return (access.expires_at - now).total_seconds()
