"""Records of hosts that are emptied."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common.objects import drain
from kilonova.db.models.drains import HostDrainRow


def find(session: Session, host: str, lock: bool = False) -> HostDrainRow | None:
    query = sa.select(HostDrainRow).where(HostDrainRow.host == host)
    if lock:
        query = query.with_for_update()
    return session.scalars(query).one_or_none()


def running(session: Session) -> list[str]:
    """Return the hosts that are being emptied."""
    query = sa.select(HostDrainRow.host).where(HostDrainRow.state == drain.DRAINING)
    return list(session.scalars(query.order_by(HostDrainRow.id)))
