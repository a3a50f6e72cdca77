"""Table of the cell database: hosts that are emptied."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kilonova.db.models.base import table
from kilonova.db.models.cell import CellBase
from kilonova.db.types import Json, UtcDateTime


class HostDrainRow(CellBase):
    """The last drain of one host.  ``servers``: what was done with each, by uuid."""

    __tablename__ = 'host_drains'
    __table_args__ = table(sa.UniqueConstraint('host', name='uniq_host_drains0host'))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    host: Mapped[str]
    state: Mapped[str] = mapped_column(sa.String(16))
    evacuate: Mapped[bool]
    user_id: Mapped[str | None]
    project_id: Mapped[str | None]
    started_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    servers: Mapped[dict[str, Any]] = mapped_column(Json)
