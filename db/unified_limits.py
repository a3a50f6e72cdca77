"""Limits that Keystone keeps, under the names that our quotas have.

``[quota]unified_limits_resource_strategy`` decides what holds for a resource that has no
registered limit: ``require`` refuses the listed ones and lets the others be, ``ignore`` does
the contrary.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.clients import limits
from kilonova.db import locks
from kilonova.db.models.api import InstanceMapping

DRIVER = 'nova.quota.UnifiedLimitsDriver'
CLASS, SERVERS = 'class:', 'servers'
LEVELS = 'limits'
NAMES = {
    'instances': 'servers',
    'cores': 'class:VCPU',
    'ram': 'class:MEMORY_MB',
    'metadata_items': 'server_metadata_items',
    'injected_files': 'server_injected_files',
    'injected_file_content_bytes': 'server_injected_file_content_bytes',
    'injected_file_path_bytes': 'server_injected_file_path_bytes',
    'key_pairs': 'server_key_pairs',
    'server_groups': 'server_groups',
    'server_group_members': 'server_group_members',
}
"""Our resource to the one that Keystone limits."""


def is_on(conf: cfg.ConfigOpts) -> bool:
    return bool(conf.quota.driver == DRIVER)


def defaults(conf: cfg.ConfigOpts) -> dict[str, int]:
    """Return what projects have that nobody set limits for."""
    return _named(conf, limits.registered(conf))


def of_project(conf: cfg.ConfigOpts, project_id: str) -> dict[str, int]:
    return _named(conf, limits.of_project(conf, project_id))


def _named(conf: cfg.ConfigOpts, known: dict[str, int]) -> dict[str, int]:
    return {
        ours: known[theirs] if theirs in known else unset(conf, theirs)
        for ours, theirs in NAMES.items()
    }


def unset(conf: cfg.ConfigOpts, name: str) -> int:
    """Return the limit of what Keystone has none for: 0 or -1."""
    listed = name in conf.quota.unified_limits_resource_list
    required = conf.quota.unified_limits_resource_strategy == 'require'
    return 0 if listed == required else -1


def claim(
    session: Session,
    conf: cfg.ConfigOpts,
    project_id: str,
    each: Mapping[str, int],
    servers: int,
    minimum: int,
) -> int:
    """Return how many servers fit that take ``each`` of resource classes; see ``quotas``.

    Raises ProjectOverLimit.
    """
    wanted = {SERVERS: 1} | {CLASS + name: amount for name, amount in each.items()}
    fits = _fit(session, conf, project_id, wanted, servers)
    if fits < minimum:
        _refuse(session, conf, project_id, {n: amount * minimum for n, amount in wanted.items()})
    return fits


def check_growth(
    session: Session, conf: cfg.ConfigOpts, project_id: str, more: Mapping[str, int]
) -> None:
    """See that a server may claim so much besides what it has.  Raises ProjectOverLimit."""
    wanted = {CLASS + name: amount for name, amount in more.items() if amount > 0}
    if wanted and not _fit(session, conf, project_id, wanted, 1):
        _refuse(session, conf, project_id, wanted)


def _levels(conf: cfg.ConfigOpts, project_id: str, wanted: Mapping[str, int]) -> list[limits.Level]:
    """Return the levels with the limits of what is wanted alone."""
    return [
        limits.Level(
            level.projects, {name: level.limits.get(name, unset(conf, name)) for name in wanted}
        )
        for level in limits.levels(conf, project_id)
    ]


def _fit(
    session: Session,
    conf: cfg.ConfigOpts,
    project_id: str,
    wanted: Mapping[str, int],
    servers: int,
) -> int:
    levels = _levels(conf, project_id, wanted)
    session.info[LEVELS] = levels
    if all(limit < 0 for level in levels for limit in level.limits.values()):
        return servers
    for level in levels:  # the parent first, always
        locks.take(session, level.projects[0])
    rooms = [servers]
    for level in levels:
        used = usage(session, level.projects)
        rooms += [
            max(limit - used.get(name, 0), 0) // wanted[name]
            for name, limit in level.limits.items()
            if limit >= 0
        ]
    return min(rooms)


def _refuse(
    session: Session, conf: cfg.ConfigOpts, project_id: str, wanted: Mapping[str, int]
) -> None:
    """Raise with the numbers of the first level in which it is too much."""
    for level in session.info[LEVELS]:
        used = usage(session, level.projects)
        overs = [
            _numbers(name, limit, used.get(name, 0), wanted[name])
            for name, limit in sorted(level.limits.items())
            if 0 <= limit < used.get(name, 0) + wanted[name]
        ]
        if overs:
            raise exception.ProjectOverLimit(project_id=project_id, overs=', '.join(overs))


def over(resource: str, limit: int, used: int, more: int) -> exception.ProjectOverLimit:
    """Return the error for what is limited per request, key owner or group: of no project."""
    numbers = _numbers(NAMES[resource], limit, used, more)
    return exception.ProjectOverLimit(project_id=None, overs=numbers)


def _numbers(name: str, limit: int, used: int, more: int) -> str:
    return f'Resource {name} is over limit of {limit} due to current usage {used} and delta {more}'


def usage(session: Session, projects: Sequence[str]) -> dict[str, int]:
    """Return what the servers of projects take, by Keystone's names; one statement."""
    m = InstanceMapping
    query = (
        sa.select(m.resources, sa.func.count(), sa.func.sum(m.vcpus), sa.func.sum(m.memory_mb))
        .where(m.project_id.in_(projects), m.queued_for_delete.is_(False))
        .group_by(m.resources)
    )
    found = {SERVERS: 0}
    for text, count, vcpus, memory_mb in session.execute(query):
        # What was booked by an older release says its CPUs and memory alone.
        of_all = {'VCPU': int(vcpus), 'MEMORY_MB': int(memory_mb)}
        if text is not None:
            of_all = {name: amount * count for name, amount in _decode(text).items()}
        found[SERVERS] += count
        for name, amount in of_all.items():
            found[CLASS + name] = found.get(CLASS + name, 0) + amount
    return found


def in_use(session: Session, project_id: str) -> dict[str, int]:
    """Return a project's usage under the names that our quotas have."""
    used = usage(session, [project_id])
    return {ours: used.get(NAMES[ours], 0) for ours in ('instances', 'cores', 'ram')}


def encode(resources: Mapping[str, int], more: Mapping[str, int] | None = None) -> str:
    """Return how a mapping keeps what its server takes; ``more``: what it holds besides."""
    both = resources if more is None else [resources, more]
    return msgspec.json.encode(both, order='sorted').decode()


def _decode(text: str) -> dict[str, int]:
    found = msgspec.json.decode(text, type=dict[str, int] | list[dict[str, int]])
    if isinstance(found, dict):
        return found
    total: Counter[str] = Counter()
    for one in found:
        total.update(one)
    return total


def is_double(text: str | None) -> bool:
    """Tell whether a server holds two flavors by what its mapping keeps."""
    return text is not None and text.startswith('[')


NOTHING = encode({})
"""What a mapping keeps of a server that has claimed nothing."""
