"""The whole <domain> of a server."""

import dataclasses
import datetime
from collections.abc import Sequence

from kilonova.common import exception, naming
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import guest_cpu, guest_features, guest_numa, guest_system, vif
from kilonova.compute.virt.libvirt.guest_devices import Devices
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.xml import domain
from kilonova.compute.virt.libvirt.xml.element import Element

# One is enough to keep disks' work away from QEMU's main loop.
IOTHREADS = 1
# Extra specs and image properties that we know of and cannot give: a guest without what was
# asked for would be worse than none.
UNSUPPORTED_SPECS = (
    'hw:mem_encryption=true',
    'hw:tpm_version=1.2',
    'hw:ephemeral_encryption=true',
    'hw:pmem',
    'accel:device_profile',
)
UNSUPPORTED_PROPERTIES = (
    'hw_mem_encryption=true',
    'hw_tpm_version=1.2',
    'hw_ephemeral_encryption=true',
)
# What only a server with a topology, which the scheduler has found for it, can have.
PLACED_SPECS = (
    'hw:cpu_policy=dedicated',
    'hw:cpu_policy=mixed',
    'hw:mem_page_size',
    'hw:numa_nodes',
)
PLACED_PROPERTIES = (
    'hw_cpu_policy=dedicated',
    'hw_cpu_policy=mixed',
    'hw_mem_page_size',
    'hw_numa_nodes',
)


@dataclasses.dataclass
class Parts:
    """What is not derived from the server alone."""

    directory: str
    disks: Sequence[Element]
    buses: set[str]
    machine: str | None = None
    """The machine type of an existing domain, which must stay what it is."""
    root_device: str = '/dev/vda'
    kernel: str | None = None
    initrd: str | None = None
    boots_by_device: bool = False
    """The disks say themselves which one is booted from."""
    tpm_secret: str | None = None
    """libvirt's secret that encrypts the state of the guest's TPM."""
    serial_ports: list[int] = dataclasses.field(default_factory=list)
    now: datetime.datetime | None = None


def check_supported(server: Server) -> None:
    """Raise BuildAborted if the server asks for something that this driver cannot give."""
    specs: tuple[str, ...] = UNSUPPORTED_SPECS
    properties: tuple[str, ...] = UNSUPPORTED_PROPERTIES
    if not guest_numa.nodes(server):
        specs, properties = specs + PLACED_SPECS, properties + PLACED_PROPERTIES
    asked = [
        ('the flavor', server.flavor.extra_specs, specs),
        ('the image', server.image.properties, properties),
    ]
    for whose, values, names in asked:
        for entry in names:
            name, _, value = entry.partition('=')
            found = values.get(name)
            if found is not None and (not value or str(found).lower() == value):
                raise exception.BuildAborted(
                    uuid=server.uuid, reason=f'{name} of {whose} is not supported'
                )


def build(host: Host, server: Server, vifs: list[VIF], parts: Parts) -> domain.Domain:
    """Return the domain.  Raises BuildError kinds, VirtDriverError."""
    arch = guest_system.architecture(server, host)
    machine = parts.machine or guest_system.machine(server, host, arch)
    caps = host.domain_capabilities(arch, machine)
    if server.flavor.vcpus > caps.max_vcpus:
        raise exception.BuildError(
            uuid=server.uuid, reason=f'{caps.machine} takes {caps.max_vcpus} processors at most'
        )
    conf = host.conf
    devices = Devices(conf, server, arch, machine, caps, parts.tpm_secret)
    now = parts.now or datetime.datetime.now(datetime.UTC)
    system = guest_system.boot(server, arch, machine, parts.kernel, parts.initrd, parts.root_device)
    if parts.boots_by_device:
        system.boot = []
    return domain.Domain(
        type=host.virt_type,
        uuid=server.uuid,
        name=naming.instance_name(conf.instance_name_template, server),
        memory=server.flavor.memory_mb * 1024,
        backing=guest_numa.backing(conf, server),
        vcpus=server.flavor.vcpus,
        cpuset=guest_numa.cpuset(host, server),
        iothreads=IOTHREADS,
        numatune=guest_numa.tune(server),
        metadata=guest_system.describe(server, vifs, now),
        cputune=guest_cpu.tune(host, server),
        sysinfo=guest_system.sysinfo(conf, server, host),
        os=system,
        features=guest_features.features(conf, server, arch, host.virt_type, caps),
        cpu=guest_cpu.build(host, server, arch, caps),
        clock=guest_features.clock(server, arch, host.virt_type),
        devices=domain.Devices(
            emulator=caps.emulator,
            items=[
                *parts.disks,
                *[vif.to_xml(conf, server, port) for port in vifs],
                *devices.all(parts.directory, parts.buses, parts.serial_ports),
            ],
        ),
    )
