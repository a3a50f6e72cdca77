"""<cpu> and <cputune>."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Feature(Element):
    TAG = 'feature'

    policy: str = at('@policy', default='require')
    name: str = at('@name')


class Cpu(Element):
    """The guest's processor; without a mode QEMU's default."""

    TAG = 'cpu'

    mode: str | None = at('@mode', default=None)
    match: str | None = at('@match', default=None)
    model: str | None = at('model', default=None)
    sockets: int = at('topology/@sockets')
    cores: int = at('topology/@cores')
    threads: int = at('topology/@threads')
    features: list[Feature] = at('.', default_factory=list)


class CpuTune(Element):
    """Weights and limits from the flavor's quota:cpu_* extra specs."""

    TAG = 'cputune'

    shares: str | None = at('shares', default=None)
    period: str | None = at('period', default=None)
    quota: str | None = at('quota', default=None)
