"""Where a guest finds its disks and NICs, read from its domain."""

from kilonova.common.objects.place import Place, Places
from kilonova.compute.virt.libvirt.xml.element import Node

_DRIVES = {'scsi': ('controller', 'bus', 'target', 'unit'), 'ide': ('bus', 'unit')}
"""What makes the address of a disk that is not on PCI by itself, by its bus."""


def read(domain: Node) -> Places:
    found: Places = {}
    for node in domain.findall('devices/interface'):
        mac = node.find('mac')
        if mac is not None:
            found[str(mac.get('address')).lower()] = _place(node)
    for node in domain.findall('devices/disk'):
        target = node.find('target')
        if target is not None:
            found[str(target.get('dev'))] = _place(node, str(target.get('bus')))
    return found


def _place(device: Node, bus: str = '') -> Place:
    address = device.find('address')
    kind = None if address is None else address.get('type')
    if address is not None and kind == 'pci':
        return Place(bus='pci', address=_pci(address))
    if address is not None and kind == 'drive' and bus in _DRIVES:
        parts = [str(address.get(name, '0')) for name in _DRIVES[bus]]
        return Place(bus=bus, address=':'.join(parts))
    return Place(bus='usb') if bus == 'usb' else Place()


def _pci(address: Node) -> str:
    domain, bus, slot, function = (
        int(str(address.get(name, '0')), 16) for name in ('domain', 'bus', 'slot', 'function')
    )
    return f'{domain:04x}:{bus:02x}:{slot:02x}.{function:x}'
