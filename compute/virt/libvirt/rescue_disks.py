"""Where the disk of a rescue stands among a guest's own."""

import dataclasses
import os

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.disk import layout
from kilonova.compute.virt.libvirt.disk.layout import PlannedDisk
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.xml.disk import Disk
from kilonova.compute.virt.libvirt.xml.element import Node

NAME = 'disk.rescue'
PER_DISK = ('address', 'alias', 'backingStore')


@dataclasses.dataclass(frozen=True)
class Plan:
    """``stable``: all other disks stay where they are."""

    disk: PlannedDisk
    stable: bool


def plan(old: Node, server: Server, image: Image, arch: str) -> Plan:
    """Return where the rescue disk goes.  Raises ImageUnacceptable, InvalidInput."""
    props = ImageProps(image)
    bus, device = props.get('hw_rescue_bus'), props.get('hw_rescue_device')
    usual = ImageProps(server.image).get('hw_disk_bus') or 'virtio'
    if bus is None and device is None:
        # No q35 or other board without the bus could have booted the server before.
        target = layout.PREFIX[usual] + 'a'
        return Plan(PlannedDisk(name=NAME, target=target, bus=usual), stable=False)
    if bus is None:
        kind = old.find('os/type')
        machine = None if kind is None else kind.get('machine')
        bus = layout.default_cdrom_bus(arch, machine) if device == 'cdrom' else usual
    target = _free(old, bus)
    return Plan(PlannedDisk(name=NAME, target=target, bus=bus, device=device or 'disk'), True)


def _free(old: Node, bus: str) -> str:
    taken = {str(node.get('dev')) for node in old.findall('devices/disk/target')}
    for letter in layout.LETTERS[: layout.PLACES.get(bus, 26)]:
        name = layout.PREFIX[bus] + letter
        if name not in taken:
            return name
    raise exception.InvalidInput(reason=f'There are too many disks on the {bus} bus')


def put(domain: Node, plan: Plan, disk: Disk, root: str) -> None:
    """Put the rescue disk into a domain, whose root disk is called ``root``."""
    devices = domain.find('devices')
    assert devices is not None
    nodes = devices.findall('disk')
    if plan.stable:
        disk.boot_order = 1
        _drop_boot_order(domain)
    else:
        second = layout.PREFIX[plan.disk.bus] + 'b'
        for node in nodes:
            if _source(node) == root:
                _move(node, second, plan.disk.bus)
            elif not _is_config_drive(node):
                devices.remove(node)
        _make_room(devices.findall('disk'), root, second)
    devices.insert(0, disk.build())


def _drop_boot_order(domain: Node) -> None:
    """Let the rescue disk be the only one that says when it is booted from."""
    for node in [*domain.findall('os/boot'), *domain.findall('devices/*/boot')]:
        parent = node.getparent()
        assert parent is not None
        parent.remove(node)


def _move(node: Node, name: str, bus: str) -> None:
    target = node.find('target')
    assert target is not None
    target.set('dev', name)
    target.set('bus', bus)
    for tag in PER_DISK:
        for found in node.findall(tag):
            node.remove(found)


def _make_room(nodes: list[Node], root: str, second: str) -> None:
    """Give the configuration drive another name when the root disk has taken its own."""
    for node in nodes:
        target = node.find('target')
        if target is not None and _source(node) != root and target.get('dev') == second:
            _move(node, second[:-1] + 'c', str(target.get('bus')))


def swap_config_drive(domain: Node, directory: str, name: str) -> bool:
    """Let a domain's configuration drive be another file; false when it has none."""
    for node in domain.findall('devices/disk'):
        source = node.find('source')
        if source is not None and _is_config_drive(node):
            source.set('file', os.path.join(directory, name))
            return True
    return False


def _is_config_drive(node: Node) -> bool:
    return os.path.basename(_source(node)) == 'disk.config'


def _source(node: Node) -> str:
    source = node.find('source')
    if source is None:
        return ''
    return str(source.get('file') or source.get('dev') or source.get('name') or '')
