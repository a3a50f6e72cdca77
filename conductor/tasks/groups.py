"""The server group that a request names: joining it, and keeping its policy when a host is chosen.

The scheduler chooses by what it knows; two choices at once may together break a policy.
So whoever writes down a server's host does it while it holds the group's row, after a look
at where the other members are by then.  The order of locks is: API database, cell database.
"""

import collections
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.common.objects.server_group import Membership, membership
from kilonova.conductor.parts import Parts
from kilonova.db import quotas, server_groups, server_migrations
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
    if limits['server_group_members'] >= 0:
        used = server_groups.count_members(session, group_id, spec.user_id)
        quotas.check_one(conf, limits, 'server_group_members', len(uuids), TOO_MANY, used)
    server_groups.join(session, group_id, uuids)


class Sent(Protocol):
    """What is carried of a server that was to go to a host."""

    selection: Selection | None
    reasons: list[str]
    misfit: str

    @property
    def spec(self) -> RequestSpec: ...


def avoid(payload: Sent) -> None:
    """Keep a server from being sent again to where its group does not want it, or it does not fit.

    The scheduler may have no filter for that, and each host is tried once at most.
    """
    assert payload.selection is not None
    host, spec = payload.selection.host, payload.spec
    spec.ignore_hosts = [*spec.ignore_hosts, host]
    why = payload.misfit or 'other servers of the group were quicker.'
    payload.reasons.append(f'Host {host}: {why}')
    payload.misfit = ''


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
        hosts: dict[str, list[str]] = {}
        for found in self._parts.ask(lambda one: server_migrations.hosts_of(one, members)):
            hosts |= found
        group = msgspec.structs.replace(spec.group, members=members, hosts=hosts)
        return msgspec.structs.replace(spec, group=group)

    @retry
    def reserve(
        self,
        group: Membership | None,
        uuid: str,
        host: str,
        note: Callable[[Session], None],
    ) -> bool:
        """Note where a server is going, if the group does not mind; nothing is noted without one."""
        with self.held(group) as guard:
            if guard is None:
                return True
            with self._parts.cell_db.transaction() as session:
                if not guard.admits(session, uuid, host):
                    return False
                note(session)
        return True

    @contextlib.contextmanager
    def held(self, group: Membership | None) -> Iterator['Guard | None']:
        """Keep everybody else from placing members; None when nothing has to be kept.

        To be entered before the transaction of the cell database begins.
        """
        if not self._is_kept(group):
            yield None
            return
        with self._parts.api_db.transaction() as session:
            yield self.guard(session, group)

    def _is_kept(self, group: Membership | None) -> bool:
        off = self._parts.conf.workarounds.disable_group_policy_check_upcall
        return group is not None and group.is_hard and not off

    def guard(self, session: Session, group: Membership | None) -> 'Guard | None':
        """Hold a group in a transaction of the API database; None when nothing has to be kept."""
        if group is None or not self._is_kept(group):
            return None
        try:
            server_groups.hold(session, group.uuid)
        except exception.InstanceGroupNotFound:
            return None  # deleted meanwhile: there is no policy any more
        members = server_groups.members_of(session, group.uuid)
        return Guard(group, members, self._elsewhere(members))

    def _elsewhere(self, members: Sequence[str]) -> dict[str, list[str]]:
        """Return the hosts of members in other cells, to which nobody sends one meanwhile."""
        found: dict[str, list[str]] = {}
        if self._parts.several_cells:
            for part in self._parts.ask(lambda one: server_migrations.hosts_of(one, members)):
                found |= part
        return found


class Guard:
    """A group that is held, for one transaction of the cell database."""

    def __init__(
        self, group: Membership, members: Sequence[str], elsewhere: dict[str, list[str]]
    ) -> None:
        self._group, self._members, self._elsewhere = group, members, elsewhere
        self._hosts: dict[str, list[str]] | None = None

    def admits(self, session: Session, uuid: str, host: str) -> bool:
        """Tell whether the policy lets a server go to a host, where it then counts as being."""
        if self._hosts is None:
            here = server_migrations.hosts_of(session, self._members)
            self._hosts = self._elsewhere | here
        others = collections.Counter(
            one for member, there in self._hosts.items() if member != uuid for one in there
        )
        if not self._group.allows(host, others):
            return False
        self._hosts[uuid] = [*self._hosts.get(uuid, ()), host]
        return True
