"""What has been done to servers (os-instance-actions)."""

import datetime

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Action
from kilonova.conductor.parts import Parts
from kilonova.db import operations
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
        limit: int | None = None,
        marker: str | None = None,
        changes_since: datetime.datetime | None = None,
        changes_before: datetime.datetime | None = None,
    ) -> list[Action]:
        with self._parts.cell_db.reader() as session:
            return operations.list_actions(
                session,
                uuid,
                limit=limit,
                marker=marker,
                changes_since=changes_since,
                changes_before=changes_before,
            )

    @retry
    def get_action(self, context: Ctx, uuid: str, request_id: str) -> Action:
        with self._parts.cell_db.reader() as session:
            return operations.get_action(session, uuid, request_id)
