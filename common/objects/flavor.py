"""Flavors, as they cross RPC and as they are kept with each server."""

import datetime

import msgspec


class Flavor(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One flavor.  Memory and swap are in MiB, disks in GiB."""

    id: int = 0
    flavorid: str
    name: str
    memory_mb: int
    vcpus: int
    root_gb: int = 0
    ephemeral_gb: int = 0
    swap: int = 0
    rxtx_factor: float = 1.0
    disabled: bool = False
    is_public: bool = True
    description: str | None = None
    extra_specs: dict[str, str] = {}
    projects: list[str] = []
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
