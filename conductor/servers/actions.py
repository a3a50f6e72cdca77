"""What has been done to servers (os-instance-actions)."""

import datetime

from sqlalchemy.orm import Session

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import OwnedActions
from kilonova.conductor.parts import Parts
from kilonova.db import operations, servers
from kilonova.db.engine import retry


class ServerActions:
    """Endpoint."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @retry
    def list_actions(
        self,
        context: Ctx,
        uuid: str,
        project_id: str | None = None,
        deleted: bool = True,
        limit: int | None = None,
        marker: str | None = None,
        changes_since: datetime.datetime | None = None,
        changes_before: datetime.datetime | None = None,
    ) -> OwnedActions:
        with self._parts.cell_db.reader() as session:
            owner = _owner(session, uuid, project_id, deleted)
            owner.actions = operations.list_actions(
                session,
                uuid,
                limit=limit,
                marker=marker,
                changes_since=changes_since,
                changes_before=changes_before,
            )
            return owner

    @retry
    def get_action(
        self,
        context: Ctx,
        uuid: str,
        request_id: str,
        project_id: str | None = None,
        deleted: bool = True,
    ) -> OwnedActions:
        with self._parts.cell_db.reader() as session:
            owner = _owner(session, uuid, project_id, deleted)
            owner.actions = [operations.get_action(session, uuid, request_id)]
            return owner


def _owner(session: Session, uuid: str, project_id: str | None, deleted: bool) -> OwnedActions:
    found = servers.get(session, uuid, project_id, deleted=None if deleted else False, parts=False)
    return OwnedActions(project_id=found.project_id, user_id=found.user_id)
