"""Servers that lived in a time, and the logs of usage audits."""

import datetime
from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.usage import AuditLog, ServerUsage
from kilonova.db import types
from kilonova.db.models.cell import TaskLogRow
from kilonova.db.models.servers import InstanceRow, table_of

INSTANCES = table_of(InstanceRow)
AUDIT = 'instance_usage_audit'
RUNNING, DONE = 'RUNNING', 'DONE'

_flavor = msgspec.json.Decoder(Flavor).decode


def _lived(start: datetime.datetime, end: datetime.datetime) -> sa.ColumnElement[bool]:
    c = INSTANCES.c
    return sa.and_(c.launched_at < end, sa.or_(c.terminated_at.is_(None), c.terminated_at > start))


def servers(
    session: Session,
    start: datetime.datetime,
    end: datetime.datetime,
    *,
    project_id: str | None = None,
    limit: int | None = None,
    after: tuple[str, str] | None = None,
) -> Iterator[ServerUsage]:
    """Return servers, deleted ones too, by project and uuid; ``after``: those of the last."""
    c = INSTANCES.c
    query = sa.select(
        c.uuid,
        c.name,
        c.project_id,
        sa.type_coerce(c.flavor, types.LongText),
        c.vcpus,
        c.memory_mb,
        c.root_gb,
        c.ephemeral_gb,
        c.vm_state,
        c.launched_at,
        c.terminated_at,
    ).where(_lived(start, end))
    if project_id is not None:
        query = query.where(c.project_id == project_id)
    if after is not None:
        project, marker = after
        later = sa.and_(c.project_id == project, c.uuid > marker)
        query = query.where(sa.or_(c.project_id > project, later))
    flavors: dict[str, str] = {}
    for row in session.execute(query.order_by(c.project_id, c.uuid).limit(limit)):
        yield _usage(row, flavors)


def _usage(row: Any, flavors: dict[str, str]) -> ServerUsage:
    text = row[3]
    if text not in flavors:
        flavors[text] = _flavor(text).name
    return ServerUsage(
        uuid=row[0],
        name=row[1],
        project_id=row[2],
        flavor=flavors[text],
        vcpus=row[4],
        memory_mb=row[5],
        local_gb=row[6] + row[7],
        vm_state=row[8],
        launched_at=row[9],
        terminated_at=row[10],
    )


def project_of(session: Session, marker: str, project_id: str | None) -> str:
    """Raises MarkerNotFound."""
    c = INSTANCES.c
    query = sa.select(c.project_id).where(c.uuid == marker)
    if project_id is not None:
        query = query.where(c.project_id == project_id)
    found: str | None = session.scalar(query)
    if found is None:
        raise exception.MarkerNotFound(marker=marker)
    return found


def count_on(session: Session, host: str, start: datetime.datetime, end: datetime.datetime) -> int:
    """Return how many servers lived on a host."""
    query = sa.select(sa.func.count(INSTANCES.c.id))
    query = query.where(_lived(start, end), INSTANCES.c.host == host)
    return session.execute(query).scalar_one()


def uuids_on(
    session: Session, host: str, start: datetime.datetime, end: datetime.datetime
) -> list[str]:
    """Return the servers that lived on a host."""
    query = sa.select(INSTANCES.c.uuid).where(_lived(start, end), INSTANCES.c.host == host)
    return list(session.scalars(query.order_by(INSTANCES.c.id)))


# -- audits


def logs(session: Session, start: datetime.datetime, end: datetime.datetime) -> list[AuditLog]:
    """Return the logs of exactly this period, by host."""
    query = sa.select(TaskLogRow).where(
        TaskLogRow.task_name == AUDIT,
        TaskLogRow.period_beginning == start,
        TaskLogRow.period_ending == end,
    )
    return [
        AuditLog(
            host=row.host,
            state=row.state,
            instances=row.task_items,
            errors=row.errors,
            message=row.message,
        )
        for row in session.scalars(query.order_by(TaskLogRow.host))
    ]


def log_of(
    session: Session, host: str, start: datetime.datetime, end: datetime.datetime
) -> TaskLogRow | None:
    """Return a host's log of a period, locked."""
    query = sa.select(TaskLogRow).where(
        TaskLogRow.task_name == AUDIT,
        TaskLogRow.host == host,
        TaskLogRow.period_beginning == start,
        TaskLogRow.period_ending == end,
    )
    return session.scalars(query.with_for_update()).one_or_none()
