"""Where a guest finds a device."""

import msgspec


class Place(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A bus by its name in meta_data.json, and the device's address on it."""

    bus: str = 'none'
    address: str = 'none'


Places = dict[str, Place]
"""Of one guest's devices: by MAC address in small letters, or by the disk's name ('vda')."""
