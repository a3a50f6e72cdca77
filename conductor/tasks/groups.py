"""The server group that a request names: joining it, and keeping its policy when a host is chosen.

The scheduler chooses by what it knows; two choices at once may together break a policy.
So whoever writes down a server's host does it while it holds the group's row, after a look
at where the other members are by then.  The order of locks is: API database, cell database.
"""

import collections
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.objects.server_group import Membership, membership
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks.work import Payload
from kilonova.db import quotas, server_groups, servers
from kilonova.db.engine import retry

TOO_MANY = 'Quota exceeded, too many servers in group'


def hinted(session: Session, context: Ctx, hints: dict[str, Any]) -> Membership | None:
    """Return what the hint ``group`` means for the request.  Raises InstanceGroupNotFound."""
    uuid = _uuid_of(hints)
    if uuid is None:
        return None
    project_id = None if context.is_admin else context.project_id or ''
    return membership(server_groups.get(session, uuid, project_id))


def join(session: Session, conf: cfg.ConfigOpts, spec: RequestSpec, uuids: Sequence[str]) -> None:
    """Make new servers members of the group that ``spec`` has.

    Raises InstanceGroupNotFound (deleted meanwhile), LimitExceeded.
    """
    if spec.group is None:
        return
    group_id = server_groups.hold(session, spec.group.uuid)
    _, limits = quotas.limits(session, conf, spec.project_id, spec.user_id)
    limit = limits['server_group_members']
    if limit >= 0:
        used = server_groups.count_members(session, group_id, spec.user_id)
        if used + len(uuids) > limit:
            raise exception.LimitExceeded(TOO_MANY)
    server_groups.join(session, group_id, uuids)


def avoid(payload: Payload) -> None:
    """Keep a server from being sent again to where its group does not want it.

    The scheduler may have no filter for that, and each host is tried once at most.
    """
    assert payload.selection is not None
    host, spec = payload.selection.host, payload.spec
    payload.spec = msgspec.structs.replace(spec, ignore_hosts=[*spec.ignore_hosts, host])
    payload.reasons.append(f'Host {host}: other servers of the group were quicker.')


def _uuid_of(hints: dict[str, Any]) -> str | None:
    value = hints.get('group')
    if isinstance(value, list):
        value = value[0] if value else None
    return str(value) if value else None


class Groups:
    """What scheduling and placing servers needs of their group."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @retry
    def look(self, spec: RequestSpec) -> RequestSpec:
        """Return the request with the members of its group and where they are."""
        if spec.group is None:
            return spec
        with self._parts.api_db.reader() as session:
            members = server_groups.members_of(session, spec.group.uuid)
        with self._parts.cell_db.reader() as session:
            found = servers.locate(session, members)
        hosts = {uuid: host for uuid, host in found.items() if host}
        group = msgspec.structs.replace(spec.group, members=members, hosts=hosts)
        return msgspec.structs.replace(spec, group=group)

    @contextlib.contextmanager
    def held(self, group: Membership | None) -> Iterator['Guard | None']:
        """Keep everybody else from placing members; None when nothing has to be kept.

        To be entered before the transaction of the cell database begins.
        """
        off = self._parts.conf.workarounds.disable_group_policy_check_upcall
        if group is None or not group.is_hard or off:
            yield None
            return
        with self._parts.api_db.transaction() as session:
            try:
                server_groups.hold(session, group.uuid)
            except exception.InstanceGroupNotFound:
                yield None  # deleted meanwhile: there is no policy any more
                return
            yield Guard(group, server_groups.members_of(session, group.uuid))


class Guard:
    """A group that is held, for one transaction of the cell database."""

    def __init__(self, group: Membership, members: Sequence[str]) -> None:
        self._group, self._members = group, members
        self._hosts: dict[str, str | None] | None = None

    def admits(self, session: Session, uuid: str, host: str) -> bool:
        """Tell whether the policy lets a server go to a host, where it then counts as being."""
        if self._hosts is None:
            self._hosts = servers.locate(session, self._members)
        others = collections.Counter(
            there for member, there in self._hosts.items() if there and member != uuid
        )
        if not self._group.allows(host, others):
            return False
        self._hosts[uuid] = host
        return True
