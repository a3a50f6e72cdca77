"""PCI devices that a host passes through, and requests for them."""

from collections.abc import Iterable
from typing import Any

import msgspec

TYPES = ('type-PCI', 'type-PF', 'type-VF', 'vdpa')
POLICIES = ('required', 'preferred', 'legacy', 'socket')


class PciDevice(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One device as a host reports it, or as a server has it.

    ``parent_addr``: the physical function of a virtual one.  ``tags`` come from
    ``[pci]device_spec``.  ``alias``, ``port_id``: of a device that a server has, what it was asked
    for by.
    """

    address: str
    vendor_id: str
    product_id: str
    dev_type: str = 'type-PCI'
    numa_node: int | None = None
    parent_addr: str | None = None
    label: str | None = None
    tags: dict[str, str] = {}
    alias: str | None = None
    port_id: str | None = None


class PciRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``count`` devices, each of which fits one of ``specs``; for an alias or for a port."""

    count: int = 1
    specs: list[dict[str, str]] = []
    alias: str | None = None
    numa_policy: str = 'legacy'
    port_id: str | None = None

    @property
    def name(self) -> str:
        return self.alias or f'device for port {self.port_id}'


def devices_of(found: Iterable[dict[str, Any]]) -> list[PciDevice]:
    """Return the devices of ``ComputeNode.pci_devices``."""
    return [msgspec.convert(one, PciDevice, strict=False) for one in found]
