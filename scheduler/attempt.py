"""One try to place the servers of a request, with one copy of the host table."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import placement
from kilonova.common.fitting import claim, guest, numa, pci
from kilonova.common.objects.explanation import Candidate, Explanation
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.scheduler import destination, groups, plain, request
from kilonova.scheduler.explain import Report, count
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask
from kilonova.scheduler.offer import Offer
from kilonova.scheduler.timing import timed

if TYPE_CHECKING:
    from kilonova.scheduler.select import Selector

LOG = logging.getLogger(__name__)

SOME = 20
"""Alternates are looked for among so many hosts at a time."""

MOST_REFUSALS = 3
"""After so many refused claims, the host table is believed to be out of date."""


class TooManyRefusals(Exception):
    """Placement knows better what is free: ask it."""


class Placed(msgspec.Struct):
    uuid: str
    spec: RequestSpec
    selection: Selection
    place: int
    order: Indices
    """All hosts that would do, best first; the server got the one at ``place``."""


class Attempt:
    """``by_table``: take the candidates from the table if it knows enough."""

    def __init__(
        self,
        selector: 'Selector',
        hosts: Hosts,
        spec: RequestSpec,
        uuids: list[str],
        by_table: bool = True,
    ) -> None:
        self.conf, self.client, self.cache = selector.conf, selector.client, selector.cache
        self.selector = selector
        self.hosts, self.spec, self.uuids = hosts, spec, uuids
        self.asked_at, self.by_table = hosts.asked_at, by_table
        self.report = Report()
        self.refusals: list[str] = []
        filters = [] if destination.is_forced(spec) else selector.filters
        filters = [*destination.filters_for(self.conf), *filters]
        self.once = [one for one in filters if one.once]
        self.each = [one for one in filters if not one.once]
        self.offer: Offer | plain.TableOffer

    def run(self, alternates: int) -> list[list[Selection]]:
        alive = self._pass(self.once, self._candidates(), self.spec)
        placed: list[Placed] = []
        with contextlib.ExitStack() as undo:
            for uuid in self.uuids:
                if not len(alive):
                    raise self._no_host(len(placed))
                one = self._place(uuid, alive, len(placed))
                undo.callback(self._give_back, one)
                placed.append(one)
            undo.pop_all()
        return [[one.selection, *self._alternates(one, alternates)] for one in placed]

    def check_rebuild(self) -> None:
        """Ask the filters of images about the requested host.  Raises NoValidHost."""
        concerned = [one for one in self.selector.filters if one.on_rebuild]
        filters = [destination.RequestedHost(self.conf), *concerned]
        if not len(self._pass(filters, np.arange(len(self.hosts)), self.spec)):
            raise self._no_host(0)

    def explain(self) -> Explanation:
        """Do all that ``run`` does, but for the claims."""
        try:
            alive = self._pass(self.once, self._candidates(), self.spec)
            spec = self._spec_of(self.uuids[0])
            alive = self._pass(self.each, alive, spec)
        except exception.NoValidHost as error:
            return self._explanation(message=error.message)
        scores = self.selector.scores(self.hosts, alive, spec)
        place = {int(i): k for k, i in enumerate(alive)}
        order = self.selector.order(self.hosts, alive, spec)
        found = self._explanation()
        for i in map(int, order):
            weights = {name: round(float(own[place[i]]), 6) for name, own in scores.items()}
            node = self.hosts.states[i].node
            found.candidates.append(
                Candidate(
                    host=node.host,
                    node=node.hypervisor_hostname,
                    availability_zone=self.hosts.zones[i],
                    weight=round(sum(weights.values()), 6),
                    weights=weights,
                )
            )
        found.picked = list(self._play(order))
        if len(found.picked) < len(self.uuids):
            found.message = self._no_host(len(found.picked)).message
        return found

    def _play(self, order: Indices) -> Iterator[str]:
        """Give the hosts that the servers would get, as far as the best has room for them."""
        left = len(self.uuids)
        for i in map(int, order):
            while left and (ways := self.offer.ways(i)):
                self.offer.take(ways[0])
                left -= 1
                yield self.hosts.states[i].node.host
                if isinstance(self.offer, plain.TableOffer) or left == 0:
                    break

    def _explanation(self, message: str | None = None) -> Explanation:
        return Explanation(
            stages=self.report.stages(),
            left_out=self.report.left_out(self.hosts),
            message=message,
        )

    # -- stages

    def _candidates(self) -> Indices:
        """Return the hosts that have what is asked for, by the table or by placement."""
        with timed('candidates'):
            asked = self._ask(request.from_spec(self.spec))
            fall_back = not self.conf.workarounds.disable_fallback_pcpu_query
            found = self.offer.hosts()
            if not len(found) and fall_back and request.has_unpinned_form(self.spec):
                LOG.info('No host has dedicated CPUs for the request; looking for shared ones')
                asked = self._ask(request.from_spec(self.spec, pinned=False))
                found = self.offer.hosts()
        without = np.ones(len(self.hosts), dtype=bool)
        without[found] = False
        rest = np.flatnonzero(without)
        self.report.add(
            'Placement', len(self.hosts), rest, lambda i: plain.why(self.hosts, i, asked)
        )
        if not len(found):
            raise exception.NoValidHost(reason=self._nothing_offered(asked))
        return found

    def _ask(self, asked: request.ResourceRequest) -> request.ResourceRequest:
        """Complete one question and put it; ``offer`` is the answer."""
        groups.add(asked, self.spec, self.conf)
        destination.restrict(asked, self.spec, self.hosts, self.conf)
        if self.selector.routed is not None:
            asked.member_of += self.selector.routed.aggregates_for(self.spec.networks)
        if asked.is_empty():
            raise exception.NoValidHost(reason='The flavor asks for no resources at all.')
        self.by_table = (
            self.by_table
            and plain.is_plain(asked, self.hosts)
            and not self.selector.sharing.is_used()
        )
        if self.by_table:
            self.offer = plain.TableOffer(self.hosts, asked)
            return asked
        try:
            query = asked.query(self.conf.scheduler.max_placement_results)
            self.offer = Offer(self.hosts, self.client.get_candidates(query))
        except placement.PlacementError as error:
            raise exception.NoValidHost(reason=str(error)) from error
        return asked

    def _nothing_offered(self, asked: request.ResourceRequest) -> str:
        if self.offer.unknown:
            return f'Placement offers {len(self.offer.unknown)} providers that are no known hosts.'
        if not len(self.hosts):
            return 'There is no compute host.'
        if self.by_table:
            return f'No host has {asked.describe()} by its own report.'
        return (
            f'Placement: none of {len(self.hosts)} known hosts has what is asked for: '
            f'{self.selector.diagnosis.explain(asked, self.hosts)}'
        )

    def _pass(self, filters: list[Filter], alive: Indices, spec: RequestSpec) -> Indices:
        """Return the hosts that pass all filters; the others are noted."""
        for one in filters:
            if not len(alive):
                break
            mask = self._ask_filter(one, alive, spec)
            if mask is None:
                continue
            self._note(one, alive, alive[~mask], spec)
            alive = alive[mask]
        return alive

    def _ask_filter(self, one: Filter, alive: Indices, spec: RequestSpec) -> Mask | None:
        """An operator's own filter may fail: that ends this request, and says which one it was."""
        try:
            with timed(one.name):
                return one.passes(self.hosts, alive, spec)
        except exception.KilonovaError:
            raise
        except Exception as error:
            LOG.exception('%s failed', one.name)
            raise exception.NoValidHost(reason=f'{one.name} failed: {error!r}') from error

    def _note(self, one: Filter, before: Indices, left_out: Indices, spec: RequestSpec) -> None:
        LOG.debug('%s leaves %s of %s hosts', one.name, len(before) - len(left_out), len(before))
        self.report.add(one.name, len(before), left_out, lambda i: one.why(self.hosts, i, spec))

    # -- one server

    def _place(self, uuid: str, alive: Indices, already: int) -> Placed:
        spec = self._spec_of(uuid)
        if already:
            alive = self._still_fitting(alive)
        order = self.selector.order(self.hosts, self._pass(self.each, alive, spec), spec)
        for place, i in enumerate(map(int, order)):
            for way in self.offer.ways(i):
                generation = self._claim(uuid, i, way)
                if generation is not None:
                    self.offer.take(way)
                    self.cache.take(self.hosts, i, uuid, spec, self._layout(i))
                    selection = self._selection(i, way, generation)
                    selection.decision = self._decision(order)
                    LOG.info('Server %s: %s', uuid, selection.decision)
                    return Placed(uuid, spec, selection, place, order)
            if self.by_table and self.offer.refusals >= MOST_REFUSALS:
                raise TooManyRefusals(f'{count(self.refusals)}')
        self.report.add('Claim in placement', len(order), order, lambda i: 'refused')
        raise self._no_host(already)

    def _decision(self, order: Indices) -> str:
        """Return for administrators how the choice came about."""
        where = 'host table' if self.by_table else 'placement'
        stages = self.report.summary()
        words = f'{len(order)} of {len(self.hosts)} hosts would do (candidates by {where})'
        return f'{words}: {stages}' if stages else words

    def _spec_of(self, uuid: str) -> RequestSpec:
        """Return the specification as it is for one server of a group: all others are its peers."""
        if self.spec.group is None:
            return self.spec
        peers = {*self.spec.group.members, *self.uuids} - {uuid}
        group = msgspec.structs.replace(self.spec.group, members=sorted(peers))
        return msgspec.structs.replace(self.spec, group=group)

    def _still_fitting(self, alive: Indices) -> Indices:
        """Leave out the hosts that are full with servers of this very request."""
        mask = self.offer.fitting(alive)
        self.report.add('Capacity', len(alive), alive[~mask], lambda i: 'full')
        return alive[mask]

    def _layout(self, i: int) -> Layout | None:
        """Return the nodes and devices that a server will probably get: the conductor decides."""
        state, spec = self.hosts.states[i], self.spec
        wish = guest.wish_of(spec.flavor, spec.image)
        requests = pci.wanted(self.conf, spec)
        if wish is None and not requests:
            return None
        pack = self.conf.compute.packing_host_numa_cells_allocation_strategy
        taken = set(state.pci_taken)
        try:
            return claim.claim(state.node, state.guests, taken, wish, requests, pack)
        except numa.Misfit:  # no filter has looked at it
            return None

    def _claim(self, uuid: str, i: int, way: placement.Resources) -> int | None:
        try:
            with timed('claim'):
                generation = self.client.claim(uuid, way, self.spec.project_id, self.spec.user_id)
        except (placement.ClaimRefused, placement.ConcurrentUpdate) as error:
            LOG.info('%s: %s', self.hosts.states[i].service.host, error)
            self.refusals.append(str(error))
            self.offer.withdraw(i, way)
            return None
        LOG.info('Server %s goes to host %s', uuid, self.hosts.states[i].service.host)
        return generation

    def _selection(
        self, i: int, way: placement.Resources, generation: int | None = None
    ) -> Selection:
        state = self.hosts.states[i]
        return Selection(
            host=state.service.host,
            node=state.node.hypervisor_hostname,
            compute_node_uuid=state.node.uuid,
            availability_zone=self.hosts.zones[i],
            allocations=way,
            consumer_generation=generation,
            cell_id=state.cell_id,
            ports=self._ports(way),
            pci_requests=self.spec.pci_requests,
        )

    def _ports(self, way: placement.Resources) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for group in self.spec.port_groups:
            provider = self.offer.provider_of(way, group.id)
            if provider:
                found.setdefault(group.port_id, {})[group.id] = provider
        return found

    def _alternates(self, one: Placed, number: int) -> list[Selection]:
        """Return further hosts for a server, unclaimed, now that all servers have theirs."""
        if not number:
            return []
        found: list[Selection] = []
        others, cell = np.delete(one.order, one.place), one.selection.cell_id
        for start in range(0, len(others), SOME):
            some = self._pass(self.each, others[start : start + SOME], one.spec)
            # A server that was sent to a cell goes on there.
            near = [i for i in some.tolist() if self.hosts.states[i].cell_id == cell]
            ways = ((i, self.offer.ways(i)) for i in near)
            found += [self._selection(i, fitting[0]) for i, fitting in ways if fitting]
            if len(found) >= number:
                break
        return found[:number]

    def _give_back(self, one: Placed) -> None:
        generation = one.selection.consumer_generation
        self.cache.give(one.uuid, one.spec)
        try:
            if generation is not None:
                self.client.release(one.uuid, generation)
        except exception.KilonovaError as error:
            # The caller deletes what its servers hold before it gives up on them.
            LOG.warning('The claim of %s could not be given back: %s', one.uuid, error)

    def _no_host(self, already: int) -> exception.NoValidHost:
        reason = self.report.text()
        if self.refusals:
            reason += f'. Placement: {count(self.refusals)}'
        if len(self.uuids) > 1:
            reason = f'{already} of {len(self.uuids)} servers found a host. {reason}'
        return exception.NoValidHost(reason=reason)
