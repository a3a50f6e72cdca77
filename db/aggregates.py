"""Host aggregates, and the availability zones that they make."""

from collections.abc import Iterable

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session, selectinload

from kilonova.common import exception
from kilonova.common.objects.host import Aggregate
from kilonova.db import hosts
from kilonova.db.models.api import AggregateHost, AggregateMetadata, AggregateRow

ZONE = 'availability_zone'
COMPLETE = (selectinload(AggregateRow.hosts), selectinload(AggregateRow.items))


def to_aggregate(row: AggregateRow) -> Aggregate:
    """Return the value for a row that was loaded completely."""
    return Aggregate(
        id=row.id,
        uuid=row.uuid,
        name=row.name,
        hosts=[member.host for member in row.hosts],
        metadata={item.key: item.value for item in row.items},
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def find_all(session: Session) -> list[Aggregate]:
    """Return all aggregates by id: two statements, whatever their number."""
    rows = session.execute(
        sa.select(AggregateRow, AggregateMetadata.key, AggregateMetadata.value)
        .outerjoin(AggregateMetadata, AggregateMetadata.aggregate_id == AggregateRow.id)
        .order_by(AggregateRow.id)
    )
    found: dict[int, Aggregate] = {}
    for row, key, value in rows:
        aggregate = found.setdefault(
            row.id,
            Aggregate(
                id=row.id,
                uuid=row.uuid,
                name=row.name,
                created_at=row.created_at,
                updated_at=row.updated_at,
            ),
        )
        if key is not None:
            aggregate.metadata[key] = value
    members = session.execute(
        sa.select(AggregateHost.aggregate_id, AggregateHost.host).order_by(AggregateHost.id)
    )
    for aggregate_id, host in members:
        if aggregate_id in found:
            found[aggregate_id].hosts.append(host)
    return list(found.values())


def get(session: Session, aggregate_id: int, lock: bool = False) -> AggregateRow:
    """Return one row, complete.  Raises AggregateNotFound."""
    query = sa.select(AggregateRow).options(*COMPLETE).where(AggregateRow.id == aggregate_id)
    if lock:
        query = query.with_for_update()
    row = session.scalars(query).one_or_none()
    if row is None:
        raise exception.AggregateNotFound(aggregate_id=aggregate_id)
    return row


def of_host(session: Session, host: str) -> list[AggregateRow]:
    """Return the aggregates that a host is in, complete."""
    query = (
        sa.select(AggregateRow)
        .options(*COMPLETE)
        .where(AggregateRow.hosts.any(AggregateHost.host == host))
        .order_by(AggregateRow.id)
    )
    return list(session.scalars(query))


def zones(
    session: Session, of_hosts: Iterable[str] | None = None, beside: int | None = None
) -> dict[str, set[str]]:
    """Return the zones that aggregates give to hosts; ``beside``: but for this aggregate."""
    query = (
        sa.select(AggregateHost.host, AggregateMetadata.value)
        .join(AggregateMetadata, AggregateMetadata.aggregate_id == AggregateHost.aggregate_id)
        .where(AggregateMetadata.key == ZONE)
    )
    if of_hosts is not None:
        query = query.where(AggregateHost.host.in_(list(of_hosts)))
    if beside is not None:
        query = query.where(AggregateHost.aggregate_id != beside)
    found: dict[str, set[str]] = {}
    for host, zone in session.execute(query):
        found.setdefault(host, set()).add(zone)
    return found


def zone_of(conf: cfg.ConfigOpts, given: dict[str, set[str]], host: str, binary: str) -> str:
    """Return the zone of a service, where ``given`` is what ``zones`` returned."""
    if binary != hosts.COMPUTE:
        return str(conf.internal_service_availability_zone)
    return ','.join(sorted(given[host])) if host in given else str(conf.default_availability_zone)
