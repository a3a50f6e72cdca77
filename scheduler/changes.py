"""Bringing a copy of the host table up to date with what has changed."""

from collections.abc import Callable, Iterable

import msgspec
from oslo_log import log as logging

from kilonova.common.objects.host import Aggregate, HostState
from kilonova.common.objects.host_changes import HostChanges, HostMark, Occupied, ServerPlace
from kilonova.scheduler import figures
from kilonova.scheduler.hosts import Hosts, Load

LOG = logging.getLogger(__name__)

Marks = dict[str, HostMark]
"""By cell."""
Ask = Callable[[Marks], list[HostChanges]]


class Changes:
    """Asks a conductor with what was read before, cell by cell."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._marks: Marks = {}
        self._shared: dict[bytes, object] = {}
        self._aggregates: dict[str, list[Aggregate]] = {}
        self._occupied: dict[str, list[Occupied]] = {}
        self._zone = 'nova'
        self.is_behind = False
        """Nodes have gone: ask once more, then a cell is read anew."""

    def ask(self) -> list[HostChanges]:
        """Return what is new; a first look comes in several pieces."""
        news: list[HostChanges] = []
        while True:
            found = self._ask(self._marks)
            self._forget_all_but({_key(one) for one in found})
            for one in found:
                self._marks[_key(one)] = one.mark
                for (
                    state
                ) in one.hosts:  # before the next piece comes: all of them at once are large
                    self._share(state)
            news += found
            if not any(one.mark.after is not None for one in found):
                return news

    def _forget_all_but(self, cells: set[str]) -> None:
        """A cell that is down, or disabled, has no hosts to offer."""
        for key in self._marks.keys() - cells:
            del self._marks[key]
            self._aggregates.pop(key, None)
            self._occupied.pop(key, None)

    def apply(
        self, hosts: Hosts, news: Iterable[HostChanges], picks: set[str]
    ) -> tuple[Hosts, set[str]]:
        """Return the table, this one or another, and the picks that the conductor knows of."""
        news = list(news)
        hosts = self._with_nodes(hosts, news)
        known: set[str] = set()
        for one in news:
            for place in one.servers:
                if _put(hosts, place, place.uuid in picks):
                    known.add(place.uuid)
        self._set_services(hosts, news)
        self._set_aggregates(hosts, news)
        self._set_occupied(hosts, news)
        self.is_behind = False
        told = [one.table for one in news if one.table is not None]
        total = sum(mark.version for mark in self._marks.values())
        hosts.version = told[-1] if told else total
        for one in news:
            if one.mark.after is None and not self._is_complete(hosts, one):
                LOG.info('The host table of cell %s is read anew', one.cell_id)
                self._marks.pop(_key(one), None)
                self.is_behind = True
        return hosts, known

    # -- nodes

    def _with_nodes(self, hosts: Hosts, news: list[HostChanges]) -> Hosts:
        restarted = {one.cell_id for one in news if one.first}
        new: dict[str, HostState] = {}
        for one in news:
            for state in one.hosts:
                state.cell_id = one.cell_id
                i = hosts.index.get(state.node.uuid)
                if i is not None and one.cell_id not in restarted:
                    hosts.replace(i, state)
                else:
                    new[state.node.uuid] = state
        gone = {s.cell_id for s in hosts.states if str(s.cell_id) not in self._marks}
        if not new and not restarted and not gone:
            return hosts
        restarted |= gone
        kept = [
            state
            for state in hosts.states
            if state.cell_id not in restarted and state.node.uuid not in new
        ]
        return _rebuilt(hosts, [*kept, *new.values()], restarted)

    def _share(self, state: HostState) -> None:
        """Let alike hosts share what they have in common: there are thousands of them."""
        node = state.node
        for name in ('cpu_info', 'supported_instances', 'stats', 'metrics', 'provider'):
            value = getattr(node, name)
            key = msgspec.json.encode(value)
            setattr(node, name, self._shared.setdefault(key, value))

    @staticmethod
    def _is_complete(hosts: Hosts, one: HostChanges) -> bool:
        found = sum(state.cell_id == one.cell_id for state in hosts.states)
        return found == one.nodes

    # -- what goes with them

    @staticmethod
    def _set_services(hosts: Hosts, news: list[HostChanges]) -> None:
        """All services are well but those that are named."""
        for one in news:
            if one.mark.after is not None:
                continue
            mine = hosts.cell == (-1 if one.cell_id is None else one.cell_id)
            ill = mine & ~(hosts.enabled & hosts.up)
            for i in ill.nonzero()[0]:
                service = hosts.states[i].service
                service.disabled = service.forced_down = False
                service.up = True
            hosts.enabled[mine] = hosts.up[mine] = True
            for service in one.troubled:
                for i in hosts.by_host.get(service.host, ()):
                    hosts.states[i].service = service
                    hosts.enabled[i] = not service.disabled
                    hosts.up[i] = service.up and not service.forced_down

    def _set_aggregates(self, hosts: Hosts, news: list[HostChanges]) -> None:
        """Give each host its aggregates; alike ones are one object."""
        told = [one for one in news if one.aggregates is not None]
        for one in told:
            self._aggregates[_key(one)] = one.aggregates or []
            self._zone = one.default_zone
        if not told and not any(one.hosts for one in news):
            return
        by_host: dict[str, dict[str, Aggregate]] = {}
        for aggregates in self._aggregates.values():
            for aggregate in aggregates:
                for host in aggregate.hosts:
                    by_host.setdefault(host, {})[aggregate.uuid] = aggregate
        for state in hosts.states:
            state.aggregates = list(by_host.get(state.service.host, {}).values())
            state.service.availability_zone = self._zone
            state.service.availability_zone = figures.zone_of(state)
        hosts.regroup()

    def _set_occupied(self, hosts: Hosts, news: list[HostChanges]) -> None:
        """Take what the conductor knows for all that is taken; nothing new may mean a pick is gone."""
        told = [one for one in news if one.occupied is not None]
        for one in told:
            self._occupied[_key(one)] = one.occupied or []
        some = range(len(hosts)) if told or any(one.hosts for one in news) else sorted(hosts.lent)
        hosts.lent.clear()
        if not some:
            return
        by_node = {(o.host, o.node): o for found in self._occupied.values() for o in found}
        for i in some:
            state = hosts.states[i]
            mine = by_node.get((state.service.host, state.node.hypervisor_hostname))
            if mine is None and not state.guests and not state.pci_taken:
                continue
            state.guests = mine.guests if mine else []
            state.pci_taken = mine.devices if mine else []
            hosts.free_devices[i] = figures.free_devices(state)


def _key(one: HostChanges) -> str:
    return str(one.cell_id)


def _rebuilt(hosts: Hosts, states: list[HostState], restarted: set[int | None]) -> Hosts:
    """Make a table of other hosts; servers of cells that are not read anew stay."""
    there = [
        (uuid, hosts.states[i].node.uuid, hosts.states[i].instances.get(uuid, ''), load)
        for uuid, i in hosts.servers.items()
        if (load := hosts.loads.get(uuid)) is not None and hosts.states[i].cell_id not in restarted
    ]
    for state in states:
        state.instances = {}
    made = Hosts(states, hosts.version, hosts.asked_at)
    lent = (hosts.states[i].node.uuid for i in hosts.lent)
    made.lent = {made.index[uuid] for uuid in lent if uuid in made.index}
    for uuid, node, project_id, load in there:
        if node in made.index:
            made.put(made.index[node], uuid, project_id, load)
    return made


def _put(hosts: Hosts, place: ServerPlace, picked: bool) -> bool:
    """Count a server where it is by now; true when that is known, for a deleted one too."""
    if place.host is None:
        # Before its host is written down, a server that has been picked is nowhere.
        if place.deleted or not picked:
            hosts.remove(place.uuid)
        return place.deleted
    for i in hosts.by_host.get(place.host, ()):
        if hosts.states[i].node.hypervisor_hostname == place.node or not place.node:
            disk_mb = place.disk_gb * 1024
            load = Load(place.vcpus, place.memory_mb, disk_mb, place.busy)
            hosts.put(i, place.uuid, place.project_id, load)
            return True
    hosts.remove(place.uuid)
    return False
