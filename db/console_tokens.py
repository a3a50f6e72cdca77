"""Console tokens.  The database has hashes only: who reads it cannot use a console."""

import datetime
import hashlib

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common.objects.console import ConsoleAccess, ConsolePlace
from kilonova.db import types
from kilonova.db.engine import affected
from kilonova.db.models.servers import ConsoleTokenRow, InstanceRow, table_of

TOKENS = table_of(ConsoleTokenRow)
INSTANCES = table_of(InstanceRow)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def add(
    session: Session, token: str, access: ConsoleAccess, host: str, expires_at: datetime.datetime
) -> None:
    """Let a token be used until it expires."""
    session.execute(
        sa.insert(TOKENS).values(
            token_hash=_hash(token),
            instance_uuid=access.instance_uuid,
            compute_host=host,
            console_type=access.console_type,
            place=access.place,
            base_url=access.base_url,
            expires_at=expires_at,
        )
    )


def find(session: Session, token: str) -> ConsoleAccess | None:
    """Return what a token stands for; None when it has expired, or its server has gone or moved."""
    query = (
        sa.select(TOKENS)
        .join(INSTANCES, INSTANCES.c.uuid == TOKENS.c.instance_uuid)
        .where(TOKENS.c.token_hash == _hash(token), TOKENS.c.expires_at > types.utcnow())
        .where(INSTANCES.c.deleted == 0, INSTANCES.c.host == TOKENS.c.compute_host)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    return ConsoleAccess(
        instance_uuid=row.instance_uuid,
        console_type=row.console_type,
        place=msgspec.convert(row.place, ConsolePlace),
        base_url=row.base_url,
        compute_host=row.compute_host,
        expires_at=row.expires_at,
    )


def remove_useless(session: Session) -> int:
    """Remove tokens that have expired and those of deleted servers; returns how many."""
    deleted = sa.select(INSTANCES.c.id).where(
        INSTANCES.c.uuid == TOKENS.c.instance_uuid, INSTANCES.c.deleted != 0
    )
    expired = TOKENS.c.expires_at <= types.utcnow()
    return affected(session, sa.delete(TOKENS).where(sa.or_(expired, sa.exists(deleted))))
