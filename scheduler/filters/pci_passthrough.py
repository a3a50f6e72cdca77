"""Guests with host devices."""

import numpy as np

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask


class PciPassthroughFilter(Filter):
    """No host can pass a device through yet: refuse guests that ask for one."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if 'pci_passthrough:alias' not in spec.flavor.extra_specs:
            return None
        return np.zeros(len(alive), dtype=bool)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'unable to pass PCI devices through'
