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


def plan(old: Node, server: Server, image: Image, arch: str, root: str) -> Plan:
    """Return where the rescue disk goes; ``root`` is what the root disk is called.

    Raises ImageUnacceptable, InvalidInput, VirtDriverError.
    """
    props = ImageProps(image)
    bus, device = props.get('hw_rescue_bus'), props.get('hw_rescue_device')
    if bus is None and device is None:
        target = _target(_root(old, root))
        # It takes the place of the disk that the server booted from before.
        disk = PlannedDisk(name=NAME, target=str(target.get('dev')), bus=str(target.get('bus')))
        return Plan(disk, stable=False)
    if bus is None:
        kind = old.find('os/type')
        machine = None if kind is None else kind.get('machine')
        usual = ImageProps(server.image).get('hw_disk_bus') or 'virtio'
        bus = layout.default_cdrom_bus(arch, machine) if device == 'cdrom' else usual
    disk = PlannedDisk(name=NAME, target=_free(old, bus), bus=bus, device=device or 'disk')
    return Plan(disk, stable=True)


def _root(domain: Node, root: str) -> Node:
    for node in domain.findall('devices/disk'):
        if _source(node) == root:
            return node
    raise exception.VirtDriverError(
        reason='A server without a root disk of its own needs a rescue image with '
        'hw_rescue_device or hw_rescue_bus.'
    )


def _target(node: Node) -> Node:
    target = node.find('target')
    assert target is not None
    return target


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
    if plan.stable:
        disk.boot_order = 1
        _drop_boot_order(domain)
    else:
        node = _root(domain, root)
        _target(node).set('dev', _free(domain, plan.disk.bus))
        for found in [found for tag in PER_DISK for found in node.findall(tag)]:
            node.remove(found)
    devices.insert(0, disk.build())


def _drop_boot_order(domain: Node) -> None:
    """Let the rescue disk be the only one that says when it is booted from."""
    for node in [*domain.findall('os/boot'), *domain.findall('devices/*/boot')]:
        parent = node.getparent()
        assert parent is not None
        parent.remove(node)


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
