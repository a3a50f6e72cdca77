"""What a server has of a host beyond amounts."""

import msgspec

from kilonova.common.objects.numa import NumaTopology
from kilonova.common.objects.pci import PciDevice


class Layout(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Nodes with their processors and pages, and devices."""

    topology: NumaTopology | None = None
    devices: list[PciDevice] = []

    def __bool__(self) -> bool:
        return self.topology is not None or bool(self.devices)
