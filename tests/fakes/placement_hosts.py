"""Fill a placement fixture with compute hosts."""

import uuid
from typing import Any

from kilonova.common.clients.placement import Placement


def uuid_of(name: str) -> str:
    """Return the same uuid for the same name, so that tests can talk by name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def add_host(
    client: Placement,
    name: str,
    vcpus: int = 4,
    memory_mb: int = 4096,
    disk_gb: int = 100,
    traits: tuple[str, ...] = (),
    aggregates: tuple[str, ...] = (),
    **more: int,
) -> str:
    """Make one host's provider (ratio 1, nothing reserved); returns its uuid."""
    provider = uuid_of(name)
    totals = {'VCPU': vcpus, 'MEMORY_MB': memory_mb, 'DISK_GB': disk_gb, **more}
    inventories: dict[str, dict[str, Any]] = {
        name: {'total': total, 'max_unit': total} for name, total in totals.items() if total
    }
    client.ensure_provider(provider, name)
    generation = client.set_inventories(provider, inventories, 0)
    client.set_traits(provider, ('OWNER_NOVA', *traits), generation)
    for aggregate in aggregates:
        client.add_aggregate(provider, aggregate)
    return provider
