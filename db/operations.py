"""Durable operations: the rows behind leases, fences and os-instance-actions."""

import datetime
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Action, ActionEvent
from kilonova.db import happenings, types
from kilonova.db.engine import affected
from kilonova.db.models.servers import InstanceRow, OperationEventRow, OperationRow, table_of

OPERATIONS = table_of(OperationRow)
EVENTS = table_of(OperationEventRow)
INSTANCES = table_of(InstanceRow)

RUNNING, DONE, FAILED, SUPERSEDED = 'running', 'done', 'failed', 'superseded'

# Steps.  What a step is for is said in ``conductor.operations``.
SCHEDULING, HOST, LOCAL, RELEASE = 'scheduling', 'host', 'local', 'release'

COMPUTE = 'compute:'
"""An owner that begins so is a compute host."""


class Operation(msgspec.Struct, kw_only=True):
    """One row of ``operations``."""

    id: str
    action: str
    instance_uuid: str
    request_id: str
    user_id: str | None = None
    project_id: str | None = None
    step: str
    phase: str = ''
    first_attempt: int = 1
    reported: str = ''
    payload: str = ''
    owner: str | None = None
    lease_until: datetime.datetime | None = None
    attempt: int = 1
    state: str = RUNNING
    message: str | None = None
    started_at: datetime.datetime
    updated_at: datetime.datetime
    finished_at: datetime.datetime | None = None

    @property
    def fence(self) -> Fence:
        return Fence(self.id, self.attempt)

    @property
    def tries(self) -> int:
        """How often the present phase has been begun."""
        return self.attempt - self.first_attempt + 1


FIELDS = Operation.__struct_fields__
COLUMNS = tuple(OPERATIONS.c[name] for name in FIELDS)


def _from_row(row: Sequence[Any]) -> Operation:
    return Operation(**dict(zip(FIELDS, row, strict=True)))


def add(session: Session, operations: Sequence[Operation]) -> None:
    """Record accepted operations."""
    session.execute(sa.insert(OPERATIONS), [msgspec.structs.asdict(one) for one in operations])


def get(session: Session, operation_id: str) -> Operation | None:
    """Return one operation."""
    query = sa.select(*COLUMNS).where(OPERATIONS.c.id == operation_id)
    row = session.execute(query).one_or_none()
    return _from_row(row) if row else None


def get_with(
    session: Session, operation_id: str, value: sa.ColumnElement[bool]
) -> tuple[Operation | None, bool]:
    """Return one operation, and in the same statement something that depends on it."""
    query = sa.select(*COLUMNS, value).where(OPERATIONS.c.id == operation_id)
    row = session.execute(query).one_or_none()
    return (_from_row(row[:-1]), bool(row[-1])) if row else (None, False)


def is_done(session: Session, fence: Fence) -> bool:
    """Tell whether this very attempt has ended well: its report may come twice."""
    operation = get(session, fence.operation)
    return operation is not None and operation.state == DONE and operation.attempt == fence.attempt


def update(session: Session, operation_id: str, **values: Any) -> None:
    """Change an operation whose fence was checked in this transaction."""
    values['updated_at'] = types.utcnow()
    session.execute(sa.update(OPERATIONS).where(OPERATIONS.c.id == operation_id).values(**values))


def finish(
    session: Session,
    operation_id: str,
    state: str = DONE,
    message: str | None = None,
    *,
    release_at: datetime.datetime | None = None,
    details: str | None = None,
    reported: str = '',
) -> None:
    """End an operation and its open events; what it carried is forgotten.

    ``release_at``: when to see that placement holds nothing for the server any more.
    """
    result = 'Success' if state == DONE else 'Error'
    _note_end(session, operation_id, result, details)
    update(
        session,
        operation_id,
        state=state,
        message=message,
        payload='',
        reported=reported,
        owner=None,
        step=RELEASE if release_at else HOST,
        lease_until=release_at,
        finished_at=types.utcnow(),
    )
    _close_events(session, operation_id, result, details)


def payloads(session: Session, server_uuid: str, actions: Iterable[str]) -> list[str]:
    """Return what the running operations of some kinds on a server carry."""
    c = OPERATIONS.c
    query = sa.select(c.payload).where(c.instance_uuid == server_uuid, c.state == RUNNING)
    return list(session.scalars(query.where(c.action.in_(list(actions)))))


def erase(session: Session, operation_id: str) -> None:
    """Forget an operation that came to nothing before it was accepted."""
    session.execute(sa.delete(EVENTS).where(EVENTS.c.operation_id == operation_id))
    session.execute(sa.delete(OPERATIONS).where(OPERATIONS.c.id == operation_id))


