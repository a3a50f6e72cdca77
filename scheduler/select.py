"""The one algorithm: placement's candidates, filters, weights, claim.

The best host is claimed; when placement refuses (another scheduler was quicker) the next
one is.  Servers of one request are placed one after the other, all or none.
"""

import contextlib
import random
import time

import msgspec
import numpy as np
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import placement
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.scheduler import destination, loader, request
from kilonova.scheduler.diagnose import Diagnosis
from kilonova.scheduler.explain import Report, count
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import HostCache, Hosts, Indices, column
from kilonova.scheduler.offer import Offer
from kilonova.scheduler.routed_networks import RoutedNetworks

LOG = logging.getLogger(__name__)


class Selector:
    """Picks hosts.  ``rng`` decides between hosts that are as good; ``routed`` is asked for segments."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        client: placement.Placement,
        cache: HostCache,
        rng: random.Random | None = None,
        routed: RoutedNetworks | None = None,
    ) -> None:
        self.conf, self.client, self.cache, self.routed = conf, client, cache, routed
        self.rng = rng or random.Random()
        self.diagnosis = Diagnosis(client)
        self.filters = loader.load_filters(conf)
        self.weighers = loader.load_weighers(conf)

    def select(
        self, spec: RequestSpec, uuids: list[str], table_version: int, alternates: int = 0
    ) -> list[list[Selection]]:
        """See ``SchedulerInterface.select_destinations``."""
        started = time.monotonic()
        attempt = _Attempt(self, self.cache.get(table_version), spec, uuids)
        try:
            return attempt.run(alternates)
        except exception.NoValidHost as error:
            if self.cache.asked_after(started) and not attempt.refusals:
                raise
            LOG.info('%s; looking again with a fresh host table', error)
        hosts = self.cache.newer_than(time.monotonic())
        return _Attempt(self, hosts, spec, uuids).run(alternates)

    def order(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> list[int]:
        """Return hosts, best first."""
        total = np.zeros(len(alive))
        for weigher in self.weighers:
            scores = weigher.score(hosts, alive, spec)
            if scores is not None:
                total += scores
        ranked = np.argsort(-total, kind='stable')
        order = [int(i) for i in alive[ranked]]
        if self.conf.filter_scheduler.shuffle_best_same_weighed_hosts:
            best = int(np.count_nonzero(total == total[ranked[0]])) if len(ranked) else 0
            order[:best] = self.rng.sample(order[:best], best)
        subset = min(self.conf.filter_scheduler.host_subset_size, len(order))
        if subset > 1:
            order.insert(0, order.pop(self.rng.randrange(subset)))
        return order


class _Placed(msgspec.Struct):
    uuid: str
    spec: RequestSpec
    selection: Selection
    others: list[int]


class _Attempt:
    """One try, with one copy of the host table and one answer of placement."""

    def __init__(
        self, selector: Selector, hosts: Hosts, spec: RequestSpec, uuids: list[str]
    ) -> None:
        self.conf, self.client, self.cache = selector.conf, selector.client, selector.cache
        self.routed, self.diagnosis = selector.routed, selector.diagnosis
        self.hosts, self.spec, self.uuids = hosts, spec, uuids
        self.order = selector.order
        self.report = Report()
        self.refusals: list[str] = []
        filters = [] if destination.is_forced(spec) else selector.filters
        filters = [*destination.filters_for(self.conf), *filters]
        self.once = [one for one in filters if one.once]
        self.each = [one for one in filters if not one.once]

    def run(self, alternates: int) -> list[list[Selection]]:
        alive = self._pass(self.once, self._ask_placement(), self.spec)
        placed: list[_Placed] = []
        with contextlib.ExitStack() as undo:
            for uuid in self.uuids:
                if not len(alive):
                    raise self._no_host(len(placed))
                one = self._place(uuid, alive, len(placed))
                undo.callback(self._give_back, one)
                placed.append(one)
            undo.pop_all()
        return [[one.selection, *self._alternates(one, alternates)] for one in placed]

    # -- stages

    def _ask_placement(self) -> Indices:
        """Return the hosts that placement offers."""
        asked = self._ask(request.from_spec(self.spec))
        fall_back = not self.conf.workarounds.disable_fallback_pcpu_query
        if not self.offer.hosts() and fall_back and request.has_unpinned_form(self.spec):
            LOG.info('No host has dedicated CPUs for the request; looking for shared ones')
            asked = self._ask(request.from_spec(self.spec, pinned=False))
        found = sorted(self.offer.hosts())
        if not found:
            raise exception.NoValidHost(reason=self._nothing_offered(asked))
        rest = len(self.hosts) - len(found)
        self.report.add(
            'Placement', len(self.hosts), rest, lambda: [f'without {asked.describe()}'] * rest
        )
        return np.array(found, dtype=np.intp)

    def _ask(self, asked: request.ResourceRequest) -> request.ResourceRequest:
        """Complete one question and put it; ``offer`` is the answer."""
        destination.restrict(asked, self.spec, self.hosts, self.conf)
        if self.routed is not None:
            asked.member_of += self.routed.aggregates_for(self.spec.networks)
        if asked.is_empty():
            raise exception.NoValidHost(reason='The flavor asks for no resources at all.')
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
        return (
            f'Placement: none of {len(self.hosts)} known hosts has what is asked for: '
            f'{self.diagnosis.explain(asked, self.hosts)}'
        )

    def _pass(self, filters: list[Filter], alive: Indices, spec: RequestSpec) -> Indices:
        """Return the hosts that pass all filters; the others are noted."""
        for one in filters:
            mask = one.passes(self.hosts, alive, spec) if len(alive) else None
            if mask is None or mask.all():
                continue
            self._note(one, alive, alive[~mask], spec)
            alive = alive[mask]
        return alive

    def _note(self, one: Filter, before: Indices, left_out: Indices, spec: RequestSpec) -> None:
        def reasons() -> list[str]:
            return [one.why(self.hosts, int(i), spec) for i in left_out]

        LOG.debug('%s leaves %s of %s hosts', one.name, len(before) - len(left_out), len(before))
        self.report.add(one.name, len(before), len(left_out), reasons)

    # -- one server

    def _place(self, uuid: str, alive: Indices, already: int) -> _Placed:
        spec = self._spec_of(uuid)
        if already:
            alive = self._still_fitting(alive)
        order = self.order(self.hosts, self._pass(self.each, alive, spec), spec)
        for i in order:
            for way in self.offer.ways(i):
                generation = self._claim(uuid, i, way)
                if generation is not None:
                    self.offer.take(way)
                    self.cache.take(self.hosts, i, uuid, spec)
                    selection = self._selection(i, way, generation)
                    return _Placed(uuid, spec, selection, [j for j in order if j != i])
        self.report.add(
            'Claim in placement', len(order), len(order), lambda: ['refused'] * len(order)
        )
        raise self._no_host(already)

    def _spec_of(self, uuid: str) -> RequestSpec:
        """Return the specification as it is for one server of a group: all others are its peers."""
        if self.spec.group is None:
            return self.spec
        peers = {*self.spec.group.members, *self.uuids} - {uuid}
        group = msgspec.structs.replace(self.spec.group, members=sorted(peers))
        return msgspec.structs.replace(self.spec, group=group)

    def _still_fitting(self, alive: Indices) -> Indices:
        """Leave out the hosts that are full with servers of this very request."""
        mask = column((bool(self.offer.ways(i)) for i in alive), bool)
        full = int(np.count_nonzero(~mask))
        self.report.add('Capacity', len(alive), full, lambda: ['full'] * full)
        return alive[mask]

    def _claim(self, uuid: str, i: int, way: placement.Resources) -> int | None:
        try:
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
        )

    def _alternates(self, one: _Placed, number: int) -> list[Selection]:
        """Return further hosts for a server, unclaimed, now that all servers have theirs."""
        if not number:
            return []
        left = set(self._pass(self.each, np.array(one.others, dtype=np.intp), one.spec).tolist())
        states, cell = self.hosts.states, one.selection.cell_id
        # A server that was sent to a cell goes on there.
        near = [i for i in one.others if i in left and states[i].cell_id == cell]
        ways = ((i, self.offer.ways(i)) for i in near)
        found = [self._selection(i, fitting[0]) for i, fitting in ways if fitting]
        return found[:number]

    def _give_back(self, one: _Placed) -> None:
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
