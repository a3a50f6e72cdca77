"""Locks of servers, and states that an administrator sets by hand."""

from typing import Any

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Server
from kilonova.conductor import state
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import accept
from kilonova.db import servers
from kilonova.db.engine import retry

OWNER, ADMIN = 'owner', 'admin'
RESET = state.Rule(name='reset state', action='resetState')
"""Shown among the actions; no state refuses it."""


def lock_of(context: Ctx, server: Server) -> str:
    """Return whose lock one's own would be: that of the owner's project, or an administrator's."""
    return OWNER if context.project_id == server.project_id else ADMIN


class ServerLocks:
    """Endpoint."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts, self._engine = parts, engine

    @retry
    def lock_server(self, context: Ctx, uuid: str, reason: str | None = None) -> None:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True, parts=False)
            whose = lock_of(context, server)
            if server.locked and whose == OWNER:
                return  # an administrator's lock stays one
            values: dict[str, Any] = {'locked_reason': reason} if reason else {}
            servers.update(session, uuid, locked=True, locked_by=whose, **values)
            accept.note(session, context, server, state.RULES['lock'], self._parts.conf.host)

    @retry
    def unlock_server(self, context: Ctx, uuid: str, override: bool = False) -> None:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True, parts=False)
            if server.locked_by not in (None, lock_of(context, server)) and not override:
                raise exception.InstanceIsLocked(instance_uuid=uuid)
            servers.update(session, uuid, locked=False, locked_by=None, locked_reason=None)
            accept.note(session, context, server, state.RULES['unlock'], self._parts.conf.host)

    @retry
    def reset_server_state(self, context: Ctx, uuid: str, vm_state: str) -> None:
        """What still works on the server loses it; its host is told so when it reports."""
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True, parts=False)
            if server.operation is not None:
                self._engine.supersede(session, server)
            servers.update(session, uuid, vm_state=vm_state, task_state=None, operation=None)
            accept.note(session, context, server, RESET, self._parts.conf.host)
