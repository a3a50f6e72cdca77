"""Server groups, and what they demand of hosts."""

import datetime
from collections.abc import Mapping

import msgspec

AFFINITY, ANTI_AFFINITY = 'affinity', 'anti-affinity'
HARD = (AFFINITY, ANTI_AFFINITY)
MAX_PER_HOST = 'max_server_per_host'


class ServerGroup(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One group; ``members`` are uuids of servers."""

    id: int = 0
    uuid: str = ''
    name: str
    project_id: str
    user_id: str
    policy: str | None = None
    rules: dict[str, int] = {}
    members: list[str] = []
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None


class Membership(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request's group.  ``members`` and ``hosts`` are filled in anew for each decision.

    ``hosts``: member to its hosts, of those that have one (two while they move).
    """

    uuid: str = ''
    policy: str | None = None
    max_per_host: int = 1
    members: list[str] = []
    hosts: dict[str, list[str]] = {}

    @property
    def is_hard(self) -> bool:
        return self.policy in HARD

    def allows(self, host: str, others: Mapping[str, int]) -> bool:
        """Tell whether a server may be on a host; ``others``: how many members each host has."""
        if self.policy == ANTI_AFFINITY:
            return others.get(host, 0) < self.max_per_host
        if self.policy == AFFINITY:
            return not others or host in others
        return True


def membership(group: ServerGroup) -> Membership:
    """Return what is kept of a group in its members' requests."""
    return Membership(
        uuid=group.uuid, policy=group.policy, max_per_host=group.rules.get(MAX_PER_HOST, 1)
    )
