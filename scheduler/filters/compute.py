"""Hosts that are enabled and alive."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask


class ComputeFilter(Filter):
    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask:
        mask: Mask = (hosts.enabled & hosts.up)[alive]
        return mask

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        service = hosts.states[i].service
        if service.disabled:
            return 'disabled'
        if service.forced_down:
            return 'forced down'
        if service.last_seen_up is None:
            return 'never seen up'
        return f'down since {service.last_seen_up:%Y-%m-%d %H:%M}'


class AllHostsFilter(Filter):
    """Lets every host pass."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> None:
        return None
