"""Servers with hardware of all kinds, for golden domains."""

from oslo_config import cfg

from kilonova.common.objects.network import VIF
from kilonova.common.objects.numa import NumaNode, NumaTopology
from kilonova.common.objects.pci import PciDevice
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import Share


def security(conf: cfg.ConfigOpts, server: Server) -> None:
    """A TPM, an IOMMU, firmware without a memory, a USB controller of its own."""
    server.flavor.extra_specs = {
        'hw:tpm_version': '2.0',
        'hw:tpm_model': 'tpm-crb',
        'hw:viommu_model': 'auto',
        'hw:usb_model': 'qemu-xhci',
        'hw:maxphysaddr_mode': 'emulate',
        'hw:maxphysaddr_bits': '42',
        'hw:hide_hypervisor_id': 'true',
        'hw:sound_model': 'ich9',
        'hw:boot_menu': 'True',
    }
    server.image.properties = {
        'hw_machine_type': 'q35',
        'hw_firmware_type': 'uefi',
        'hw_firmware_stateless': 'true',
    }


def windows(conf: cfg.ConfigOpts, server: Server) -> None:
    """What Windows makes use of, with KVM."""
    conf.set_override('virt_type', 'kvm', 'libvirt')
    server.flavor.extra_specs = {'hw:hide_hypervisor_id': 'yes', 'hw:cpu_max_sockets': '1'}
    server.image.properties = {'os_type': 'windows', 'hw_time_hpet': 'yes', 'hw_disk_bus': 'ide'}


def spice_usb(conf: cfg.ConfigOpts, server: Server) -> None:
    """Ports for the USB devices of a SPICE client, and a tablet without USB."""
    conf.set_override('enabled', True, 'spice')
    for name in ('jpeg_compression', 'zlib_compression'):
        conf.set_override(name, 'never', 'spice')
    conf.set_override('streaming_mode', 'filter', 'spice')
    conf.set_override('require_secure', True, 'spice')
    server.flavor.extra_specs = {'hw:redirected_usb_ports': '2'}
    server.image.properties = {'hw_input_bus': 'virtio', 'hw_disk_bus': 'sata'}


def placed(conf: cfg.ConfigOpts, server: Server) -> None:
    """Dedicated processors, huge pages, real time."""
    conf.set_override('cpu_shared_set', '0', 'compute')
    server.flavor.vcpus = 3
    server.flavor.extra_specs = {
        'hw:cpu_policy': 'mixed',
        'hw:cpu_realtime': 'yes',
        'hw:cpu_realtime_mask': '^0',
        'hw:emulator_threads_policy': 'share',
        'hw:mem_page_size': '2MB',
        'hw:numa_nodes': '2',
    }
    server.numa_topology = NumaTopology(
        nodes=[
            NumaNode(id=0, vcpus=[0, 1], memory_mb=256, pagesize_kb=2048, cpu_pinning={1: 1}),
            NumaNode(id=1, vcpus=[2], memory_mb=256, pagesize_kb=4, cpu_pinning={2: 5}),
        ]
    )


def shared_files(conf: cfg.ConfigOpts, server: Server) -> None:
    """File shares, for which the memory has to be shared, too."""
    conf.set_override('nfs_mount_point_base', '/mnt', 'libvirt')
    server.shares = [
        Share(uuid='u', share_id='s', tag='docs', status='inactive', export_location='nas:/docs'),
        Share(uuid='v', share_id='t', tag='gone', status='detaching', export_location='nas:/x'),
    ]


def shared_nodes(conf: cfg.ConfigOpts, server: Server) -> None:
    """The same with a NUMA node, whose memory is locked."""
    shared_files(conf, server)
    server.flavor.extra_specs = {'hw:locked_memory': 'true', 'hw:numa_nodes': '1'}
    server.numa_topology = NumaTopology(nodes=[NumaNode(id=0, vcpus=[0, 1], memory_mb=512)])


