"""Faults that users see, and contexts that outlive their request."""

from typing import Any

import msgspec

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Fault
from kilonova.db import types

NO_VALID_HOST = 'No valid host was found. There are not enough hosts available.'
RETRIES_EXCEEDED = (
    'Exceeded maximum number of retries. Exceeded max scheduling attempts %s for instance %s. '
    'Last exception: %s'
)
HOST_DOWN = 'Compute service of %s is unavailable at this time.'
MESSAGE_LENGTH = 255
SECRETS = ('auth_token', 'service_catalog', 'service_token')


def make(message: str, details: str | None, code: int = 500, host: str | None = None) -> Fault:
    """Return a fault of now; ``details`` are for administrators."""
    return Fault(
        code=code,
        message=message[:MESSAGE_LENGTH],
        details=details,
        created_at=types.utcnow(),
        host=host,
    )


def keep(context: Ctx) -> dict[str, Any]:
    """Return what may be stored of a context: no token."""
    return {name: value for name, value in context.to_dict().items() if name not in SECRETS}


def restore(values: dict[str, Any]) -> Ctx:
    """Return a context like the one that was kept; what needs a token goes as the service."""
    return Ctx.from_dict(values)


def encode(context: Ctx) -> str:
    """Return a payload that is a context alone."""
    return msgspec.json.encode(keep(context)).decode()


def decode(payload: str) -> Ctx:
    """Return the context of such a payload."""
    return restore(msgspec.json.decode(payload, type=dict[str, Any]))
