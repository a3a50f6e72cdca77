"""What operations are put together from: phases, and the job and payload that they share."""

import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy.orm import Session

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import HostWork, WorkResult
from kilonova.db.operations import Operation


class Payload(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a procedure carries from phase to phase; a procedure may have a subclass of its own.

    ``rule``: key of ``state.RULES``.  ``failure``: what went wrong, once phases are undone;
    ``broken``: the guest is not what it was.
    """

    context: dict[str, Any]
    rule: str
    failure: WorkResult | None = None
    broken: bool = False


P = TypeVar('P', bound=Payload)
Changes = dict[str, Any]
"""Columns of the server."""


@dataclasses.dataclass(slots=True)
class Job(Generic[P]):
    """One operation at work.  What a phase changes in ``payload`` is kept."""

    context: Ctx
    operation: Operation
    server: Server
    payload: P


def _own_host(job: Job[Any]) -> str | None:
    return job.server.host


def nothing(session: Session, job: Job[Any], result: WorkResult) -> Changes:
    """Record nothing but the end itself."""
    return {}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Phase(Generic[P]):
    """One step.

    Give ``work`` for one that a host does, ``run`` for one that runs here (it may take its
    time, must be good for being begun again, and raises KilonovaError when it fails).
    ``ended`` is called in the transaction that ends the phase, with the server locked.
    ``event``: as os-instance-actions shows it, or several.  ``breaks``: a failure leaves a
    server in ERROR.  ``claims``: it takes resources in placement, which are given back when
    the operation is superseded meanwhile.  ``instead``: which phase comes after a failure that
    is none, such as that of a host that another one can take the place of.  ``when``: where
    it is false the phase is left out.
    """

    name: str
    event: str | Callable[[Job[P]], str] = ''
    task_state: str | None = None
    host: Callable[[Job[P]], str | None] = _own_host
    work: Callable[[Job[P]], HostWork] | None = None
    run: Callable[[Job[P]], WorkResult | None] | None = None
    ended: Callable[[Session, Job[P], WorkResult], Changes] = nothing
    undo: tuple['Phase[P]', ...] = ()
    breaks: bool = False
    claims: bool = False
    instead: Callable[[Job[P], WorkResult], str | None] | None = None
    when: Callable[[Job[P]], bool] | None = None


def first_of(job: Job[P], phases: tuple[Phase[P], ...]) -> Phase[P] | None:
    return next((phase for phase in phases if phase.when is None or phase.when(job)), None)
