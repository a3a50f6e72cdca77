"""<graphics>, <video> and <input>."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Vnc(Element):
    """A VNC display on a port that libvirt picks."""

    TAG = 'graphics'

    type: str = at('@type', default='vnc')
    autoport: str = at('@autoport', default='yes')
    listen: str = at('listen/@address')
    listen_type: str = at('listen/@type', default='address')


class Spice(Element):
    """A SPICE display."""

    TAG = 'graphics'

    type: str = at('@type', default='spice')
    autoport: str = at('@autoport', default='yes')
    default_mode: str | None = at('@defaultMode', default=None)
    listen: str = at('listen/@address')
    listen_type: str = at('listen/@type', default='address')
    image: str | None = at('image/@compression', default=None)
    jpeg: str | None = at('jpeg/@compression', default=None)
    zlib: str | None = at('zlib/@compression', default=None)
    playback: str | None = at('playback/@compression', default=None)
    streaming: str | None = at('streaming/@mode', default=None)


class Video(Element):
    """The graphics card; ``vram`` in KiB."""

    TAG = 'video'

    type: str = at('model/@type')
    vram: int | None = at('model/@vram', default=None)


class Input(Element):
    """A pointer or keyboard."""

    TAG = 'input'

    type: str = at('@type')
    bus: str = at('@bus')
