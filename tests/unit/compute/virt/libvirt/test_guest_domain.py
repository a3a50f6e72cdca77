"""Golden domains: tests/data/libvirt/domain-*.xml; rewrite them with --regenerate."""

import datetime
import os
import pathlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from oslo_config import cfg

from kilonova.common import exception, version
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import guest_domain, guest_system, pci
from kilonova.compute.virt.libvirt.disk import description, layout
from kilonova.compute.virt.libvirt.disk.qcow2 import Qcow2
from kilonova.compute.virt.libvirt.disk.raw import Raw
from kilonova.compute.virt.libvirt.host import Host
from kilonova.tests.fakes.libvirt import DATA
from kilonova.tests.unit.compute.virt.libvirt import shapes

Shape = Callable[[cfg.ConfigOpts, Server], None]
DIRECTORY = '/var/lib/nova/instances/vm1'


def plain(conf: cfg.ConfigOpts, server: Server) -> None:
    """As a user gets it who asks for nothing."""


def uefi_q35(conf: cfg.ConfigOpts, server: Server) -> None:
    conf.set_override('num_pcie_ports', 2, 'libvirt')
    server.image.properties = {
        'hw_machine_type': 'q35',
        'hw_firmware_type': 'uefi',
        'os_secure_boot': 'required',
        'hw_disk_bus': 'scsi',
        'hw_scsi_model': 'virtio-scsi',
        'hw_qemu_guest_agent': 'yes',
        'hw_watchdog_action': 'reset',
    }


def consoles(conf: cfg.ConfigOpts, server: Server) -> None:
    conf.set_override('enabled', False, 'vnc')
    conf.set_override('enabled', True, 'spice')
    conf.set_override('image_compression', 'auto_glz', 'spice')
    conf.set_override('playback_compression', False, 'spice')
    conf.set_override('enabled', True, 'serial_console')
    server.flavor.extra_specs = {'hw:serial_port_count': '2'}


def tuned(conf: cfg.ConfigOpts, server: Server) -> None:
    conf.set_override('cpu_mode', 'custom', 'libvirt')
    conf.set_override('cpu_models', ['Westmere', 'EPYC', 'qemu64'], 'libvirt')
    conf.set_override('cpu_model_extra_flags', ['aes', '-avx'], 'libvirt')
    conf.set_override('tb_cache_size', 64, 'libvirt')
    conf.set_override('mem_stats_period_seconds', 0, 'libvirt')
    conf.set_override('hw_disk_discard', 'unmap', 'libvirt')
    server.flavor.vcpus = 8
    server.flavor.extra_specs = {
        'quota:cpu_shares': '512',
        'quota:disk_read_iops_sec': '100',
        'hw:cpu_sockets': '2',
        'hw:cpu_threads': '2',
        'hw_rng:allowed': 'False',
        'hw_video:ram_max_mb': '32',
        'hw:vif_multiqueue_enabled': 'true',
    }
    server.image.properties = {
        'hw_video_ram': '16',
        'os_type': 'windows',
        'hw_virtio_packed_ring': 'true',
        'hw_boot_menu': 'true',
        'hw_pmu': 'false',
    }


def kernel(conf: cfg.ConfigOpts, server: Server) -> None:
    server.kernel_id, server.ramdisk_id = 'kernel', 'ramdisk'
    server.image.properties = {'os_command_line': 'console=ttyS0 quiet'}


