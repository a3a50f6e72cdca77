"""One open console: bytes both ways until one side, or who watches, ends it."""

import selectors
from typing import NamedTuple

from kilonova.common.objects.console import ConsoleAccess
from kilonova.consoleproxy.browser import Browser, Gone
from kilonova.consoleproxy.wire import Wire

NORMAL, GOING_AWAY, POLICY, FAILED = 1000, 1001, 1008, 1011
_PIECE = 65536
_TURN = 16
"""Pieces that are read before the other direction gets its turn."""
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class End(NamedTuple):
    """What the browser is told."""

    code: int
    reason: str


class Session:
    """``run`` belongs to the connection's thread, ``end`` to everybody."""

    def __init__(self, access: ConsoleAccess, browser: Browser, target: Wire) -> None:
        self.access = access
        self._browser, self._target = browser, target
        self._ending: End | None = None
        self._looked_for: dict[Wire, int] = {}

    def end(self, end: End) -> None:
        """Make ``run`` return."""
        self._ending = self._ending or end
        self._target.end()

    def run(self) -> End | None:
        """Carry bytes; returns why it ended (None: one side has gone, nobody said why)."""
        with selectors.DefaultSelector() as selector:
            try:
                self._target.send(self._browser.early())
                while self._ending is None and not self._browser.is_closing:
                    ready = self._wait(selector)
                    if not self._step(ready):
                        break
            except (Gone, OSError):
                # Either side has gone away; what is to be said is the same as at a regular end.
                pass
        return self._ending

    def _wait(self, selector: selectors.BaseSelector) -> dict[Wire, int]:
        """Wait until something can be done, and return what."""
        browser, target = self._browser.wire, self._target
        is_full = browser.is_full
        self._look_for(
            selector,
            browser,
            (0 if is_full or target.is_full else READ) | (WRITE if browser.has_waiting else 0),
        )
        reads = 0 if is_full else READ
        self._look_for(selector, target, reads | (WRITE if target.has_waiting else 0))
        if reads and target.pending():
            return {browser: 0, target: READ}
        # Who does not look at the target does not see that it is told to end.
        found = selector.select(None if reads else 1.0)
        ready = {browser: 0, target: 0}
        ready.update((key.data, events) for key, events in found)
        return ready

    def _look_for(self, selector: selectors.BaseSelector, wire: Wire, events: int) -> None:
        before = self._looked_for.get(wire, 0)
        if events == before:
            return
        if not events:
            selector.unregister(wire)
        elif before:
            selector.modify(wire, events, wire)
        else:
            selector.register(wire, events, wire)
        self._looked_for[wire] = events

    def _step(self, ready: dict[Wire, int]) -> bool:
        """Do what can be done; tells whether the target is still there."""
        browser, target = self._browser.wire, self._target
        if ready[browser] & WRITE:
            browser.flush()
        if ready[target] & WRITE:
            target.flush()
        if ready[browser] & READ and (data := self._browser.receive()):
            target.send(data)
        return not ready[target] & READ or self._from_target(browser)

    def _from_target(self, browser: Wire) -> bool:
        for _ in range(_TURN):
            try:
                data = self._target.recv(_PIECE)
            except BlockingIOError:
                break
            if not data:
                return False
            self._browser.send(data)
            if browser.is_full or len(data) < _PIECE:
                break
        return True
