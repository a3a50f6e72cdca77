"""<interface>: one class for each way a port is wired."""

from kilonova.compute.virt.libvirt.xml.element import Element, at
from kilonova.compute.virt.libvirt.xml.hostdev import Address


class Interface(Element):
    """What all kinds have."""

    TAG = 'interface'

    type: str = at('@type')
    mac: str = at('mac/@address')
    model: str | None = at('model/@type', default=None)
    queues: int | None = at('driver/@queues', default=None)
    rx_queue_size: int | None = at('driver/@rx_queue_size', default=None)
    tx_queue_size: int | None = at('driver/@tx_queue_size', default=None)
    packed: str | None = at('driver/@packed', default=None)
    mtu: int | None = at('mtu/@size', default=None)
    inbound_average: str | None = at('bandwidth/inbound/@average', default=None)
    inbound_peak: str | None = at('bandwidth/inbound/@peak', default=None)
    inbound_burst: str | None = at('bandwidth/inbound/@burst', default=None)
    outbound_average: str | None = at('bandwidth/outbound/@average', default=None)
    outbound_peak: str | None = at('bandwidth/outbound/@peak', default=None)
    outbound_burst: str | None = at('bandwidth/outbound/@burst', default=None)


class Tap(Interface):
    """A tap that libvirt makes (or, unmanaged, finds) and that the switch knows by its name."""

    type: str = at('@type', default='ethernet')
    target: str = at('target/@dev')
    managed: str | None = at('target/@managed', default=None)


class Bridge(Interface):
    """A tap that libvirt makes and puts on a Linux bridge."""

    type: str = at('@type', default='bridge')
    bridge: str = at('source/@bridge')
    target: str = at('target/@dev')


class VhostUser(Interface):
    """A socket shared with a user-space switch."""

    type: str = at('@type', default='vhostuser')
    socket_type: str = at('source/@type', default='unix')
    path: str = at('source/@path')
    mode: str = at('source/@mode')


class Direct(Interface):
    """A macvtap on a host interface."""

    type: str = at('@type', default='direct')
    source: str = at('source/@dev')
    mode: str = at('source/@mode')
    target: str | None = at('target/@dev', default=None)
    vlan: int | None = at('vlan/tag/@id', default=None)


class Function(Interface):
    """A virtual function that the guest has whole; its card knows MAC address and VLAN."""

    type: str = at('@type', default='hostdev')
    managed: str = at('@managed', default='yes')
    address: Address = at('source')
    vlan: int | None = at('vlan/tag/@id', default=None)


class Vdpa(Interface):
    """A function whose driver on the host speaks virtio with the guest."""

    type: str = at('@type', default='vdpa')
    source: str = at('source/@dev')
