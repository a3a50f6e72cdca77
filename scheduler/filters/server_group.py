"""Hard policies of server groups."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.objects.server_group import AFFINITY, ANTI_AFFINITY
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Floats, Hosts, Indices, Mask


def has_policy(spec: RequestSpec, policy: str) -> bool:
    """Tell whether the servers belong to a group of that policy."""
    return spec.group is not None and spec.group.policy == policy


def recorded_on(hosts: Hosts, spec: RequestSpec) -> Floats:
    """Return how many members of the group each host has by the conductor's records."""
    assert spec.group is not None
    found = [
        i
        for uuid in spec.group.members
        for host in spec.group.hosts.get(uuid, ())
        for i in hosts.by_host.get(host, ())
    ]
    return hosts.count_at(found)


def members_on(hosts: Hosts, spec: RequestSpec) -> Floats:
    """Return the same with the members that are being placed, which only the table knows."""
    assert spec.group is not None
    rest = [uuid for uuid in spec.group.members if uuid not in spec.group.hosts]
    counts: Floats = recorded_on(hosts, spec) + hosts.count_of(rest)
    return counts


class ServerGroupAntiAffinityFilter(Filter):
    """At most ``max_server_per_host`` (1) members of the group on a host."""

    once = False

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if spec.group is None or spec.group.policy != ANTI_AFFINITY:
            return None
        return members_on(hosts, spec)[alive] < spec.group.max_per_host

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'with as many servers of the group as it may have'


class ServerGroupAffinityFilter(Filter):
    """All members on the host that the first one got."""

    once = False

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if not has_policy(spec, AFFINITY):
            return None
        # What is only being placed may be sent away again: it leads where nobody is recorded.
        counts = recorded_on(hosts, spec)
        if not counts.any():
            counts = members_on(hosts, spec)
        return counts[alive] > 0 if counts.any() else None

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'without the other servers of the group'
