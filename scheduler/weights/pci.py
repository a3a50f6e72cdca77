"""Keep hosts with PCI devices for those who ask for devices."""

import numpy as np

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.figures import MAX_DEVICES
from kilonova.scheduler.hosts import Floats, Hosts, Indices
from kilonova.scheduler.weights.base import Weigher


class PCIWeigher(Weigher):
    option = 'pci_weight_multiplier'
    minval, maxval = 0, MAX_DEVICES

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        found = hosts.free_devices[alive]
        if not (found >= 0).any():
            return None
        devices = np.maximum(found, 0)
        wanted = 'pci_passthrough:alias' in spec.flavor.extra_specs or spec.pci_requests
        weights: Floats = devices if wanted else MAX_DEVICES - devices
        return weights
