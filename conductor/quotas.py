"""Limits of projects, users and classes, and what is in use."""

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.quota import QuotaSet
from kilonova.db import locks, quotas, unified_limits
from kilonova.db.engine import Database, retry
from kilonova.db.models.api import ProjectUserQuota, Quota, QuotaClass

Limit = Quota | ProjectUserQuota | QuotaClass


class Quotas:
    """Endpoint.  ``api_db`` is the API database."""

    def __init__(self, conf: cfg.ConfigOpts, api_db: Database) -> None:
        self._conf, self._db = conf, api_db

    @retry
    def get_quotas(
        self,
        context: Ctx,
        project_id: str,
        user_id: str | None = None,
        usage: bool = False,
        defaults: bool = False,
    ) -> QuotaSet:
        with self._db.reader() as session:
            if defaults:
                limits = quotas.class_limits(session, self._conf, quotas.DEFAULT_CLASS)
            else:
                project, user = quotas.limits(session, self._conf, project_id, user_id)
                limits = project if user_id is None else user
            in_use = _in_use(session, self._conf, project_id, user_id) if usage else {}
        return QuotaSet(project_id=project_id, user_id=user_id, limits=limits, in_use=in_use)

    @retry
    def update_quotas(
        self,
        context: Ctx,
        project_id: str,
        user_id: str | None,
        limits: dict[str, int],
        force: bool = False,
    ) -> QuotaSet:
        _check_names(limits)
        if unified_limits.is_on(self._conf):
            # They are changed in Keystone; what is asked of us changes nothing, as in Nova.
            return self.get_quotas(context, project_id, user_id)
        with self._db.transaction() as session:
            # Nobody is served by the old limits while the new ones are compared with what is used.
            locks.take(session, project_id)
            project, _ = quotas.limits(session, self._conf, project_id)
            in_use = _in_use(session, self._conf, project_id, user_id)
            for resource, limit in limits.items():
                ceiling = quotas.UNLIMITED if user_id is None else project[resource]
                _check_limit(resource, limit, 0 if force else in_use[resource], ceiling)
                self._store(session, project_id, user_id, resource, limit)
        return self.get_quotas(context, project_id, user_id)

    @staticmethod
    def _store(
        session: Session, project_id: str, user_id: str | None, resource: str, limit: int
    ) -> None:
        row: Limit
        same: sa.Executable
        if user_id is None:
            row = Quota(project_id=project_id, resource=resource, hard_limit=limit)
            same = sa.select(Quota).where(
                Quota.project_id == project_id, Quota.resource == resource
            )
        else:
            row = ProjectUserQuota(
                project_id=project_id, user_id=user_id, resource=resource, hard_limit=limit
            )
            same = sa.select(ProjectUserQuota).where(
                ProjectUserQuota.project_id == project_id,
                ProjectUserQuota.user_id == user_id,
                ProjectUserQuota.resource == resource,
            )
        _put(session, same, row)

    @retry
    def delete_quotas(self, context: Ctx, project_id: str, user_id: str | None = None) -> None:
        if unified_limits.is_on(self._conf):
            return
        of_users = sa.delete(ProjectUserQuota).where(ProjectUserQuota.project_id == project_id)
        with self._db.transaction() as session:
            if user_id is None:
                session.execute(sa.delete(Quota).where(Quota.project_id == project_id))
            else:
                of_users = of_users.where(ProjectUserQuota.user_id == user_id)
            session.execute(of_users)

    @retry
    def get_quota_class(self, context: Ctx, class_name: str) -> QuotaSet:
        with self._db.reader() as session:
            limits = quotas.class_limits(session, self._conf, class_name)
        return QuotaSet(project_id='', limits=limits)

    @retry
    def update_quota_class(self, context: Ctx, class_name: str, limits: dict[str, int]) -> QuotaSet:
        _check_names(limits)
        if unified_limits.is_on(self._conf):
            return self.get_quota_class(context, class_name)
        with self._db.transaction() as session:
            locks.take(session, f'class {class_name}'[:255])
            for resource, limit in limits.items():
                _check_limit(resource, limit, 0, quotas.UNLIMITED)
                same = sa.select(QuotaClass).where(
                    QuotaClass.class_name == class_name, QuotaClass.resource == resource
                )
                _put(
                    session,
                    same,
                    QuotaClass(class_name=class_name, resource=resource, hard_limit=limit),
                )
        return self.get_quota_class(context, class_name)


def _put(session: Session, same: sa.Executable, row: Limit) -> None:
    known = session.execute(same).scalar_one_or_none()
    if known is None:
        session.add(row)
    else:
        known.hard_limit = row.hard_limit


def _in_use(
    session: Session, conf: cfg.ConfigOpts, project_id: str, user_id: str | None
) -> dict[str, int]:
    """Return usage by resource; what is limited per server, key owner or group shows 0."""
    groups = quotas.count_groups(session, project_id, user_id)
    if unified_limits.is_on(conf):
        counted = unified_limits.in_use(session, project_id)
    else:
        project, user = quotas.usage(session, project_id, user_id)
        counted = project if user_id is None else user
    counted = counted | {'server_groups': groups}
    return dict.fromkeys(quotas.RESOURCES, 0) | counted


def _check_names(limits: dict[str, int]) -> None:
    unknown = sorted(set(limits) - set(quotas.RESOURCES))
    if unknown:
        raise exception.Invalid(f'Unknown quota resources {unknown}.')


def _check_limit(resource: str, limit: int, least: int, most: int) -> None:
    """As Nova: -1 is no limit; ``most`` is -1 where nothing is above."""

    def refuse(rule: str) -> None:
        raise exception.Invalid(f'Quota limit {limit} for {resource} must be {rule}.')

    if limit < quotas.UNLIMITED:
        refuse('-1 or greater')
    if limit != quotas.UNLIMITED and limit < least:
        refuse(f'greater than or equal to already used and reserved {least}')
    if most != quotas.UNLIMITED and (limit == quotas.UNLIMITED or limit > most):
        refuse(f'less than or equal to {most}')
