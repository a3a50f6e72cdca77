"""Times in queries, and the limits that they set together."""

import datetime

from oslo_utils import timeutils

from kilonova.api.faults import Fault
from kilonova.api.request import Request
from kilonova.common import exception

SINCE, BEFORE = 'changes-since', 'changes-before'


def parse(text: str) -> datetime.datetime:
    """Read an ISO 8601 time; what is beyond the calendar's ends is the caller's mistake."""
    try:
        return timeutils.normalize_time(timeutils.parse_isotime(text))
    except (ValueError, OverflowError):
        raise exception.Invalid(f'Invalid time: {text}') from None


def changes(
    request: Request, since: bool = True, before: bool = True
) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """Return the times of ``changes-since`` and ``changes-before``, as far as they apply."""
    texts = (
        request.query.one(SINCE) if since else None,
        request.query.one(BEFORE) if before else None,
    )
    first, last = (parse(text) if text is not None else None for text in texts)
    if first is not None and last is not None and first > last:
        raise Fault(400, f'The value of {SINCE} must be less than or equal to {BEFORE}.')
    return first, last
