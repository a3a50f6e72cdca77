"""The newest copy of the host table.

``HostCache`` asks the conductor for what has changed when a request needs a newer copy, or when
the copy is too old, and counts in it what this scheduler has picked since, as the conductor
cannot know that yet.
"""

import threading
import time
from collections.abc import Callable, Iterable

from oslo_log import log as logging

from kilonova.common.objects.host import HostTable
from kilonova.common.objects.host_changes import HostChanges
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.changes import Changes
from kilonova.scheduler.hosts import Hosts, load_of

LOG = logging.getLogger(__name__)

MAX_AGE = 10.0
# How long a pick may be missing in the conductor's table before it counts as given up.
PICK_MEMORY = 5.0


class _Pick:
    def __init__(self, node: str, spec: RequestSpec, layout: Layout | None) -> None:
        self.node, self.spec, self.layout = node, spec, layout
        self.until = time.monotonic() + PICK_MEMORY


class HostCache:
    """``fetch`` asks for the whole table; with ``changes`` that happens for good reasons only."""

    def __init__(
        self,
        fetch: Callable[[], HostTable],
        max_age: float = MAX_AGE,
        changes: Changes | None = None,
    ) -> None:
        self._fetch, self._max_age, self._changes = fetch, max_age, changes
        self._hosts = Hosts([], -1)
        self._picks: dict[str, _Pick] = {}
        self._fetching, self._changing = threading.Lock(), threading.Lock()

    def get(self, version: int) -> Hosts:
        """Return a copy that is at least of that version and not too old."""
        if self._is_good(version):
            return self._hosts
        return self._refresh(lambda: self._is_good(version))

    def newer_than(self, moment: float) -> Hosts:
        """Return a copy that was asked for after a moment of ``time.monotonic``."""
        return self._refresh(lambda: self._hosts.asked_at > moment)

    def take(
        self, hosts: Hosts, i: int, uuid: str, spec: RequestSpec, layout: Layout | None = None
    ) -> None:
        """Remember a pick, in this copy and in those to come."""
        with self._changing:
            if uuid in self._picks:  # it was sent away from there
                for one in {id(one): one for one in (self._hosts, hosts)}.values():
                    if uuid in one.servers:
                        one.give(one.servers[uuid], uuid, spec)
            self._picks[uuid] = _Pick(hosts.states[i].node.uuid, spec, layout)
            hosts.take(i, uuid, spec, layout)
            if hosts is not self._hosts:
                self._lay(self._hosts, uuid, self._picks[uuid])

    def give(self, uuid: str, spec: RequestSpec) -> None:
        """Forget a pick whose claim was given back."""
        with self._changing:
            self._picks.pop(uuid, None)
            i = self._hosts.servers.get(uuid)
            if i is not None:
                self._hosts.give(i, uuid, spec)

    def forget(self, uuids: Iterable[str]) -> bool:
        """Forget picks whose devices would be in the way of the same servers now.

        True when there were some: then the table has to be read again.
        """
        with self._changing:
            mine = [uuid for uuid in uuids if uuid in self._picks and self._picks[uuid].layout]
            found = [(uuid, self._picks.pop(uuid)) for uuid in mine]
            for uuid, pick in found:
                if uuid in self._hosts.servers:
                    self._hosts.give(self._hosts.servers[uuid], uuid, pick.spec)
        return bool(found)

    def _is_good(self, version: int) -> bool:
        hosts = self._hosts
        return hosts.version >= version and time.monotonic() - hosts.asked_at <= self._max_age

    def _refresh(self, enough: Callable[[], bool]) -> Hosts:
        """Ask, unless another request has done so while this one waited."""
        with self._fetching:
            if not enough():
                asked_at = time.monotonic()
                if self._changes is not None:
                    self._update(self._changes, asked_at)
                else:
                    self._replace(self._fetch(), asked_at)
            return self._hosts

    def _replace(self, table: HostTable, asked_at: float) -> None:
        with self._changing:
            self._hosts = Hosts(table.hosts, table.version, asked_at)
            self._lay_picks()

    def _update(self, changes: Changes, asked_at: float) -> None:
        """Bring the copy up to date; what the conductor knows of a pick replaces the pick."""
        news = changes.ask()
        self._apply(changes, news, asked_at)
        if changes.is_behind:
            self._apply(changes, changes.ask(), asked_at)

    def _apply(self, changes: Changes, news: list[HostChanges], asked_at: float) -> None:
        with self._changing:
            now = time.monotonic()
            for uuid in [uuid for uuid, pick in self._picks.items() if pick.until < now]:
                pick = self._picks.pop(uuid)
                if self._hosts.loads.get(uuid) == load_of(pick.spec):
                    self._hosts.remove(uuid)
            self._hosts, known = changes.apply(self._hosts, news, set(self._picks))
            for uuid in known:
                self._picks.pop(uuid, None)
            self._hosts.asked_at = asked_at
            self._occupy_again()
            self._lay_picks()

    def _lay_picks(self) -> None:
        now = time.monotonic()
        self._picks = {uuid: pick for uuid, pick in self._picks.items() if pick.until > now}
        for uuid, pick in self._picks.items():
            self._lay(self._hosts, uuid, pick)

    def _occupy_again(self) -> None:
        """Nodes and devices are as the conductor knows them, without what has only been picked."""
        for uuid, pick in self._picks.items():
            i = self._hosts.servers.get(uuid)
            if i is not None and pick.layout is not None:
                self._hosts.occupy(i, pick.layout)

    @staticmethod
    def _lay(hosts: Hosts, uuid: str, pick: _Pick) -> None:
        i = hosts.index.get(pick.node)
        if i is not None and uuid not in hosts.servers:
            hosts.take(i, uuid, pick.spec, pick.layout)
