"""<domain>: the whole guest."""

from kilonova.compute.virt.libvirt.xml.cpu import Cpu, CpuTune
from kilonova.compute.virt.libvirt.xml.element import Element, Node, at
from kilonova.compute.virt.libvirt.xml.memory import MemoryBacking, NumaTune
from kilonova.compute.virt.libvirt.xml.metadata import Instance
from kilonova.compute.virt.libvirt.xml.system import Clock, Features, Os, SysInfo


class Devices(Element):
    """All devices, in any order; ``kept`` are elements taken over from an earlier domain."""

    TAG = 'devices'

    emulator: str | None = at('emulator', default=None)
    items: list[Element] = at('.', default_factory=list)


class Kept(Element):
    """An element that is passed on as libvirt gave it."""

    TAG = 'kept'

    node: Node = at('.')

    def build(self) -> Node:
        return self.node


class Domain(Element):
    TAG = 'domain'

    type: str = at('@type')
    uuid: str | None = at('uuid', default=None)
    name: str = at('name')
    memory_unit: str = at('memory/@unit', default='KiB')
    memory: int = at('memory')
    backing: MemoryBacking | None = at('.', default=None)
    vcpus: int = at('vcpu')
    cpuset: str | None = at('vcpu/@cpuset', default=None)
    iothreads: int | None = at('iothreads', default=None)
    numatune: NumaTune | None = at('.', default=None)
    metadata: Instance | None = at('metadata', default=None)
    cputune: CpuTune | None = at('.', default=None)
    sysinfo: SysInfo | None = at('.', default=None)
    os: Os = at('.')
    features: Features | None = at('.', default=None)
    cpu: Cpu | None = at('.', default=None)
    clock: Clock | None = at('.', default=None)
    on_reboot: str | None = at('on_reboot', default=None)
    on_crash: str | None = at('on_crash', default=None)
    devices: Devices = at('.')
