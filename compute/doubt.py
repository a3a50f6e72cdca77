"""When work may have waited in the host's queue while it was given to somebody else.

Casts stay in the queue of a host that is dead or cut off.  A host that comes up, or is heard again
after it was not for a while, therefore asks before it begins what comes; at all other times the
message is as young as it seems, and the question would be one for nothing.
"""

import time

MISSED = 3
"""Heartbeats that have to be missing."""


class Doubt:
    """Knows when the conductor has heard of this host."""

    def __init__(self, interval: float) -> None:
        self._interval, self._heard = interval, time.monotonic()
        self._until = 0.0

    def heard(self) -> None:
        """Note that a heartbeat was answered; what had waited is still coming in for a while."""
        now = time.monotonic()
        if self._was_away(now):
            self._until = now + self._interval
        self._heard = now

    def is_due(self) -> bool:
        now = time.monotonic()
        return now < self._until or self._was_away(now)

    def _was_away(self, now: float) -> bool:
        return now - self._heard > MISSED * self._interval
