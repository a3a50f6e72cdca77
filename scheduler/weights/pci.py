"""Keep hosts with PCI devices for those who ask for devices."""

from kilonova.common.objects.host import HostState
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices, column
from kilonova.scheduler.weights.base import Weigher

MAX_DEVICES = 100


class PCIWeigher(Weigher):
    option = 'pci_weight_multiplier'
    minval, maxval = 0, MAX_DEVICES

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        if not any(hosts.states[i].node.pci_devices for i in alive):
            return None
        devices = column(_free_devices(hosts.states[i]) for i in alive)
        wanted = 'pci_passthrough:alias' in spec.flavor.extra_specs
        weights: Floats = devices if wanted else MAX_DEVICES - devices
        return weights


def _free_devices(state: HostState) -> int:
    taken = set(state.pci_taken)
    free = sum(device.get('address') not in taken for device in state.node.pci_devices)
    return min(free, MAX_DEVICES)
