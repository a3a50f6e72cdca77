"""Hard policies of server groups."""

from collections.abc import Iterable

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Floats, Hosts, Indices, Mask


def has_policy(spec: RequestSpec, policy: str) -> bool:
    """Tell whether the servers belong to a group of that policy."""
    return spec.group is not None and spec.group.get('policy') == policy


def members_on(hosts: Hosts, spec: RequestSpec) -> Floats:
    """Return how many members of the group each host has, our own picks included.

    ``group['hosts']`` names hosts that members are known to be on, should the table be older.
    """
    group = spec.group or {}
    counts = hosts.count_of(group.get('members') or ())
    for i in _indices(hosts, group.get('hosts') or ()):
        counts[i] = max(counts[i], 1)
    return counts


def _indices(hosts: Hosts, names: Iterable[str]) -> Iterable[int]:
    return (i for name in names for i in hosts.by_host.get(name, ()))


class ServerGroupAntiAffinityFilter(Filter):
    """At most ``max_server_per_host`` (1) members of the group on a host."""

    once = False

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if spec.group is None or not has_policy(spec, 'anti-affinity'):
            return None
        limit = int((spec.group.get('rules') or {}).get('max_server_per_host', 1))
        return members_on(hosts, spec)[alive] < limit

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'with as many servers of the group as it may have'


class ServerGroupAffinityFilter(Filter):
    """All members on the host that the first one got."""

    once = False

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if not has_policy(spec, 'affinity'):
            return None
        counts = members_on(hosts, spec)
        return counts[alive] > 0 if counts.any() else None

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'without the other servers of the group'
