"""What the control plane knows of a Glance image."""

import datetime
from typing import Any

import msgspec

KNOWN = ('hw_', 'img_', 'os_')


class Image(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One image.  ``size`` is in bytes, ``min_disk`` in GiB, ``min_ram`` in MiB.

    ``properties`` holds every property that is not one of Glance's base properties
    (``hw_*``, ``os_*``, ``img_*``, ``architecture`` …), as strings or JSON values.
    ``id`` is empty for a server without an image (boot from volume).
    """

    id: str = ''
    name: str | None = None
    status: str = 'active'
    visibility: str = 'private'
    owner: str | None = None
    protected: bool = False
    size: int = 0
    virtual_size: int | None = None
    min_disk: int = 0
    min_ram: int = 0
    disk_format: str | None = None
    container_format: str | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    properties: dict[str, Any] = {}
    tags: list[str] = []
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None

    def known_properties(self) -> dict[str, str]:
        """Return, as text, the properties that mean something to us, and no notes of users."""
        return {name: str(v) for name, v in self.properties.items() if name.startswith(KNOWN)}
