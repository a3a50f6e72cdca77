"""Limits and usage of projects and users."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.db import locks, unified_limits
from kilonova.db.models.api import (
    InstanceGroup,
    InstanceMapping,
    ProjectUserQuota,
    Quota,
    QuotaClass,
)

OPTIONS = {
    'instances': 'instances',
    'cores': 'cores',
    'ram': 'ram',
    'metadata_items': 'metadata_items',
    'injected_files': 'injected_files',
    'injected_file_content_bytes': 'injected_file_content_bytes',
    'injected_file_path_bytes': 'injected_file_path_length',
    'key_pairs': 'key_pairs',
    'server_groups': 'server_groups',
    'server_group_members': 'server_group_members',
}
"""Resource to the option in ``[quota]`` that holds its default."""

OF_NETWORKS = ('floating_ips', 'fixed_ips', 'security_groups', 'security_group_rules')
"""Resources that nobody counts here any more: a limit is kept and shown, and stops nobody."""

RESOURCES = (*OPTIONS, *OF_NETWORKS)

DEFAULT_CLASS = 'default'
NOOP_DRIVER = 'nova.quota.NoopQuotaDriver'
UNLIMITED = -1


def is_off(conf: cfg.ConfigOpts) -> bool:
    """Tell whether ``[quota]driver`` sets no limits at all."""
    return bool(conf.quota.driver == NOOP_DRIVER)


def configured(conf: cfg.ConfigOpts) -> dict[str, int]:
    """Return the limits that hold where the database has none."""
    if is_off(conf):
        return dict.fromkeys(RESOURCES, UNLIMITED)
    limits = {resource: conf.quota[option] for resource, option in OPTIONS.items()}
    return limits | dict.fromkeys(OF_NETWORKS, UNLIMITED)


def class_limits(session: Session, conf: cfg.ConfigOpts, name: str) -> dict[str, int]:
    """Return a class's limits."""
    if unified_limits.is_on(conf):
        return unified_limits.defaults(conf)
    query = sa.select(QuotaClass.resource, QuotaClass.hard_limit).where(
        QuotaClass.class_name == name
    )
    stored = {resource: limit for resource, limit in session.execute(query) if limit is not None}
    return configured(conf) | {r: v for r, v in stored.items() if r in RESOURCES}


