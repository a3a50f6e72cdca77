"""What libvirt says of the host and of what QEMU can give to guests."""

import dataclasses
from typing import Any, Self

from lxml import etree


@dataclasses.dataclass(frozen=True)
class HostCapabilities:
    """From virConnectGetCapabilities."""

    arch: str
    cpu_model: str | None
    cpu_vendor: str | None
    cells: int
    sockets: int
    cores: int
    threads: int
    features: tuple[str, ...]
    guests: tuple[tuple[str, str, str], ...]
    """(architecture, domain type, os type) of each kind of guest."""
    maxphysaddr: dict[str, Any] | None = None

    @classmethod
    def parse(cls, xml: str) -> Self:
        root = etree.fromstring(xml)
        cpu = root.find('host/cpu')
        topology = None if cpu is None else cpu.find('topology')
        bits = None if cpu is None else cpu.find('maxphysaddr')
        return cls(
            arch=root.findtext('host/cpu/arch') or '',
            cpu_model=root.findtext('host/cpu/model'),
            cpu_vendor=root.findtext('host/cpu/vendor'),
            cells=len(root.findall('host/topology/cells/cell')) or 1,
            sockets=_int(topology, 'sockets'),
            cores=_int(topology, 'cores'),
            threads=_int(topology, 'threads'),
            features=_names(root.findall('host/cpu/feature')),
            guests=tuple(_guests(root)),
            maxphysaddr=None if bits is None else dict(bits.attrib),
        )

    def virt_types(self) -> set[str]:
        """Return the domain types that libvirt offers for the host's own architecture."""
        return {kind for arch, kind, _os in self.guests if arch == self.arch}


def _guests(root: Any) -> list[tuple[str, str, str]]:
    return [
        (arch.get('name'), kind.get('type'), guest.findtext('os_type') or 'hvm')
        for guest in root.findall('guest')
        for arch in guest.findall('arch')
        for kind in arch.findall('domain')
    ]


def _int(node: Any, attribute: str) -> int:
    return int(node.get(attribute, 1)) if node is not None else 1


def _names(nodes: list[Any]) -> tuple[str, ...]:
    return tuple(sorted({str(node.get('name')) for node in nodes}))


@dataclasses.dataclass(frozen=True)
class DomainCapabilities:
    """From virConnectGetDomainCapabilities: for one machine type and virt_type."""

    machine: str
    emulator: str
    max_vcpus: int
    disk_buses: frozenset[str]
    video_models: frozenset[str]
    graphics: frozenset[str]
    cpu_modes: frozenset[str]
    cpu_models: frozenset[str]
    """Those that this host can run."""
    host_model: str | None
    """The <cpu> element of host-model, as a processor description."""
    firmware: frozenset[str]
    secure_boot: bool
    vmcoreinfo: bool

    @classmethod
    def parse(cls, xml: str) -> Self:
        root = etree.fromstring(xml)
        return cls(
            machine=root.findtext('machine') or '',
            emulator=root.findtext('path') or '',
            max_vcpus=int(root.find('vcpu').get('max')) if root.find('vcpu') is not None else 1,  # type: ignore[union-attr,arg-type]
            disk_buses=_enum(root, 'devices/disk', 'bus'),
            video_models=_enum(root, 'devices/video', 'modelType'),
            graphics=_enum(root, 'devices/graphics', 'type'),
            cpu_modes=frozenset(
                str(mode.get('name'))
                for mode in root.findall('cpu/mode')
                if mode.get('supported') == 'yes'
            ),
            cpu_models=frozenset(
                model.text or ''
                for model in root.findall("cpu/mode[@name='custom']/model")
                if model.get('usable') != 'no'
            ),
            host_model=_host_model(root),
            firmware=_enum(root, 'os', 'firmware'),
            secure_boot='yes' in _enum(root, 'os/loader', 'secure'),
            vmcoreinfo=root.find("features/vmcoreinfo[@supported='yes']") is not None,
        )


def _enum(root: Any, path: str, name: str) -> frozenset[str]:
    values = root.findall(f"{path}[@supported='yes']/enum[@name='{name}']/value")
    return frozenset(value.text for value in values)


def _host_model(root: Any) -> str | None:
    mode = root.find("cpu/mode[@name='host-model']")
    if mode is None or mode.find('model') is None:
        return None
    cpu = etree.Element('cpu')
    etree.SubElement(cpu, 'arch').text = root.findtext('arch')
    cpu.extend([etree.fromstring(etree.tostring(child)) for child in mode])
    return etree.tostring(cpu, encoding='unicode')
