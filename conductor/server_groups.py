"""Server groups: made, listed, deleted."""

import uuid

from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server_group import ServerGroup
from kilonova.db import locks, quotas, server_groups
from kilonova.db.engine import Database, retry

TOO_MANY = 'Quota exceeded, too many server groups.'


class ServerGroups:
    """Endpoint.  ``api_db`` is the API database."""

    def __init__(self, conf: cfg.ConfigOpts, api_db: Database) -> None:
        self._conf, self._db = conf, api_db

    @retry
    def create_server_group(self, context: Ctx, group: ServerGroup) -> ServerGroup:
        group.uuid = str(uuid.uuid4())
        with self._db.transaction() as session:
            self._check_quota(session, group.project_id, group.user_id)
            return server_groups.add(session, group)

    def _check_quota(self, session: Session, project_id: str, user_id: str) -> None:
        limits = quotas.limits(session, self._conf, project_id, user_id)
        if all(found['server_groups'] < 0 for found in limits):
            return
        locks.take(session, project_id)
        for found, user in zip(limits, (None, user_id), strict=True):
            used = quotas.count_groups(session, project_id, user)
            quotas.check_one(self._conf, found, 'server_groups', 1, TOO_MANY, used)

    @retry
    def get_server_group(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> ServerGroup:
        with self._db.reader() as session:
            group = server_groups.get(session, uuid, project_id)
            server_groups.add_members(session, [group])
            return group

    @retry
    def list_server_groups(
        self,
        context: Ctx,
        project_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ServerGroup]:
        with self._db.reader() as session:
            return server_groups.find(session, project_id, limit, offset)

    @retry
    def delete_server_group(self, context: Ctx, uuid: str, project_id: str | None = None) -> None:
        with self._db.transaction() as session:
            server_groups.delete(session, uuid, project_id)
