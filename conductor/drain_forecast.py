"""Where the servers of a host could go, as the scheduler sees it now: for drains that are only tried."""

import time
from collections.abc import Iterable

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import drain
from kilonova.common.objects.drain import DrainedServer
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import sizes
from kilonova.conductor.tasks.choose import Chooser

SECONDS = 60
"""What the caller can wait for; servers that it is not enough for get no forecast."""


def ask(parts: Parts, context: Ctx, found: Iterable[tuple[DrainedServer, Server]]) -> None:
    """Note for each server that can be moved where it would go, or why nowhere.

    Nothing is claimed: each is looked at as if it were the only one.
    """
    chooser, deadline = Chooser(parts), time.monotonic() + SECONDS
    for one, server in found:
        if one.how is None or time.monotonic() > deadline:
            continue
        one.target, one.reason = _choose(parts, chooser, context, server)
        if one.target is None:
            one.status = drain.STAYS


def _choose(
    parts: Parts, chooser: Chooser, context: Ctx, server: Server
) -> tuple[str | None, str | None]:
    request = sizes.request_spec(parts, server)
    request.ignore_hosts = [server.host or '']
    try:
        told = chooser.explain(context, request, 1)
    except exception.NoValidHost as error:
        return None, error.message
    return (told.picked[0], None) if told.picked else (None, told.message)
