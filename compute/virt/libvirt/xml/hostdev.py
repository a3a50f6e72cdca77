"""<hostdev>: a device of the host that is the guest's alone."""

from typing import Self

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Address(Element):
    """Where a PCI device is; all parts are hexadecimal with ``0x``."""

    TAG = 'address'

    type: str | None = at('@type', default=None)
    domain: str = at('@domain')
    bus: str = at('@bus')
    slot: str = at('@slot')
    function: str = at('@function')

    @classmethod
    def of(cls, text: str, type: str | None = None) -> Self:
        """Return the address of ``0000:81:00.1``."""
        domain, bus, rest = text.split(':')
        slot, function = rest.split('.')
        return cls(
            type=type,
            domain=f'0x{domain}',
            bus=f'0x{bus}',
            slot=f'0x{slot}',
            function=f'0x{function}',
        )

    def __str__(self) -> str:
        numbers = [int(part, 16) for part in (self.domain, self.bus, self.slot, self.function)]
        return '{:04x}:{:02x}:{:02x}.{:x}'.format(*numbers)


class Hostdev(Element):
    """A PCI device that libvirt takes from its driver on the host, and gives back."""

    TAG = 'hostdev'

    mode: str = at('@mode', default='subsystem')
    type: str = at('@type', default='pci')
    managed: str = at('@managed', default='yes')
    source: Address = at('source')
