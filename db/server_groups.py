"""Server groups and their members."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects.server_group import ServerGroup
from kilonova.db import types
from kilonova.db.engine import affected
from kilonova.db.models.api import (
    InstanceGroup,
    InstanceGroupMember,
    InstanceGroupPolicy,
    InstanceMapping,
)
from kilonova.db.models.servers import table_of

# Built once: every show of a server asks.
_GROUPS_OF = (
    sa.select(table_of(InstanceGroup).c.uuid)
    .join(
        table_of(InstanceGroupMember),
        table_of(InstanceGroup).c.id == table_of(InstanceGroupMember).c.group_id,
    )
    .where(table_of(InstanceGroupMember).c.instance_uuid == sa.bindparam('server'))
    .order_by(table_of(InstanceGroup).c.id)
)
_decode_rules = msgspec.json.Decoder(dict[str, int]).decode


def add(session: Session, group: ServerGroup) -> ServerGroup:
    """Store a new group; returns it with what the database has added."""
    row = InstanceGroup(
        uuid=group.uuid, name=group.name, project_id=group.project_id, user_id=group.user_id
    )
    session.add(row)
    session.flush()
    rules = msgspec.json.encode(group.rules).decode() if group.rules else None
    session.add(InstanceGroupPolicy(group_id=row.id, policy=group.policy, rules=rules))
    session.flush()
    return _to_group(row, group.policy, rules)


def get(session: Session, uuid: str, project_id: str | None = None) -> ServerGroup:
    """Return a group without its members.  Raises InstanceGroupNotFound."""
    query = _groups().where(InstanceGroup.uuid == uuid)
    if project_id is not None:
        query = query.where(InstanceGroup.project_id == project_id)
    for row, policy, rules in session.execute(query):
        return _to_group(row, policy, rules)
    raise exception.InstanceGroupNotFound(group_uuid=uuid)


def hold(session: Session, uuid: str) -> int:
    """Return a group's number; until the transaction ends nobody else places or adds members.

    Raises InstanceGroupNotFound.
    """
    query = sa.select(InstanceGroup.id).where(InstanceGroup.uuid == uuid).with_for_update()
    found = session.scalar(query)
    if found is None:
        raise exception.InstanceGroupNotFound(group_uuid=uuid)
    return found


def find(
    session: Session, project_id: str | None = None, limit: int | None = None, offset: int = 0
) -> list[ServerGroup]:
    """Return groups with their members, oldest first: two statements."""
    query = _groups().order_by(InstanceGroup.id).limit(limit).offset(offset)
    if project_id is not None:
        query = query.where(InstanceGroup.project_id == project_id)
    groups = [_to_group(row, policy, rules) for row, policy, rules in session.execute(query)]
    add_members(session, groups)
    return groups


def delete(session: Session, uuid: str, project_id: str | None = None) -> None:
    """Delete a group; its servers go on without it.  Raises InstanceGroupNotFound."""
    statement = sa.delete(InstanceGroup).where(InstanceGroup.uuid == uuid)
    if project_id is not None:
        statement = statement.where(InstanceGroup.project_id == project_id)
    if not affected(session, statement):
        raise exception.InstanceGroupNotFound(group_uuid=uuid)


# -- members


def add_members(session: Session, groups: Sequence[ServerGroup]) -> None:
    """Fill in the members of all groups with one statement, in the order in which they came."""
    by_id = {group.id: group for group in groups}
    if not by_id:
        return
    member = InstanceGroupMember
    query = sa.select(member.group_id, member.instance_uuid).where(member.group_id.in_(by_id))
    for group_id, uuid in session.execute(query.order_by(member.id)):
        by_id[group_id].members.append(uuid)


def members_of(session: Session, uuid: str) -> list[str]:
    """Return the members of a group; none when it is gone."""
    query = (
        sa.select(InstanceGroupMember.instance_uuid)
        .join(InstanceGroup, InstanceGroup.id == InstanceGroupMember.group_id)
        .where(InstanceGroup.uuid == uuid)
    )
    return list(session.scalars(query))


def groups_of(session: Session, server_uuid: str) -> list[str]:
    """Return the uuids of the groups that a server is in."""
    return list(session.scalars(_GROUPS_OF, {'server': server_uuid}))


def join(session: Session, group_id: int, servers: Iterable[str]) -> None:
    """Make servers members of a group."""
    now = types.utcnow()
    rows = [{'group_id': group_id, 'instance_uuid': uuid, 'created_at': now} for uuid in servers]
    session.execute(sa.insert(table_of(InstanceGroupMember)), rows)


def leave(session: Session, servers: Sequence[str]) -> None:
    """Take servers out of whatever group they are in."""
    session.execute(
        sa.delete(InstanceGroupMember).where(InstanceGroupMember.instance_uuid.in_(servers))
    )


def count_members(session: Session, group_id: int, user_id: str) -> int:
    """Return how many servers a user has in a group."""
    query = (
        sa.select(sa.func.count(InstanceGroupMember.id))
        .join(InstanceMapping, InstanceMapping.instance_uuid == InstanceGroupMember.instance_uuid)
        .where(
            InstanceGroupMember.group_id == group_id,
            InstanceMapping.user_id == user_id,
            InstanceMapping.queued_for_delete.is_(False),
        )
    )
    return session.execute(query).scalar_one()


def _groups() -> 'sa.Select[InstanceGroup, str | None, str | None]':
    return sa.select(InstanceGroup, InstanceGroupPolicy.policy, InstanceGroupPolicy.rules).join(
        InstanceGroupPolicy, InstanceGroupPolicy.group_id == InstanceGroup.id, isouter=True
    )


def _to_group(row: InstanceGroup, policy: str | None, rules: str | None) -> ServerGroup:
    return ServerGroup(
        id=row.id,
        uuid=row.uuid,
        name=row.name or '',
        project_id=row.project_id or '',
        user_id=row.user_id or '',
        policy=policy,
        rules=_decode_rules(rules) if rules else {},
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
