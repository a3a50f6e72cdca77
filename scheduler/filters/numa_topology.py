"""Guests with a NUMA topology."""

import re

import numpy as np

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler import traits
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask

_NUMA = re.compile(r'hw:numa_(nodes|cpus\.\d+|mem\.\d+)|hw_numa_(nodes|cpus\.\d+|mem\.\d+)')


class NUMATopologyFilter(Filter):
    """No host can lay out a guest's NUMA nodes, huge pages or pinned CPUs yet: refuse such guests.

    It can be enabled, as it is in many a nova.conf, and changes nothing for other guests.
    """

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        return np.zeros(len(alive), dtype=bool) if self._wanted(spec) else None

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return f'unable to provide {self._wanted(spec)}'

    @staticmethod
    def _wanted(spec: RequestSpec) -> str:
        keys = [*spec.flavor.extra_specs, *spec.image.properties]
        if any(_NUMA.fullmatch(key) for key in keys):
            return 'a guest NUMA topology'
        if traits.prop(spec, 'mem_page_size') not in (None, 'small', 'any'):
            return 'huge pages'
        if traits.prop(spec, 'cpu_policy') in ('dedicated', 'mixed'):
            return 'dedicated CPUs'
        return ''
