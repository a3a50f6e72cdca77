"""Our version, and the service version that running daemons write beside their heartbeat."""

import importlib.metadata
import time
from collections.abc import Callable

try:
    VERSION = importlib.metadata.version('kilonova')
except importlib.metadata.PackageNotFoundError:  # run from a tree that was not installed
    VERSION = '0.0.0'

SERVICE_VERSION = 1
"""Rises by one whenever a daemon's interface changes; ``[upgrade_levels]auto`` reads it."""

INTERFACES: dict[int, dict[str, str]] = {
    1: {'conductor': '1.0', 'compute': '1.0', 'scheduler': '1.0'},
}
"""What a daemon of a service version understands: each row holds all interfaces."""


def interface_at(name: str, service_version: int) -> str:
    """Return the version of an interface that a daemon of this service version understands."""
    known = [number for number in INTERFACES if number <= service_version]
    return INTERFACES[max(known, default=min(INTERFACES))][name]


class LowestRunning:
    """A version cap that follows the daemons: what ``[upgrade_levels]`` calls ``auto``.

    ``ask`` returns the lowest service version among the receivers (None: none is known).  It is
    asked when the first message is sent, then now and then while somebody is behind.
    """

    AGAIN = 60.0

    def __init__(self, name: str, ask: Callable[[], int | None]) -> None:
        self._name, self._ask = name, ask
        self._cap: str | None = None
        self._asked = 0.0

    def __call__(self) -> str:
        newest = interface_at(self._name, SERVICE_VERSION)
        due = time.monotonic() - self._asked >= self.AGAIN
        if self._cap is None or (self._cap != newest and due):
            lowest = self._ask()
            # Nobody has registered: whoever comes is as new as we are.
            self._cap = newest if lowest is None else interface_at(self._name, lowest)
            self._asked = time.monotonic()
        return self._cap
