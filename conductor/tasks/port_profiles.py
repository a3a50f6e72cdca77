"""What Neutron has to know of a port's place on a host: providers that were claimed, PCI devices.

It is in the port's binding profile, anew for each host (``network.OF_HOST``).
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from kilonova.common.objects.network import Networks
from kilonova.common.objects.pci import PciDevice
from kilonova.common.objects.request_spec import Selection

Profiles = dict[str, dict[str, Any]]
"""By port."""

REMOTE = ('card_serial_number', 'pf_mac_address', 'vf_num')
"""By which the network card's own processor knows a function that it manages."""


def of(to: Selection | None, devices: Iterable[PciDevice]) -> Profiles:
    """Return what the binding profiles of a server's ports say on a host."""
    found: Profiles = {}
    for port_id, providers in (to.ports if to else {}).items():
        found[port_id] = {'allocation': providers}
    for device in devices:
        if device.port_id is not None:
            found.setdefault(device.port_id, {}).update(_of_device(device))
    return found


def _of_device(device: PciDevice) -> dict[str, Any]:
    profile: dict[str, Any] = {
        'pci_slot': device.address,
        'pci_vendor_info': f'{device.vendor_id}:{device.product_id}',
        'physical_network': device.tags.get('physical_network') or None,
    }
    if device.dev_type == 'type-PF' and 'mac_address' in device.tags:
        profile['device_mac_address'] = device.tags['mac_address']
    if device.tags.get('remote_managed', '').lower() == 'true':
        profile |= {name: device.tags[name] for name in REMOTE if name in device.tags}
        if 'vf_num' in profile:
            profile['vf_num'] = int(profile['vf_num'])
    return profile


def into(networks: Networks, profiles: Profiles) -> Networks:
    """Return the networks with the profiles of the ports that are named in them."""
    if not profiles:
        return networks
    requests = [
        msgspec.structs.replace(entry, profile=profiles.get(entry.port_id or '', {}))
        for entry in networks.requests
    ]
    return msgspec.structs.replace(networks, requests=requests)
