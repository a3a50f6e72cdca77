"""Named locks that last to the end of a transaction."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.db import errors
from kilonova.db.engine import affected
from kilonova.db.models.api import ProjectLock


def take(session: Session, key: str) -> None:
    """Be the only one who holds this project's lock (or that of another key)."""
    hold = (
        sa.update(ProjectLock)
        .where(ProjectLock.project_id == key)
        .values(version=ProjectLock.version + 1)
    )
    if affected(session, hold):
        return
    try:
        with session.begin_nested():
            session.execute(sa.insert(ProjectLock).values(project_id=key, version=1))
    except sa.exc.IntegrityError as error:
        if not errors.is_duplicate(error):
            raise
        session.execute(hold)
