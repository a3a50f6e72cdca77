"""A running guest's domain, as the destination is to have it."""

import os
from typing import Any

from lxml import etree

from kilonova.compute.virt.libvirt.xml.element import Node


def adapted(xml: str, changes: dict[str, Any], source: str) -> str:
    """Return the domain with what is another at the destination.

    ``changes`` is what the destination has said: ``directory``, ``graphics`` (addresses to listen
    on), ``serial_ports``, ``interfaces`` by MAC address, ``volume_disks`` by volume;
    ``source`` is the server's directory here.  What the guest sees stays as it is.
    """
    domain = etree.fromstring(xml)
    for node in domain.findall('devices/disk'):
        # The destination finds out itself what its disks lie on.
        for below in node.findall('backingStore'):
            node.remove(below)
    move_files(domain, source, changes['directory'])
    for node in domain.findall('devices/graphics'):
        _listen(node, changes.get('graphics', {}))
    _renumber(domain, changes.get('serial_ports', []))
    for node in domain.findall('devices/interface'):
        mac = node.find('mac')
        new = changes.get('interfaces', {}).get(str(mac.get('address')) if mac is not None else '')
        if new:
            _rewire(node, etree.fromstring(new))
    for node in domain.findall('devices/disk'):
        new = changes.get('volume_disks', {}).get(str(node.findtext('serial')))
        if new:
            _replace(node, etree.fromstring(new), ('source',), ('type',))
    return etree.tostring(domain, encoding='unicode')


def move_files(domain: Node, old: str, new: str) -> None:
    """Let paths of one directory be those of another."""
    if old == new:
        return
    for node in domain.iter():
        for name in ('file', 'path'):
            value = node.get(name)
            if value is not None and os.path.dirname(value) == old:
                node.set(name, os.path.join(new, os.path.basename(value)))
    for tag in ('os/kernel', 'os/initrd'):
        found = domain.find(tag)
        if found is not None and found.text and os.path.dirname(found.text) == old:
            found.text = os.path.join(new, os.path.basename(found.text))


def _listen(node: Node, addresses: dict[str, str]) -> None:
    address = addresses.get(str(node.get('type')))
    if address is None:
        return
    node.set('listen', address)
    for child in node.findall('listen'):
        if child.get('type') == 'address':
            child.set('address', address)


def _renumber(domain: Node, ports: list[int]) -> None:
    """Give the serial ports on TCP the destination's numbers; a console is the first of them."""
    for kind in ('serial', 'console'):
        nodes = domain.findall(f'devices/{kind}[@type="tcp"]/source[@mode="bind"]')
        for node, port in zip(nodes, ports, strict=False):
            node.set('service', str(port))


def _rewire(old: Node, new: Node) -> None:
    """Plug a port as the destination has it; the device in the guest stays."""
    _replace(old, new, ('source', 'target', 'virtualport', 'vlan'), ('type', 'managed'))


def _replace(old: Node, new: Node, tags: tuple[str, ...], attributes: tuple[str, ...]) -> None:
    for name in attributes:
        value = new.get(name)
        if value is not None:
            old.set(name, value)
    for tag in tags:
        for node in old.findall(tag):
            old.remove(node)
        for node in new.findall(tag):
            old.append(node)
