"""Accepting an operation on a server that exists."""

import datetime
import uuid

from sqlalchemy.orm import Session

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Server
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.state import Rule
from kilonova.db import operations, servers, types
from kilonova.db.operations import Operation


def new(
    context: Ctx, server: Server, rule: Rule, payload: str, owner: str, until: datetime.datetime
) -> Operation:
    """Return the operation for a request, to be done by the conductor ``owner``."""
    assert rule.action is not None
    now = types.utcnow()
    return Operation(
        id=str(uuid.uuid4()),
        action=rule.action,
        instance_uuid=server.uuid,
        request_id=context.request_id,
        user_id=context.user_id,
        project_id=context.project_id,
        step=operations.LOCAL,
        payload=payload,
        owner=owner,
        lease_until=until,
        started_at=now,
        updated_at=now,
    )


def record(session: Session, server: Server, operation: Operation, task_state: str | None) -> None:
    """Write an operation, and that the server is its own; ``server`` becomes so, too."""
    operations.add(session, [operation])
    server.operation, server.attempt = operation.id, operation.attempt
    server.task_state = task_state
    servers.update(
        session,
        server.uuid,
        operation=operation.id,
        attempt=operation.attempt,
        task_state=task_state,
    )


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

    Its step is ``host`` when the server's host lives, else ``local``.
    """
    operation = new(context, server, rule, payload, engine.worker, parts.lease())
    alive = server.host is not None and parts.is_up(session, server.host)
    if alive:
        operation.step = operations.HOST
        operation.owner = f'{operations.COMPUTE}{server.host}'
    record(session, server, operation, rule.task_state)
    if alive and server.host:
        operations.start_events(session, rule.event, [(operation, server.host)])
    return operation


def note(session: Session, context: Ctx, server: Server, rule: Rule, host: str) -> None:
    """Show among a server's actions what was done at once, in this transaction."""
    operation = new(context, server, rule, '', '', types.utcnow())
    operation.owner = operation.lease_until = None
    operation.state, operation.finished_at = operations.DONE, operation.started_at
    operations.add(session, [operation])
    if rule.event:
        operations.start_events(session, rule.event, [(operation, host)])
        operations.finish_events(session, operation.id, 'Success', None)
