"""The host's PCI devices that ``[pci]device_spec`` lets guests have, and where they are wired.

libvirt's node devices say all but the names that the kernel gives a function's parts, which
are below ``/sys/bus/pci/devices``.
"""

import pathlib
from typing import Any

import msgspec
from lxml import etree
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.pci import PciDevice
from kilonova.compute import pci_spec
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.xml.element import Node
from kilonova.compute.virt.libvirt.xml.hostdev import Address

SYS = pathlib.Path('/sys/bus/pci/devices')


def report(conf: cfg.ConfigOpts, host: Host) -> list[dict[str, Any]]:
    """Return the devices for the node's record; libvirt is not asked where none is offered."""
    if not conf.pci.device_spec:
        return []
    found: list[dict[str, Any]] = msgspec.to_builtins(pci_spec.usable(conf, devices(host)))
    return found


def devices(host: Host) -> list[PciDevice]:
    """Return all PCI devices of the host.  Raises HypervisorError."""

    def run(conn: Any) -> list[str]:
        lib = connection.library()
        kinds = (
            lib.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
            | lib.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET
            | lib.VIR_CONNECT_LIST_NODE_DEVICES_CAP_VDPA
        )
        return [one.XMLDesc(0) for one in conn.listAllDevices(kinds)]

    nodes = [etree.fromstring(xml) for xml in host.connection.call(run)]
    cards = {_text(n, 'parent'): n for n in nodes if _capability(n, 'net') is not None}
    vdpa = {_text(n, 'parent') for n in nodes if _capability(n, 'vdpa') is not None}
    functions = {_text(n, 'name'): n for n in nodes if _capability(n, 'pci') is not None}
    by_address = {_address(_pci(node)): name for name, node in functions.items()}
    found = []
    for name, node in functions.items():
        device = _device(node)
        if name in vdpa:
            device.dev_type = 'vdpa'
        # A virtual function is known by the card that it belongs to.
        card = cards.get(by_address.get(device.parent_addr or '', name))
        if card is not None:
            device.label = _text(card, 'capability/interface')
            if device.dev_type == 'type-PF':
                device.tags = {'mac_address': _text(card, 'capability/address')}
        found.append(device)
    return sorted(found, key=lambda device: device.address)


def _device(node: Node) -> PciDevice:
    pci = _pci(node)
    parent = pci.find("capability[@type='phys_function']/address")
    is_card = pci.find("capability[@type='virt_functions']") is not None
    numa = pci.find('numa')
    return PciDevice(
        address=_address(pci),
        vendor_id=_id(pci, 'vendor'),
        product_id=_id(pci, 'product'),
        dev_type='type-VF' if parent is not None else 'type-PF' if is_card else 'type-PCI',
        numa_node=None if numa is None else int(str(numa.get('node'))),
        parent_addr=None if parent is None else str(Address.parse(parent)),
    )


def _capability(node: Node, kind: str) -> Node | None:
    return node.find(f"capability[@type='{kind}']")


def _pci(node: Node) -> Node:
    found = _capability(node, 'pci')
    assert found is not None
    return found


def _address(pci: Node) -> str:
    numbers = [int(_text(pci, name), 0) for name in ('domain', 'bus', 'slot', 'function')]
    return '{:04x}:{:02x}:{:02x}.{:x}'.format(*numbers)


def _id(pci: Node, name: str) -> str:
    found = pci.find(name)
    text = '' if found is None else str(found.get('id', ''))
    return text.removeprefix('0x').zfill(4)


def _text(node: Node, path: str) -> str:
    return (node.findtext(path) or '').strip()


# -- the kernel's names


def interface_of(address: str) -> str:
    """Return the network interface of a function.  Raises VirtDriverError."""
    return _only(address, 'net/*', 'network interface').name


def vdpa_of(address: str) -> str:
    """Return the character device of a vDPA function.  Raises VirtDriverError."""
    return '/dev/' + _only(address, 'vdpa*/vhost-vdpa-*', 'vDPA device').name


def _only(address: str, pattern: str, what: str) -> pathlib.Path:
    found = sorted((SYS / address).glob(pattern))
    if not found:
        raise exception.VirtDriverError(reason=f'PCI device {address} has no {what}.')
    return found[0]
