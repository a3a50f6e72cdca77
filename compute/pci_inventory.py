"""``[pci]report_in_placement``: a provider below the host's for each physical device."""

import os_traits

from kilonova.common.objects.pci import PciDevice
from kilonova.common.resource_classes import normalise
from kilonova.compute.virt.driver import Inventory


def providers(root: str, devices: list[PciDevice]) -> list[Inventory]:
    """Return providers named ``HOST_ADDRESS``; the virtual functions of one are its inventory."""
    by_address: dict[str, list[PciDevice]] = {}
    for device in devices:
        by_address.setdefault(device.parent_addr or device.address, []).append(device)
    return [_provider(root, address, mine) for address, mine in sorted(by_address.items())]


def _provider(root: str, address: str, devices: list[PciDevice]) -> Inventory:
    # A function that is given away whole leaves nothing of its parts, and the other way round:
    # the parts count when both are named.
    parts = [device for device in devices if device.parent_addr] or devices
    first = parts[0]
    ids = {'vendor_id': first.vendor_id, 'product_id': first.product_id, **first.tags}
    traits = [word.strip().upper() for word in first.tags.get('traits', '').split(',')]
    return Inventory(
        name=f'{root}_{address.upper()}',
        parent=root,
        inventories={normalise(ids): {'total': len(parts), 'max_unit': len(parts), 'min_unit': 1}},
        traits=['COMPUTE_MANAGED_PCI_DEVICE', *(_known(name) for name in traits if name)],
    )


def _known(name: str) -> str:
    return (
        name if name in os_traits.get_traits() or name.startswith('CUSTOM_') else f'CUSTOM_{name}'
    )
