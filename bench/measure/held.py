"""Whether placement holds what the servers have: no more, no less, and nowhere too much."""

import collections
import pathlib
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from measure.seed import engine

Held = dict[str, dict[str, dict[str, int]]]
"""Consumer to provider (by name) to resource class to amount."""

HELD = """
    select c.uuid, p.name, r.name, a.used
    from allocations a join consumers c on c.uuid = a.consumer_id
    join resource_providers p on p.id = a.resource_provider_id
    join resource_classes r on r.id = a.resource_class_id
"""
ROOM = """
    select p.name, r.name, i.total, i.reserved, i.allocation_ratio
    from inventories i join resource_providers p on p.id = i.resource_provider_id
    join resource_classes r on r.id = i.resource_class_id
"""


def wrong(
    conf: pathlib.Path, servers: Iterable[dict[str, Any]], amounts: dict[str, int]
) -> list[str]:
    """Compare all servers (as the API shows them in detail) with placement's database.

    ``amounts``: what each of them is to hold on its hypervisor.
    """
    with engine(conf, 'placement_database').connect() as connection:
        held: Held = collections.defaultdict(lambda: collections.defaultdict(dict))
        for consumer, provider, name, used in connection.execute(sa.text(HELD)):
            held[consumer][provider][name] = used
        room = {
            (provider, name): (total - reserved) * ratio
            for provider, name, total, reserved, ratio in connection.execute(sa.text(ROOM))
        }
    return [*_misplaced(held, servers, amounts), *_overfull(held, room)]


def _misplaced(held: Held, servers: Iterable[dict[str, Any]], amounts: dict[str, int]) -> list[str]:
    wanted = {
        server['id']: {server['OS-EXT-SRV-ATTR:hypervisor_hostname']: amounts}
        for server in servers
        if server['status'] == 'ACTIVE'
    }
    return [
        f'{uuid} holds {dict(held.get(uuid, {}))}, not {wanted.get(uuid)}'
        for uuid in sorted(wanted.keys() | held.keys())
        if held.get(uuid) != wanted.get(uuid)
    ]


def _overfull(held: Held, room: dict[tuple[str, str], float]) -> list[str]:
    used: dict[tuple[str, str], int] = collections.Counter()
    for providers in held.values():
        for provider, amounts in providers.items():
            for name, amount in amounts.items():
                used[provider, name] += amount
    return [
        f'{provider} has given {amount} {name} of {room.get((provider, name), 0)}'
        for (provider, name), amount in sorted(used.items())
        if amount > room.get((provider, name), 0)
    ]
