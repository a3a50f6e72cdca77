"""Hosts that are kept for some images."""

import fnmatch

import numpy as np

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask


class IsolatedHostsFilter(Filter):
    """Isolated images go to isolated hosts, and (unless switched off) no others do."""

    on_rebuild = True

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        options = self.conf.filter_scheduler
        if not options.isolated_hosts and not options.isolated_images:
            return None
        everyone = np.arange(len(hosts))
        isolated: Mask = hosts.remember(
            ('isolated', tuple(options.isolated_hosts)),
            lambda: hosts.where(lambda s: self._is_isolated(s.service.host), everyone),
        )[alive]
        if spec.image.id and spec.image.id in options.isolated_images:
            return isolated
        if options.restrict_isolated_hosts_to_isolated_images:
            return ~isolated
        return np.ones(len(alive), dtype=bool)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        if self._is_isolated(hosts.states[i].service.host):
            return 'kept for isolated images'
        return 'not meant for isolated images'

    def _is_isolated(self, host: str) -> bool:
        patterns = self.conf.filter_scheduler.isolated_hosts
        return any(fnmatch.fnmatchcase(host, pattern) for pattern in patterns)
