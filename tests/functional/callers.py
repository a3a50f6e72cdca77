"""Who may ask: the callers that the policy table is crossed with."""

import dataclasses
from typing import Any

import pytest

from kilonova.api import auth
from kilonova.common.context import RequestContext


@dataclasses.dataclass(frozen=True)
class Caller:
    """One caller of ``noauth2``, whose token Keystone would have given other roles."""

    name: str
    project: str | None
    roles: tuple[str, ...]
    system: str | None = None

    @property
    def token(self) -> str:
        return f'{self.name}:{self.project or "none"}'

    @property
    def is_admin(self) -> bool:
        return 'admin' in self.roles

    @property
    def values(self) -> dict[str, Any]:
        """Return what makes the context another one than ``noauth2`` does."""
        return {
            'user_id': self.name,
            'project_id': self.project,
            'roles': list(self.roles),
            'is_admin': self.is_admin,
            'system_scope': self.system,
        }

    def __str__(self) -> str:
        return self.name


OWNER = 'demo'
READER = Caller('reader', OWNER, ('reader',))
NO_ROLE = Caller('nobody', OWNER, ())
MEMBER = Caller('member', OWNER, ('member', 'reader'))
MANAGER = Caller('manager', OWNER, ('manager', 'member', 'reader'))
ADMIN = Caller('boss', OWNER, ('admin', 'manager', 'member', 'reader'))
FOREIGN = Caller('mallory', 'evil', ('member', 'reader'))
CLOUD_ADMIN = Caller('operator', 'operators', ('admin', 'member', 'reader'))
SYSTEM = Caller('system', None, ('admin', 'member', 'reader'), 'all')
SERVICE = Caller('glance', 'service', ('service',))
ALL = [READER, NO_ROLE, MEMBER, MANAGER, ADMIN, FOREIGN, CLOUD_ADMIN, SYSTEM, SERVICE]


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the callers' tokens their roles, as Keystone would."""
    known = {caller.name: caller for caller in ALL}

    def make(**values: Any) -> RequestContext:
        caller = known.get(values['user_id'])
        return RequestContext(**{**values, **(caller.values if caller else {})})

    monkeypatch.setattr(auth, 'RequestContext', make)
