"""Key pairs of users."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects.server import Keypair
from kilonova.db import paging
from kilonova.db.models.api import KeypairRow


def to_keypair(row: KeypairRow) -> Keypair:
    """Return the value for a row."""
    return Keypair(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        type=row.type,
        fingerprint=row.fingerprint or '',
        public_key=row.public_key or '',
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def get(session: Session, user_id: str, name: str) -> Keypair:
    """Raises KeypairNotFound."""
    row = session.scalars(
        sa.select(KeypairRow).where(KeypairRow.user_id == user_id, KeypairRow.name == name)
    ).one_or_none()
    if row is None:
        raise exception.KeypairNotFound(user_id=user_id, name=name)
    return to_keypair(row)


def find(
    session: Session, user_id: str, limit: int | None = None, marker: str | None = None
) -> list[Keypair]:
    """Return a page by name.  Raises MarkerNotFound."""
    query = sa.select(KeypairRow).where(KeypairRow.user_id == user_id)
    values = None
    if marker is not None:
        try:
            values = (get(session, user_id, marker).name,)
        except exception.KeypairNotFound:
            raise exception.MarkerNotFound(marker=marker) from None
    query = paging.page(query, [(KeypairRow.name, 'asc')], values, limit)
    return [to_keypair(row) for row in session.scalars(query)]


def count(session: Session, user_id: str) -> int:
    """Return how many a user has."""
    query = sa.select(sa.func.count(KeypairRow.id)).where(KeypairRow.user_id == user_id)
    return session.execute(query).scalar_one()
