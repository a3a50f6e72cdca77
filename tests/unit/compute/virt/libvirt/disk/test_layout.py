import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.disk import layout

GIB = 1024**3


def _plan(conf: cfg.ConfigOpts, server: Server, machine: str = 'pc') -> layout.Layout:
    return layout.plan(conf, server, 'x86_64', machine, True)


def _all(found: layout.Layout) -> list[tuple[str, str, str, str]]:
    disks = [found.root, *found.ephemeral, found.swap, found.config_drive]
    return [(d.name, d.target, d.bus, d.device) for d in disks if d is not None]


def test_everything_a_flavor_has(conf: cfg.ConfigOpts, server: Server) -> None:
    server.flavor.ephemeral_gb, server.flavor.swap = 5, 64
    found = _plan(conf, server)
    assert _all(found) == [
        ('disk', 'vda', 'virtio', 'disk'),
        ('disk.eph0', 'vdb', 'virtio', 'disk'),
        ('disk.swap', 'vdc', 'virtio', 'disk'),
        ('disk.config', 'hda', 'ide', 'cdrom'),
    ]
    assert found.root and found.root.size == GIB
    assert found.ephemeral[0].size == 5 * GIB
    assert found.swap and found.swap.size == 64 * 1024**2
    assert found.buses == {'virtio', 'ide'}


def test_only_what_there_is(conf: cfg.ConfigOpts, server: Server) -> None:
    found = layout.plan(conf, server, 'x86_64', 'pc', False)
    assert _all(found) == [('disk', 'vda', 'virtio', 'disk')]


def test_block_devices_say_more_than_the_flavor(conf: cfg.ConfigOpts, server: Server) -> None:
    server.flavor.ephemeral_gb, server.flavor.swap = 5, 64
    server.block_devices = [
        BlockDevice(source_type='image', image_id='x', boot_index=0),
        BlockDevice(source_type='blank', volume_size=2, guest_format='ext4'),
        BlockDevice(source_type='blank', volume_size=3, disk_bus='scsi'),
        BlockDevice(source_type='blank', guest_format='swap'),
    ]
    found = _plan(conf, server)
    assert [(d.size, d.filesystem, d.target) for d in found.ephemeral] == [
        (2 * GIB, 'ext4', 'vdb'),
        (3 * GIB, None, 'sda'),
    ]
    assert found.swap and found.swap.size == 64 * 1024**2


@pytest.mark.parametrize(
    ('properties', 'machine', 'expected'),
    [
        ({'hw_disk_bus': 'scsi'}, 'pc', ['sda', 'hda']),
        ({'hw_disk_bus': 'ide'}, 'pc', ['hda', 'hdb']),
        ({}, 'q35', ['vda', 'sda']),
        ({'hw_disk_bus': 'sata'}, 'pc-q35-7.2', ['sda', 'sdb']),
        ({'hw_cdrom_bus': 'scsi'}, 'pc', ['vda', 'sda']),
    ],
)
def test_buses(
    conf: cfg.ConfigOpts,
    server: Server,
    properties: dict[str, str],
    machine: str,
    expected: list[str],
) -> None:
    server.image.properties = properties
    assert [disk[1] for disk in _all(_plan(conf, server, machine))] == expected


def test_vfat_config_drive_is_a_disk(conf: cfg.ConfigOpts, server: Server) -> None:
    conf.set_override('config_drive_format', 'vfat')
    assert _all(_plan(conf, server))[-1] == ('disk.config', 'vdb', 'virtio', 'disk')


def test_iso_boots_from_a_drive(conf: cfg.ConfigOpts, server: Server) -> None:
    server.image.disk_format = 'iso'
    root = _plan(conf, server).root
    assert root and (root.device, root.target, root.size) == ('cdrom', 'hda', 0)


def test_prefix(conf: cfg.ConfigOpts, server: Server) -> None:
    conf.set_override('disk_prefix', 'xd', 'libvirt')
    assert [disk[1] for disk in _all(_plan(conf, server))] == ['xda', 'xdb']


def test_other_architectures_have_no_ide() -> None:
    assert layout.default_cdrom_bus('aarch64', 'virt') == 'scsi'


def test_too_many_disks(conf: cfg.ConfigOpts, server: Server) -> None:
    server.image.properties = {'hw_disk_bus': 'ide'}
    server.block_devices = [BlockDevice(source_type='blank', volume_size=1) for _ in range(4)]
    with pytest.raises(exception.InvalidInput, match='ide'):
        _plan(conf, server)