def supersede(session: Session, operation_id: str, release_at: datetime.datetime) -> None:
    """End an operation in favour of another.

    One that was choosing a host may claim resources even now, so they are released later on.
    """
    scheduling = OPERATIONS.c.step == SCHEDULING
    now = types.utcnow()
    session.execute(
        sa.update(OPERATIONS)
        .where(OPERATIONS.c.id == operation_id, OPERATIONS.c.state == RUNNING)
        # MariaDB assigns from left to right, so what looks at ``step`` comes before it.
        .ordered_values(
            (OPERATIONS.c.lease_until, sa.case((scheduling, release_at), else_=None)),
            (OPERATIONS.c.step, sa.case((scheduling, RELEASE), else_=OPERATIONS.c.step)),
            (OPERATIONS.c.state, SUPERSEDED),
            (OPERATIONS.c.owner, None),
            (OPERATIONS.c.payload, ''),
            (OPERATIONS.c.finished_at, now),
            (OPERATIONS.c.updated_at, now),
        )
    )
    finish_events(session, operation_id, 'Error', None)


# -- leases


def expired(
    session: Session, actions: Iterable[str], limit: int, of_hosts: bool = True
) -> list[Operation]:
    """Return operations whose lease has run out, the longest ago first; without payload.

    ``of_hosts`` false: without those that compute hosts work on.
    """
    c = OPERATIONS.c
    columns = [
        sa.literal('').label('payload') if column.name == 'payload' else column
        for column in COLUMNS
    ]
    query = sa.select(*columns).where(c.lease_until < types.utcnow(), c.action.in_(list(actions)))
    if not of_hosts:
        query = query.where(sa.or_(c.owner.is_(None), c.owner.not_like(f'{COMPUTE}%')))
    return [_from_row(row) for row in session.execute(query.order_by(c.lease_until).limit(limit))]


def take(
    session: Session, operation: Operation, owner: str, until: datetime.datetime
) -> Operation | None:
    """Take an expired operation over; None when somebody else was faster.

    A running one gets a new attempt, here and in the server's fence.
    """
    new = operation.attempt + (operation.state == RUNNING)
    if operation.state == RUNNING:
        # The server's row first: every transaction locks it before the operation's.
        c = INSTANCES.c
        session.execute(
            sa.update(INSTANCES)
            .where(c.uuid == operation.instance_uuid, c.operation == operation.id)
            .where(c.attempt == operation.attempt)
            .values(attempt=new)
        )
    o = OPERATIONS.c
    statement = (
        sa.update(OPERATIONS)
        .where(o.id == operation.id, o.attempt == operation.attempt, o.state == operation.state)
        .where(o.lease_until < types.utcnow())
        .values(owner=owner, lease_until=until, attempt=new, updated_at=types.utcnow())
    )
    if affected(session, statement) != 1:
        session.rollback()
        return None
    return get(session, operation.id)


def prolong(
    session: Session, owner: str, ids: Iterable[str], until: datetime.datetime
) -> list[str]:
    """Prolong leases of operations that ``owner`` says it works on; unknown ids are ignored."""
    wanted = sorted(set(ids))
    if wanted:
        c = OPERATIONS.c
        session.execute(
            sa.update(OPERATIONS)
            .where(c.id.in_(wanted), c.owner == owner, c.state == RUNNING)
            .values(lease_until=until)
        )
    return wanted


def hand_over(session: Session, owner: str) -> int:
    """End the leases of all that ``owner`` works on, so that others take it at once."""
    c = OPERATIONS.c
    statement = (
        sa.update(OPERATIONS)
        .where(c.owner == owner, c.state == RUNNING)
        .values(owner=None, lease_until=types.utcnow())
    )
    return affected(session, statement)


def hasten(session: Session, operation_id: str) -> None:
    """End the pause of an operation that waits to be tried again."""
    c = OPERATIONS.c
    session.execute(
        sa.update(OPERATIONS)
        .where(c.id == operation_id, c.state == RUNNING)
        .where(c.owner.is_(None), c.lease_until > types.utcnow())
        .values(lease_until=types.utcnow())
    )


def move(session: Session, operation: Operation, **values: Any) -> bool:
    """Change an operation unless somebody has taken it over or ended it; false if so."""
    c = OPERATIONS.c
    statement = (
        sa.update(OPERATIONS)
        .where(c.id == operation.id, c.attempt == operation.attempt, c.state == operation.state)
        .values(**values, updated_at=types.utcnow())
    )
    return affected(session, statement) == 1


# -- os-instance-actions


