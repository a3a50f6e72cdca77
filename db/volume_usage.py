"""What has been read from and written to volumes: a row a volume and server."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common.objects.volume_usage import VolumeCounters, VolumeUsage
from kilonova.db import types
from kilonova.db.models.volume_usage import VolumeUsageRow

COUNTERS = VolumeCounters.__struct_fields__


def add(session: Session, usages: Iterable[VolumeUsage], ended: bool) -> dict[str, VolumeCounters]:
    """Keep what is reported; returns what each volume came to, over all its servers.

    ``ended``: these guests count no further for these volumes.
    """
    reported = {(one.volume_id, one.instance_uuid): one.counters for one in usages}
    volumes = {volume_id for volume_id, _uuid in reported}
    query = sa.select(VolumeUsageRow).where(VolumeUsageRow.volume_id.in_(volumes))
    found = {
        (row.volume_id, row.instance_uuid): row
        for row in session.scalars(query.order_by(VolumeUsageRow.id).with_for_update())
    }
    for (volume_id, uuid), counters in reported.items():
        row = found.get((volume_id, uuid)) or _new(session, volume_id, uuid)
        found[volume_id, uuid] = row
        _count(row, counters)
        if ended:
            _count(row, VolumeCounters())
    return {volume_id: _sum(found.values(), volume_id) for volume_id in volumes}


def _new(session: Session, volume_id: str, uuid: str) -> VolumeUsageRow:
    zero = {f'{past}{name}': 0 for past in ('', 'past_') for name in COUNTERS}
    row = VolumeUsageRow(volume_id=volume_id, instance_uuid=uuid, **zero)
    session.add(row)
    return row


def _count(row: VolumeUsageRow, counters: VolumeCounters) -> None:
    """Counters that went back are those of a new start."""
    if any(getattr(counters, name) < getattr(row, name) for name in COUNTERS):
        for name in COUNTERS:
            past = getattr(row, f'past_{name}') + getattr(row, name)
            setattr(row, f'past_{name}', past)
    for name in COUNTERS:
        setattr(row, name, getattr(counters, name))
    row.refreshed_at = types.utcnow()


def _sum(rows: Iterable[VolumeUsageRow], volume_id: str) -> VolumeCounters:
    mine = [row for row in rows if row.volume_id == volume_id]
    return VolumeCounters(
        **{
            name: sum(getattr(row, name) + getattr(row, f'past_{name}') for row in mine)
            for name in COUNTERS
        }
    )
