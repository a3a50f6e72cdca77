"""What the guest starts from and what it is told: <os>, DMI, metadata."""

import datetime

from lxml import etree
from oslo_config import cfg

from kilonova.common import exception, version
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.wishes import Wishes
from kilonova.compute.virt.libvirt.xml import metadata, system

# Guests find out by these that they run in an OpenStack cloud.
VENDOR, PRODUCT = 'OpenStack Foundation', 'OpenStack Nova'
ARCHES = {'i386': 'i686', 'i486': 'i686', 'i586': 'i686', 'amd64': 'x86_64', 'arm64': 'aarch64'}
UEFI_ONLY = ('aarch64',)


def architecture(server: Server, host: Host) -> str:
    """Return the guest's architecture.  Raises BuildError if the host has it not."""
    props = ImageProps(server.image)
    wanted = props.get('hw_architecture') or props.get('architecture') or host.capabilities.arch
    arch = ARCHES.get(wanted.lower(), wanted.lower())
    kinds = {(name, kind) for name, kind, _os in host.capabilities.guests}
    if (arch, host.virt_type) not in kinds:
        raise exception.BuildError(
            uuid=server.uuid, reason=f'{host.virt_type} cannot run {arch} guests on this host'
        )
    return arch


def machine(server: Server, host: Host, arch: str) -> str | None:
    """Return the machine type: the image's, else the one the server got when it was made."""
    return (
        ImageProps(server.image).get('hw_machine_type')
        or server.system_metadata.get('image_hw_machine_type')
        or host.default_machine(arch)
    )


def boot(
    server: Server,
    arch: str,
    machine_type: str | None,
    kernel: str | None,
    initrd: str | None,
    root_device: str,
) -> system.Os:
    """Return <os>."""
    props = ImageProps(server.image)
    found = system.Os(arch=arch, machine=machine_type)
    if arch in ('x86_64', 'i686', 'aarch64'):
        found.smbios = 'sysinfo'
    if kernel is not None:
        found.kernel, found.initrd = kernel, initrd
        found.cmdline = props.get('os_command_line') or f'root={root_device} console=ttyS0'
    else:
        found.boot = [system.Boot(dev='cdrom' if server.image.disk_format == 'iso' else 'hd')]
    if Wishes(server).flag('boot_menu'):
        found.menu = 'yes'
    if uses_uefi(server, arch):
        found.firmware = 'efi'
        secure = 'yes' if wants_secure_boot(server) else 'no'
        names = ('enrolled-keys', 'secure-boot') if secure == 'yes' else ('secure-boot',)
        found.firmware_features = [
            system.FirmwareFeature(enabled=secure, name=name) for name in names
        ]
        if props.flag('hw_firmware_stateless'):
            found.stateless = 'yes'
    return found


def uses_uefi(server: Server, arch: str) -> bool:
    kind = ImageProps(server.image).get('hw_firmware_type')
    return kind == 'uefi' or (kind is None and arch in UEFI_ONLY)


def wants_secure_boot(server: Server) -> bool:
    """Whether flavor or image require Secure Boot."""
    image = ImageProps(server.image).get('os_secure_boot')
    return 'required' in (server.flavor.extra_specs.get('os:secure_boot'), image)


def sysinfo(conf: cfg.ConfigOpts, server: Server, host: Host) -> system.SysInfo:
    """Return the DMI strings."""
    strings = {
        'manufacturer': VENDOR,
        'product': PRODUCT,
        'version': version.VERSION,
        'serial': _serial(conf.libvirt.sysinfo_serial, server, host),
        'uuid': server.uuid,
        'family': 'Virtual Machine',
    }
    entries = [system.Entry(name=name, value=text) for name, text in strings.items() if text]
    return system.SysInfo(system=entries)


def _serial(kind: str, server: Server, host: Host) -> str | None:
    if kind == 'unique':
        return server.uuid
    if kind in ('os', 'auto'):
        found = _machine_id()
        if found or kind == 'os':
            return found
    if kind in ('hardware', 'auto'):
        xml = host.connection.call(lambda conn: conn.getCapabilities())
        return etree.fromstring(xml).findtext('host/uuid')
    return None


def _machine_id() -> str | None:
    try:
        with open('/etc/machine-id') as file:
            text = file.read().strip()
    except OSError:
        return None
    return f'{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}' if text else None


def describe(server: Server, vifs: list[VIF], now: datetime.datetime) -> metadata.Instance:
    """Return the metadata that tells what server the domain is."""
    flavor = server.flavor
    return metadata.Instance(
        version=version.VERSION,
        name=server.name,
        created=now.strftime('%Y-%m-%d %H:%M:%S'),
        flavor=flavor.name,
        memory=flavor.memory_mb,
        disk=flavor.root_gb,
        swap=flavor.swap,
        ephemeral=flavor.ephemeral_gb,
        vcpus=flavor.vcpus,
        user_id=server.user_id,
        project_id=server.project_id,
        root_type='image' if server.image.id else None,
        root_id=server.image.id or None,
        ports=[
            metadata.Port(
                uuid=vif.id,
                ips=[metadata.Ip(address=ip.address, version=ip.version) for ip in vif.fixed_ips],
            )
            for vif in vifs
        ],
    )
