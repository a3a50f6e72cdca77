"""What placement offers for one request, and what is left of it after own claims."""

import numpy as np

from kilonova.common.clients.placement import Candidates, Resources
from kilonova.scheduler.hosts import Hosts, Indices, Mask, column


class Offer:
    """Ways to serve the request, by host.  ``unknown``: providers that are no host of ours."""

    def __init__(self, hosts: Hosts, candidates: Candidates) -> None:
        self._summaries = candidates.provider_summaries
        self._ways: dict[int, list[Resources]] = {}
        self._mappings: dict[int, dict[str, list[str]]] = {}
        self._untouched = True
        self._refused = 0
        self.unknown: set[str] = set()
        for request in candidates.allocation_requests:
            i = self._host_of(hosts, request.allocations)
            if i is not None:
                self._ways.setdefault(i, []).append(request.allocations)
                self._mappings[id(request.allocations)] = request.mappings

    def hosts(self) -> Indices:
        return np.array(sorted(self._ways), dtype=np.intp)

    def fitting(self, alive: Indices) -> Mask:
        """Return which hosts still have room, when servers of this request have taken some."""
        return column((bool(self.ways(i)) for i in alive), bool)

    @property
    def refusals(self) -> int:
        return self._refused

    def ways(self, i: int) -> list[Resources]:
        """Return the ways that still fit, in placement's order."""
        ways = self._ways.get(i, [])
        return ways if self._untouched else [way for way in ways if self._fits(way)]

    def provider_of(self, way: Resources, group: str) -> str | None:
        """Return which provider serves a group of the request."""
        found = self._mappings.get(id(way), {}).get(group)
        return found[0] if found else None

    def take(self, way: Resources) -> None:
        """Count a claim, so that the next server of the request is not sent in vain."""
        self._untouched = False
        for provider, part in way.items():
            usage = self._summaries[provider].resources
            for name, amount in part['resources'].items():
                usage[name].used += amount

    def withdraw(self, i: int, way: Resources) -> None:
        """Forget a way that placement has refused."""
        self._refused += 1
        self._ways[i] = [other for other in self._ways[i] if other is not way]

    def _fits(self, way: Resources) -> bool:
        return all(
            usage[name].used + amount <= usage[name].capacity
            for provider, part in way.items()
            for usage in (self._summaries[provider].resources,)
            for name, amount in part['resources'].items()
        )

    def _host_of(self, hosts: Hosts, way: Resources) -> int | None:
        """Return the compute node in whose tree the providers are (a shared one is in none)."""
        root = ''
        for provider in way:
            root = self._summaries[provider].root_provider_uuid or provider
            if root in hosts.index:
                return hosts.index[root]
        self.unknown.add(root)
        return None
