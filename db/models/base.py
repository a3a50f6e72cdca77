"""What all tables share."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kilonova.db.types import MYSQL, Json, UtcDateTime, utcnow

NAMES = {
    'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
    'uq': 'uniq_%(table_name)s0%(column_0_N_name)s',
    'fk': 'fk_%(table_name)s_%(column_0_name)s',
    'pk': 'pk_%(table_name)s',
}
"""Names of constraints: the same on every database, so that a migration can name them."""

TYPES: dict[Any, Any] = {
    str: sa.String(255),
    datetime.datetime: UtcDateTime,
    dict[str, Any]: Json,
    list[Any]: Json,
}


class Timestamps:
    """``created_at`` and ``updated_at``, set by the session."""

    created_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, default=utcnow)
    updated_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, onupdate=utcnow)


def table(*constraints: sa.schema.SchemaItem) -> Any:
    """Return ``__table_args__`` with what every table needs on MariaDB."""
    return (*constraints, MYSQL)
