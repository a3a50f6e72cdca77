"""Accepting an operation on a server that exists."""

import uuid

from sqlalchemy.orm import Session

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Server
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.state import Rule
from kilonova.db import operations, servers, types
from kilonova.db.operations import Operation


def accept(
    parts: Parts,
    engine: Engine,
    session: Session,
    context: Ctx,
    server: Server,
    rule: Rule,
    payload: str = '',
) -> Operation:
    """Record the operation in the transaction that holds the server's lock.

    Its step is ``host`` when the server's host lives, else ``local``.  ``server`` becomes
    what it is from now on.
    """
    assert rule.action is not None
    now = types.utcnow()
    alive = server.host is not None and parts.is_up(session, server.host)
    operation = Operation(
        id=str(uuid.uuid4()),
        action=rule.action,
        instance_uuid=server.uuid,
        request_id=context.request_id,
        user_id=context.user_id,
        project_id=context.project_id,
        step=operations.HOST if alive else operations.LOCAL,
        payload=payload,
        owner=operations.COMPUTE + server.host if alive and server.host else engine.worker,
        lease_until=parts.lease(),
        started_at=now,
        updated_at=now,
    )
    operations.add(session, [operation])
    if alive and server.host:
        operations.start_events(session, rule.event, [(operation, server.host)])
    server.operation, server.attempt = operation.id, operation.attempt
    server.task_state = rule.task_state
    servers.update(
        session,
        server.uuid,
        operation=operation.id,
        attempt=operation.attempt,
        task_state=rule.task_state,
    )
    return operation
