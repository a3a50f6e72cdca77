"""Near to, or away from, other servers."""

import ipaddress
from typing import Any

import numpy as np

from kilonova.common.objects.host import HostState
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask


def hint(spec: RequestSpec, name: str) -> str | None:
    """Return a scheduler hint's value (the first of a list)."""
    values = hint_list(spec, name)
    return values[0] if values else None


def hint_list(spec: RequestSpec, name: str) -> list[str]:
    """Return a scheduler hint's values."""
    value: Any = spec.scheduler_hints.get(name)
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


class DifferentHostFilter(Filter):
    """Hint ``different_host``: none of these servers is on the host."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        servers = hint_list(spec, 'different_host')
        return hosts.count_of(servers)[alive] == 0 if servers else None

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'with a server of different_host'


class SameHostFilter(Filter):
    """Hint ``same_host``: one of these servers is on the host."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        servers = hint_list(spec, 'same_host')
        return hosts.count_of(servers)[alive] > 0 if servers else None

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'without a server of same_host'


class SimpleCIDRAffinityFilter(Filter):
    """Hints ``build_near_host_ip`` and ``cidr``: the host's address is in that network."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        address = hint(spec, 'build_near_host_ip')
        if address is None:
            return None
        prefix = (hint(spec, 'cidr') or '/24').lstrip('/')
        try:
            network = ipaddress.ip_network(f'{address}/{prefix}', strict=False)
        except ValueError:
            return np.zeros(len(alive), dtype=bool)
        return hosts.where(lambda state: _in_network(state, network), alive)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'with an address outside the requested network'


def _in_network(state: HostState, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(state.node.host_ip or '') in network
    except ValueError:
        return False