def start_events(
    session: Session,
    event: str,
    starts: Sequence[tuple[Operation, str]],
    details: Sequence[str | None] = (),
) -> None:
    """Note for each (operation, host) that a host begins with it.

    ``details``: why it was chosen, for administrators.
    """
    now = types.utcnow()
    rows = [
        {
            'operation_id': operation.id,
            'event': event,
            'start_time': now,
            'host': host,
            'details': why,
        }
        for (operation, host), why in itertools.zip_longest(starts, details)
    ]
    session.execute(sa.insert(EVENTS), rows)
    happenings.note(
        session, *(happenings.Began(operation.id, event) for operation, _host in starts)
    )


def finish_events(session: Session, operation_id: str, result: str, details: str | None) -> None:
    """Close the open events of an operation."""
    _note_end(session, operation_id, result, details)
    _close_events(session, operation_id, result, details)


def _close_events(session: Session, operation_id: str, result: str, details: str | None) -> None:
    session.execute(
        sa.update(EVENTS)
        .where(EVENTS.c.operation_id == operation_id, EVENTS.c.finish_time.is_(None))
        .values(
            finish_time=types.utcnow(),
            result=result,
            **({} if details is None else {'details': details}),
        )
    )


def note_event(
    session: Session, operation_id: str, event: str, host: str, result: str, details: str | None
) -> None:
    """Record something that is over already."""
    now = types.utcnow()
    session.execute(
        sa.insert(EVENTS).values(
            operation_id=operation_id,
            event=event,
            start_time=now,
            finish_time=now,
            host=host,
            result=result,
            details=details,
        )
    )


def _note_end(session: Session, operation_id: str, result: str, details: str | None) -> None:
    if happenings.of(session) is None:
        return
    still_open = (
        sa.select(EVENTS.c.event, OPERATIONS.c.payload)
        .join(OPERATIONS, OPERATIONS.c.id == EVENTS.c.operation_id)
        .where(EVENTS.c.operation_id == operation_id, EVENTS.c.finish_time.is_(None))
    )
    for event, payload in session.execute(still_open):
        happenings.note(session, happenings.Ended(operation_id, event, result, payload, details))


def list_actions(
    session: Session,
    uuid: str,
    *,
    limit: int | None = None,
    marker: str | None = None,
    changes_since: datetime.datetime | None = None,
    changes_before: datetime.datetime | None = None,
) -> list[Action]:
    """Return a server's actions, newest first.  Raises MarkerNotFound."""
    c = OPERATIONS.c
    query = sa.select(*COLUMNS).where(c.instance_uuid == uuid)
    if marker is not None:
        last = session.execute(query.where(c.request_id == marker).limit(1)).one_or_none()
        if last is None:
            raise exception.MarkerNotFound(marker=marker)
        at = _from_row(last)
        earlier = sa.and_(c.started_at == at.started_at, c.id < at.id)
        query = query.where(sa.or_(c.started_at < at.started_at, earlier))
    if changes_since is not None:
        query = query.where(c.updated_at >= changes_since)
    if changes_before is not None:
        query = query.where(c.updated_at <= changes_before)
    query = query.order_by(c.started_at.desc(), c.id.desc()).limit(limit)
    return [_action(_from_row(row)) for row in session.execute(query)]


def get_action(session: Session, uuid: str, request_id: str) -> Action:
    """Return one action with its events.  Raises ActionNotFound."""
    c = OPERATIONS.c
    query = sa.select(*COLUMNS).where(c.instance_uuid == uuid, c.request_id == request_id)
    row = session.execute(query.order_by(c.started_at.desc()).limit(1)).one_or_none()
    if row is None:
        raise exception.ActionNotFound(request_id=request_id, instance_uuid=uuid)
    operation = _from_row(row)
    action = _action(operation)
    names = ActionEvent.__struct_fields__
    events = sa.select(*(EVENTS.c[name] for name in names))
    events = events.where(EVENTS.c.operation_id == operation.id).order_by(EVENTS.c.id)
    action.events = [
        ActionEvent(**dict(zip(names, values, strict=True))) for values in session.execute(events)
    ]
    return action


SHOWN_AS = {'soft-delete': 'delete'}
"""What os-instance-actions calls an operation, where it is not the operation's own name."""


def _action(operation: Operation) -> Action:
    return Action(
        action=SHOWN_AS.get(operation.action, operation.action),
        instance_uuid=operation.instance_uuid,
        request_id=operation.request_id,
        user_id=operation.user_id,
        project_id=operation.project_id,
        start_time=operation.started_at,
        updated_at=operation.updated_at,
        message='Error' if operation.state == FAILED else None,
    )
