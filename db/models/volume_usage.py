"""Table of the cell database: what servers have read from and written to volumes."""

import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kilonova.db.models.base import table
from kilonova.db.models.cell import CellBase
from kilonova.db.types import UtcDateTime


class VolumeUsageRow(CellBase):
    """One server's part in one volume.

    A guest's counters begin anew with each start; ``past_*`` is what earlier starts came to.
    """

    __tablename__ = 'volume_usage'
    __table_args__ = table(
        sa.UniqueConstraint(
            'volume_id', 'instance_uuid', name='uniq_volume_usage0volume_id0instance_uuid'
        )
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    volume_id: Mapped[str] = mapped_column(sa.String(36))
    instance_uuid: Mapped[str] = mapped_column(sa.String(36))
    refreshed_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    reads: Mapped[int] = mapped_column(sa.BigInteger)
    read_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    writes: Mapped[int] = mapped_column(sa.BigInteger)
    write_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    past_reads: Mapped[int] = mapped_column(sa.BigInteger)
    past_read_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    past_writes: Mapped[int] = mapped_column(sa.BigInteger)
    past_write_bytes: Mapped[int] = mapped_column(sa.BigInteger)
