"""Small devices: emulated hardware that has little to say."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Controller(Element):
    """A bus."""

    TAG = 'controller'

    type: str = at('@type')
    index: int | None = at('@index', default=None)
    model: str | None = at('@model', default=None)


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