@pytest.mark.parametrize('shape', [plain, uefi_q35, consoles, tuned, kernel, *shapes.ALL])
def test_golden(
    shape: Shape,
    conf: cfg.ConfigOpts,
    host: Host,
    server: Server,
    ovs_vif: VIF,
    request: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    monkeypatch.setattr(version, 'VERSION', '1.0')
    shape(conf, server)
    monkeypatch.setattr(pci, 'SYS', tmp_path)
    (tmp_path / '0000:03:10.2' / 'net' / 'ens1v2').mkdir(parents=True)
    (tmp_path / '0000:03:10.5' / 'vdpa0' / 'vhost-vdpa-3').mkdir(parents=True)
    ports = {'networks': shapes.ports, 'cards': shapes.functions}.get(shape.__name__)
    vifs = ports(ovs_vif) if ports else [ovs_vif]
    domain = guest_domain.build(host, server, vifs, _parts(conf, host, server))
    golden: pathlib.Path = DATA / f'domain-{shape.__name__.replace("_", "-")}.xml'
    if request.config.getoption('regenerate', default=False):
        golden.write_text(domain.to_xml())
    assert domain.to_xml() == golden.read_text()


def _parts(conf: cfg.ConfigOpts, host: Host, server: Server) -> guest_domain.Parts:
    machine = guest_system.machine(server, host, 'x86_64')
    planned = layout.plan(conf, server, 'x86_64', machine, True)
    assert planned.root and planned.config_drive
    describer = description.Describer(conf)
    describer._direct_io[os.path.dirname(DIRECTORY)] = True
    disks = [
        describer.xml(server, planned.root, DIRECTORY, Qcow2(conf)),
        describer.xml(server, planned.config_drive, DIRECTORY, Raw(conf)),
    ]
    return guest_domain.Parts(
        directory=DIRECTORY,
        disks=disks,
        buses=planned.buses,
        kernel=f'{DIRECTORY}/kernel' if server.kernel_id else None,
        initrd=f'{DIRECTORY}/ramdisk' if server.ramdisk_id else None,
        tpm_secret='6ffd7a5e-0000-4c02-a74a-00000000dead',
        serial_ports=[10000, 10001] if conf.serial_console.enabled else [],
        now=datetime.datetime(2026, 1, 2, 3, 4, 5),
    )


@pytest.mark.parametrize(
    ('specs', 'properties'),
    [
        ({'hw:cpu_policy': 'dedicated'}, {}),
        ({'hw:mem_page_size': 'large'}, {}),
        ({}, {'hw_numa_nodes': '2'}),
        ({}, {'hw_tpm_version': '1.2'}),
    ],
)
def test_what_cannot_be_given_is_refused(
    server: Server, specs: dict[str, str], properties: dict[str, str]
) -> None:
    server.flavor.extra_specs, server.image.properties = specs, properties
    with pytest.raises(exception.BuildAborted, match='not supported'):
        guest_domain.check_supported(server)


def test_ordinary_servers_are_supported(server: Server) -> None:
    server.flavor.extra_specs = {'hw:cpu_policy': 'shared', 'quota:cpu_shares': '1'}
    guest_domain.check_supported(server)


def test_too_many_processors(conf: cfg.ConfigOpts, host: Host, server: Server) -> None:
    server.flavor.vcpus = 999
    with pytest.raises(exception.BuildError, match='processors at most'):
        guest_domain.build(host, server, [], _parts(conf, host, server))


def test_foreign_architecture(host: Host, server: Server) -> None:
    server.image = msgspec.structs.replace(server.image, properties={'architecture': 's390x'})
    with pytest.raises(exception.BuildError, match='s390x'):
        guest_system.architecture(server, host)


def test_machine_type_stays_what_it_was(host: Host, server: Server) -> None:
    server.system_metadata = {'image_hw_machine_type': 'pc-i440fx-7.2'}
    assert guest_system.machine(server, host, 'x86_64') == 'pc-i440fx-7.2'


def test_bad_property_names_itself(conf: cfg.ConfigOpts, host: Host, server: Server) -> None:
    server.image.properties = {'hw_vif_model': 'pigeon'}
    with pytest.raises(exception.ImageUnacceptable, match='hw_vif_model'):
        guest_domain.build(
            host,
            server,
            [VIF(id='p', address='m', network_id='n', type='ovs')],
            _parts(conf, host, server),
        )
