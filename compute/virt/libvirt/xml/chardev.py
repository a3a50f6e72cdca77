"""<serial> and <channel>."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Serial(Element):
    """A serial port: a pty of the host or a TCP port, with a log kept by virtlogd."""

    TAG = 'serial'

    type: str = at('@type', default='pty')
    mode: str | None = at('source/@mode', default=None)
    host: str | None = at('source/@host', default=None)
    service: int | None = at('source/@service', default=None)
    log: str | None = at('log/@file', default=None)
    append: str | None = at('log/@append', default=None)
    port: int | None = at('target/@port', default=None)


class Channel(Element):
    """A virtio channel to an agent in the guest."""

    TAG = 'channel'

    type: str = at('@type', default='unix')
    mode: str | None = at('source/@mode', default=None)
    target_type: str = at('target/@type', default='virtio')
    name: str = at('target/@name')
