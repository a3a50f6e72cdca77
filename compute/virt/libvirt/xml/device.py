"""Small devices: emulated hardware that has little to say."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Controller(Element):
    """A bus."""

    TAG = 'controller'

    type: str = at('@type')
    index: int | None = at('@index', default=None)
    model: str | None = at('@model', default=None)
    iothread: int | None = at('driver/@iothread', default=None)


class Rng(Element):
    """A source of random bytes, limited to ``bytes`` per ``period`` milliseconds."""

    TAG = 'rng'

    model: str = at('@model', default='virtio')
    bytes: int | None = at('rate/@bytes', default=None)
    period: int | None = at('rate/@period', default=None)
    backend: str = at('backend/@model', default='random')
    source: str = at('backend')


class MemBalloon(Element):
    TAG = 'memballoon'

    model: str = at('@model', default='virtio')
    period: int | None = at('stats/@period', default=None)


class Watchdog(Element):
    TAG = 'watchdog'

    model: str = at('@model', default='i6300esb')
    action: str = at('@action')


class Panic(Element):
    """Tells libvirt of a kernel panic."""

    TAG = 'panic'

    model: str = at('@model', default='isa')


class Sound(Element):
    TAG = 'sound'

    model: str = at('@model')


class Tpm(Element):
    """A trusted platform module, emulated by swtpm; its state is encrypted by a secret."""

    TAG = 'tpm'

    model: str = at('@model')
    backend: str = at('backend/@type', default='emulator')
    version: str = at('backend/@version', default='2.0')
    secret: str | None = at('backend/encryption/@secret', default=None)


class Iommu(Element):
    """An IOMMU for guests that pass devices on to their own guests."""

    TAG = 'iommu'

    model: str = at('@model')
    interrupts: str | None = at('driver/@intremap', default=None)
    caching: str | None = at('driver/@caching_mode', default=None)
    extended: str | None = at('driver/@eim', default=None)
    iotlb: str | None = at('driver/@iotlb', default=None)


class RedirDev(Element):
    """A USB port that a SPICE client may plug its devices into."""

    TAG = 'redirdev'

    bus: str = at('@bus', default='usb')
    type: str = at('@type', default='spicevmc')


class Filesystem(Element):
    """A directory of the host that the guest mounts by its tag."""

    TAG = 'filesystem'

    type: str = at('@type', default='mount')
    access: str = at('@accessmode', default='passthrough')
    driver: str = at('driver/@type', default='virtiofs')
    directory: str = at('source/@dir')
    tag: str = at('target/@dir')
