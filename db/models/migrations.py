"""Table of the cell database: moves of servers."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kilonova.db.models.base import table
from kilonova.db.models.cell import CellBase
from kilonova.db.types import Json, UtcDateTime


def _bytes() -> Mapped[int | None]:
    return mapped_column(sa.BigInteger, nullable=True)


class MigrationRow(CellBase):
    """One move; the columns have the names of ``common.objects.migration.Migration``'s fields.

    ``move`` (``common.objects.migration.Move``) is for the way back.  ``release_at``: when to
    see that nothing is held for it in placement and nothing is left on the other host.
    """

    __tablename__ = 'migrations'

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    instance_uuid: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey('instances.uuid'))
    migration_type: Mapped[str] = mapped_column(sa.String(32))
    status: Mapped[str] = mapped_column(sa.String(32))
    source_compute: Mapped[str | None]
    source_node: Mapped[str | None]
    dest_compute: Mapped[str | None]
    dest_node: Mapped[str | None]
    dest_host: Mapped[str | None]
    old_instance_type_id: Mapped[int | None]
    new_instance_type_id: Mapped[int | None]
    user_id: Mapped[str | None]
    project_id: Mapped[str | None]
    memory_total: Mapped[int | None] = _bytes()
    memory_processed: Mapped[int | None] = _bytes()
    memory_remaining: Mapped[int | None] = _bytes()
    disk_total: Mapped[int | None] = _bytes()
    disk_processed: Mapped[int | None] = _bytes()
    disk_remaining: Mapped[int | None] = _bytes()
    hidden: Mapped[bool] = mapped_column(default=False)
    operation: Mapped[str | None] = mapped_column(sa.String(36))
    wish: Mapped[str | None] = mapped_column(sa.String(16))
    move: Mapped[Any] = mapped_column(Json, nullable=True)
    release_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)

    __table_args__ = table(
        sa.Index('ix_migrations_instance_uuid_status', 'instance_uuid', 'status'),
        sa.Index('ix_migrations_created_at_id', 'created_at', 'id'),
        sa.Index('ix_migrations_updated_at', 'updated_at'),
        sa.Index('ix_migrations_source_compute_status', 'source_compute', 'status'),
        sa.Index('ix_migrations_dest_compute_status', 'dest_compute', 'status'),
        sa.Index('ix_migrations_release_at', 'release_at'),
    )
