"""Waiting for the end of an operation, for requests that are answered with what came of it."""

import time
from collections.abc import Iterator

from kilonova.common import exception
from kilonova.conductor.parts import Parts
from kilonova.db import operations, servers

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
KINDS = {
    400: exception.Invalid,
    403: exception.Forbidden,
    404: exception.NotFound,
    409: exception.Conflict,
    501: exception.NotSupported,
    503: exception.ServiceUnavailable,
}


def pause(seconds: float) -> None:
    time.sleep(seconds)


def steps(seconds: float) -> Iterator[float]:
    """Yield pauses that become longer, as many as fit."""
    waited, step = 0.0, FIRST_PAUSE
    while waited < seconds:
        yield step
        waited, step = waited + step, min(step * 2, LONGEST_PAUSE)


def wait_for(parts: Parts, operation_id: str, seconds: float) -> None:
    """Return when an operation has ended well.

    Raises what it failed with, Conflict when another action has taken its place, and
    ServiceUnavailable when it takes longer; it goes on all the same.
    """
    for step in steps(seconds):
        with parts.cell_db.reader() as session:
            operation = operations.get(session, operation_id)
        if operation is None or operation.state == operations.SUPERSEDED:
            raise exception.Conflict('Another action has taken the place of this one.')
        if operation.state == operations.DONE:
            return
        if operation.state == operations.FAILED:
            raise _failure(parts, operation)
        pause(step)
    raise exception.ServiceUnavailable(f'It is not over after {seconds:.0f} seconds, but goes on.')


def _failure(parts: Parts, operation: operations.Operation) -> exception.KilonovaError:
    """Return the error by its status, which the server's fault has."""
    message = operation.message or ''
    with parts.cell_db.reader() as session:
        fault = servers.get(session, operation.instance_uuid).fault
    code = fault.code if fault and fault.message == message[: len(fault.message)] else 500
    return KINDS.get(code, exception.OperationFailed)(message)