def file_backed(conf: cfg.ConfigOpts, server: Server) -> None:
    """Guest memory in files, floating over the shared processors."""
    conf.set_override('file_backed_memory', 1024, 'libvirt')
    conf.set_override('cpu_shared_set', '0-2,^1', 'compute')
    conf.set_override('preallocate_images', 'space')


def networks(conf: cfg.ConfigOpts, server: Server) -> None:
    """Limits of traffic, packed rings, many queues."""
    conf.set_override('rx_queue_size', 512, 'libvirt')
    conf.set_override('tx_queue_size', 256, 'libvirt')
    limits = {'average': '10', 'peak': '20', 'burst': '30'}
    server.flavor.extra_specs = {
        'hw:virtio_packed_ring': 'true',
        'hw:vif_multiqueue_enabled': 'true',
        'hw_rng:rate_bytes': '64',
        'hw_rng:rate_period': '1000',
        'quota:cpu_period': '10000',
        'quota:cpu_quota': '5000',
        **{f'quota:vif_inbound_{name}': value for name, value in limits.items()},
        **{f'quota:vif_outbound_{name}': value for name, value in limits.items()},
        **{
            f'quota:disk_{name}': str(number)
            for number, name in enumerate(
                ('read_bytes_sec', 'write_bytes_sec', 'read_iops_sec', 'write_iops_sec'), 1
            )
        },
    }


def limited_disk(conf: cfg.ConfigOpts, server: Server) -> None:
    """The other limits of disks."""
    server.flavor.extra_specs = {
        'quota:disk_total_bytes_sec': '1000',
        'quota:disk_total_iops_sec': '10',
        'quota:cpu_shares': '7',
    }


def ports(ovs: VIF) -> list[VIF]:
    """A port of each kind that is wired in its own way."""
    kinds = {
        'tap': {'ovs_create_tap': True},
        'bridge': {'bridge_name': 'br1'},
        'vhostuser': {'vhostuser_socket': '/run/vhu', 'vhostuser_mode': 'server'},
        'macvtap': {'macvtap_source': 'eth1', 'macvtap_mode': 'bridge'},
    }
    found = [ovs]
    for number, (kind, details) in enumerate(kinds.items(), 1):
        found.append(
            VIF(
                id=f'0a1b2c3d-0000-4000-8000-00000000000{number}',
                address=f'fa:16:3e:00:00:0{number + 1}',
                network_id=ovs.network_id,
                devname=f'tap{number}',
                type=kind,
                details=details,
                mtu=1450,
            )
        )
    return found


def cards(conf: cfg.ConfigOpts, server: Server) -> None:
    """Devices of the host: by alias, and one that belongs to a port."""
    server.pci_devices = [
        PciDevice(address='0000:81:00.0', vendor_id='10de', product_id='1eb8', alias='gpu'),
        PciDevice(address='0000:03:10.1', vendor_id='8086', product_id='10ed', port_id='p'),
    ]


def functions(ovs: VIF) -> list[VIF]:
    """A port of each kind that is a PCI device."""
    kinds = [
        ('hw_veb', 'direct', {'vlan': '7'}),
        ('hw_veb', 'macvtap', {'vlan': '8'}),
        ('hostdev_physical', 'direct-physical', {'vlan': '9'}),
        ('ovs', 'direct', {}),
        ('ovs', 'vdpa', {}),
    ]
    return [
        VIF(
            id=f'0a1b2c3d-0000-4000-8000-00000000000{number}',
            address=f'fa:16:3e:00:00:0{number}',
            network_id=ovs.network_id,
            type=kind,
            vnic_type=vnic,
            details=details,
            profile={'pci_slot': f'0000:03:10.{number}'},
            mtu=1450,
        )
        for number, (kind, vnic, details) in enumerate(kinds, 1)
    ]


ALL = [
    cards,
    security,
    windows,
    spice_usb,
    placed,
    shared_files,
    shared_nodes,
    file_backed,
    networks,
    limited_disk,
]
