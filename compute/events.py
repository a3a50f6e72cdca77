"""Events that Neutron sends about ports: waited for by builds, or a reason to look again."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.operation import ExternalEvent

if TYPE_CHECKING:
    from kilonova.compute.network_refresh import NetworkRefresh
    from kilonova.compute.operations import Task

LOG = logging.getLogger(__name__)

AWAITED = ('network-vif-plugged', 'volume-reimaged')
LOOK_AGAIN = ('network-changed', 'network-vif-deleted')
POLL = 1.0


class Expectation:
    """The plug events of one server, from before its ports are touched."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self._changed = threading.Condition()
        self._statuses: dict[str, str] = {}

    def put(self, port_id: str, status: str) -> None:
        with self._changed:
            self._statuses[port_id] = status
            self._changed.notify_all()

    def wait(
        self,
        port_ids: Iterable[str],
        timeout: float,
        task: 'Task',
        failure: Callable[[str], Exception] | None = None,
    ) -> None:
        """Wait until each port (or volume) is reported, now or earlier.

        Raises VirtualInterfacePlugTimeout or ``failure`` (also when it is reported as failed),
        and what ``task.check`` raises.
        """
        wanted = set(port_ids)
        end = time.monotonic() + timeout
        while True:
            task.check()
            with self._changed:
                failed = sorted(p for p in wanted if self._statuses.get(p) == 'failed')
                missing = sorted(p for p in wanted if p not in self._statuses)
                left = end - time.monotonic()
                if failed or (missing and left <= 0):
                    names = ', '.join(failed or missing)
                    if failure is not None:
                        raise failure(names)
                    raise exception.VirtualInterfacePlugTimeout(uuid=self._uuid, ports=names)
                if not missing:
                    return
                self._changed.wait(min(left, POLL))


class PlugEvents:
    """Who waits for which server's events; others are not kept.

    An event from before the expectation belongs to an earlier life of the port and would
    let a later wait end too soon, so only what comes after it counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expected: dict[str, Expectation] = {}

    @contextlib.contextmanager
    def expect(self, uuid: str) -> Iterator[Expectation]:
        """Collect a server's plug events while the context lasts."""
        expectation = Expectation(uuid)
        with self._lock:
            self._expected[uuid] = expectation
        try:
            yield expectation
        finally:
            with self._lock:
                self._expected.pop(uuid, None)

    def put(self, uuid: str, port_id: str, status: str) -> bool:
        """Hand an event to who waits for it; false when nobody does."""
        with self._lock:
            expectation = self._expected.get(uuid)
        if expectation is None:
            return False
        expectation.put(port_id, status)
        return True


class EventsEndpoint:
    """Takes the events in."""

    def __init__(self, plug_events: PlugEvents, refresh: 'NetworkRefresh') -> None:
        self._plug_events, self._refresh = plug_events, refresh

    def external_events(self, context: RequestContext, events: list[ExternalEvent]) -> None:
        for event in events:
            LOG.debug('Server %s: %s %s %s', event.server_uuid, event.name, event.tag, event.status)
            if event.name in AWAITED and event.tag:
                self._plug_events.put(event.server_uuid, event.tag, event.status)
            elif event.name in LOOK_AGAIN:
                self._refresh.request(event.server_uuid)
