"""What libvirt says of the host and of what QEMU can give to guests."""

import dataclasses
from typing import Any, Self

from lxml import etree

from kilonova.compute.virt.libvirt import cpu_sets


@dataclasses.dataclass(frozen=True)
class HostNode:
    """A NUMA node: its processors with the threads of their cores, and KiB and pages of memory."""

    id: int
    memory_kb: int
    siblings: dict[int, tuple[int, ...]]
    sockets: dict[int, int]
    pages: dict[int, int]

    @classmethod
    def parse(cls, cell: Any) -> Self:
        cpus = cell.findall('cpus/cpu')
        return cls(
            id=int(cell.get('id')),
            memory_kb=int(cell.findtext('memory') or 0),
            siblings={
                int(cpu.get('id')): tuple(
                    sorted(cpu_sets.parse(cpu.get('siblings') or str(cpu.get('id'))))
                )
                for cpu in cpus
            },
            sockets={int(cpu.get('id')): int(cpu.get('socket_id') or 0) for cpu in cpus},
            pages={int(page.get('size')): int(page.text) for page in cell.findall('pages')},
        )


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
    nodes: tuple['HostNode', ...] = ()

    @property
    def cell_cpus(self) -> dict[int, frozenset[int]]:
        """The processors of each NUMA node."""
        return {node.id: frozenset(node.siblings) for node in self.nodes}

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
            nodes=tuple(HostNode.parse(cell) for cell in root.findall('host/topology/cells/cell')),
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
    tpm_models: frozenset[str] = frozenset()
    """Those that can be emulated."""
    filesystems: frozenset[str] = frozenset()

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
            tpm_models=(
                _enum(root, 'devices/tpm', 'model')
                if 'emulator' in _enum(root, 'devices/tpm', 'backendModel')
                else frozenset()
            ),
            filesystems=_enum(root, 'devices/filesystem', 'driverType'),
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