def limits(
    session: Session, conf: cfg.ConfigOpts, project_id: str, user_id: str | None = None
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the limits of the project and those of the user in it, in one statement.

    A user without limits of his own has the project's; in Keystone's no user has any.
    """
    if unified_limits.is_on(conf):
        project = unified_limits.of_project(conf, project_id)
        return project, dict(project)
    project = configured(conf)
    if is_off(conf):
        return project, dict(project)
    stored = sa.union_all(
        _stored(0, QuotaClass, QuotaClass.class_name == DEFAULT_CLASS),
        _stored(1, Quota, Quota.project_id == project_id),
        _stored(
            2,
            ProjectUserQuota,
            sa.and_(ProjectUserQuota.project_id == project_id, ProjectUserQuota.user_id == user_id),
        ),
    )
    levels: list[dict[str, int]] = [{}, {}, {}]
    for level, resource, limit in session.execute(stored):
        if resource in RESOURCES:
            levels[level][resource] = limit
    project |= levels[0] | levels[1]
    return project, project | levels[2]


def _stored(
    level: int,
    model: type[QuotaClass] | type[Quota] | type[ProjectUserQuota],
    condition: sa.ColumnElement[bool],
) -> Any:
    return sa.select(
        sa.literal(level, sa.Integer).label('level'), model.resource, model.hard_limit
    ).where(condition, model.hard_limit.is_not(None))


def usage(
    session: Session, project_id: str, user_id: str | None = None
) -> tuple[dict[str, int], dict[str, int]]:
    """Return what servers of the project, and of the user in it, take; one statement."""
    mine = InstanceMapping.user_id == user_id

    def total(value: sa.ColumnElement[int]) -> list[sa.ColumnElement[int]]:
        return [
            sa.func.coalesce(sa.func.sum(value), 0),
            sa.func.coalesce(sa.func.sum(sa.case((mine, value), else_=0)), 0),
        ]

    columns = (
        total(sa.literal(1, sa.Integer))
        + total(InstanceMapping.vcpus.expression)
        + total(InstanceMapping.memory_mb.expression)
    )
    query = sa.select(*columns).where(
        InstanceMapping.project_id == project_id, InstanceMapping.queued_for_delete.is_(False)
    )
    sums = [int(value) for value in session.execute(query).one()]
    names = ('instances', 'cores', 'ram')
    return dict(zip(names, sums[::2], strict=True)), dict(zip(names, sums[1::2], strict=True))


def count_groups(session: Session, project_id: str, user_id: str | None = None) -> int:
    """Return how many server groups there are."""
    query = sa.select(sa.func.count(InstanceGroup.id)).where(InstanceGroup.project_id == project_id)
    if user_id is not None:
        query = query.where(InstanceGroup.user_id == user_id)
    return session.scalar(query) or 0


def check_and_reserve(
    session: Session,
    conf: cfg.ConfigOpts,
    project_id: str,
    user_id: str,
    *,
    servers: int,
    vcpus: int,
    memory_mb: int,
    resources: Mapping[str, int] | None = None,
    minimum: int | None = None,
) -> int:
    """Return how many of ``servers`` alike servers fit, at least ``minimum`` (default: all).

    ``vcpus`` and ``memory_mb`` are those of one server, ``resources`` what it takes of
    placement.  To be called early in the transaction of the API database that then inserts
    the instance mappings: until its end nobody else gets an answer for the project.  Raises QuotaExceeded.
    """
    if unified_limits.is_on(conf):
        least = servers if minimum is None else minimum
        return unified_limits.claim(session, conf, project_id, resources or {}, servers, least)
    each = {'instances': 1, 'cores': vcpus, 'ram': memory_mb}
    project_limits, user_limits = limits(session, conf, project_id, user_id)
    if all(project_limits[r] < 0 and user_limits[r] < 0 for r in each):
        return servers
    locks.take(session, project_id)
    project_usage, user_usage = usage(session, project_id, user_id)
    fits = min(
        servers,
        _room(each, project_limits, project_usage),
        _room(each, user_limits, user_usage),
    )
    if fits >= (servers if minimum is None else minimum):
        return fits
    # As Nova: compared is the greatest number that was asked for, of servers both are named.
    wanted = {resource: amount * servers for resource, amount in each.items()}
    span: dict[str, int | str] = (
        {} if minimum in (None, servers) else {'instances': f'{minimum}-{servers}'}
    )
    overs = over(wanted, project_limits, project_usage)
    if overs:
        raise exceeded(overs, {**wanted, **span}, project_usage, project_limits)
    overs = over(wanted, user_limits, user_usage)
    raise exceeded(overs, {**wanted, **span}, user_usage, user_limits)


def check_growth(
    session: Session,
    conf: cfg.ConfigOpts,
    project_id: str,
    user_id: str,
    *,
    vcpus: int,
    memory_mb: int,
    resources: Mapping[str, int] | None = None,
) -> None:
    """See that a server may grow by so much; see ``check_and_reserve``.  Raises QuotaExceeded.

    ``resources``: all that it claims besides what it has, which is what Keystone's limits count.
    """
    if unified_limits.is_on(conf):
        unified_limits.check_growth(session, conf, project_id, resources or {})
        return
    wanted = {'cores': max(vcpus, 0), 'ram': max(memory_mb, 0)}
    if not any(wanted.values()):
        return
    project_limits, user_limits = limits(session, conf, project_id, user_id)
    if all(project_limits[r] < 0 and user_limits[r] < 0 for r in wanted):
        return
    locks.take(session, project_id)
    levels = zip((project_limits, user_limits), usage(session, project_id, user_id), strict=True)
    for limit, used in levels:
        overs = over(wanted, limit, used)
        if overs:
            raise exceeded(overs, wanted, used, limit)


def _room(each: Mapping[str, int], limits: Mapping[str, int], used: Mapping[str, int]) -> int:
    rooms = [
        max(limits[resource] - used[resource], 0) // amount
        for resource, amount in each.items()
        if limits[resource] >= 0 and amount > 0
    ]
    return min(rooms, default=2**31)


def over(
    wanted: Mapping[str, int], limits: Mapping[str, int], used: Mapping[str, int]
) -> list[str]:
    """Return the resources, sorted, of which there would be too much."""
    return sorted(
        resource
        for resource, amount in wanted.items()
        if limits[resource] >= 0 and amount > 0 and used[resource] + amount > limits[resource]
    )


def exceeded(
    overs: Iterable[str],
    wanted: Mapping[str, int | str],
    used: Mapping[str, int],
    limits: Mapping[str, int],
) -> exception.QuotaExceeded:
    """Return the error that names each resource with its numbers."""
    overs = list(overs)

    def numbers(values: Mapping[str, int | str] | Mapping[str, int]) -> str:
        return ', '.join(str(values[resource]) for resource in overs)

    return exception.QuotaExceeded(
        overs=', '.join(overs),
        req=numbers(wanted),
        used=numbers(used),
        allowed=numbers(limits),
    )


def check_one(
    conf: cfg.ConfigOpts,
    limits: Mapping[str, int],
    resource: str,
    more: int,
    message: str,
    used: int = 0,
) -> None:
    """Compare one resource with its limit; ``message`` says that it is too much.

    Raises LimitExceeded; ProjectOverLimit, which has the numbers, when Keystone keeps the limit.
    """
    limit = limits[resource]
    if limit < 0 or used + more <= limit:
        return
    if unified_limits.is_on(conf):
        raise unified_limits.over(resource, limit, used, more)
    raise exception.LimitExceeded(message)
