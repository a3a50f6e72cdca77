"""<cpu> and <cputune>."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Feature(Element):
    TAG = 'feature'

    policy: str = at('@policy', default='require')
    name: str = at('@name')


class Cell(Element):
    """A NUMA node of the guest."""

    TAG = 'cell'

    id: int = at('@id')
    cpus: str = at('@cpus')
    memory: int = at('@memory')
    unit: str = at('@unit', default='KiB')
    access: str | None = at('@memAccess', default=None)


class Cpu(Element):
    """The guest's processor; without a mode QEMU's default."""

    TAG = 'cpu'

    mode: str | None = at('@mode', default=None)
    match: str | None = at('@match', default=None)
    model: str | None = at('model', default=None)
    sockets: int = at('topology/@sockets')
    cores: int = at('topology/@cores')
    threads: int = at('topology/@threads')
    address_mode: str | None = at('maxphysaddr/@mode', default=None)
    address_bits: int | None = at('maxphysaddr/@bits', default=None)
    features: list[Feature] = at('.', default_factory=list)
    cells: list[Cell] = at('numa', default_factory=list)


class VcpuPin(Element):
    """On which host processors one of the guest's runs."""

    TAG = 'vcpupin'

    vcpu: int = at('@vcpu')
    cpuset: str = at('@cpuset')


class VcpuSched(Element):
    """Guest processors that the host's kernel schedules by their own rules."""

    TAG = 'vcpusched'

    vcpus: str = at('@vcpus')
    scheduler: str = at('@scheduler', default='fifo')
    priority: int = at('@priority')


class CpuTune(Element):
    """Weights and limits from the flavor's quota:cpu_* extra specs, and places."""

    TAG = 'cputune'

    shares: str | None = at('shares', default=None)
    period: str | None = at('period', default=None)
    quota: str | None = at('quota', default=None)
    pins: list[VcpuPin] = at('.', default_factory=list)
    emulator: str | None = at('emulatorpin/@cpuset', default=None)
    scheduling: list[VcpuSched] = at('.', default_factory=list)
