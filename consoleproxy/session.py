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
        wanted = {
            browser: (0 if target.is_full or browser.is_full else READ)
            | (WRITE if browser.has_waiting else 0),
            target: (0 if browser.is_full else READ) | (WRITE if target.has_waiting else 0),
        }
        registered = {key.fileobj: key.events for key in selector.get_map().values()}
        for wire, events in wanted.items():
            before = registered.get(wire, 0)
            if events and before and events != before:
                selector.modify(wire, events)
            elif events and not before:
                selector.register(wire, events)
            elif before and not events:
                selector.unregister(wire)
        pending = {wire: READ for wire in wanted if wire.pending() and wanted[wire] & READ}
        # Who is waited for without looking at the target does not see that it is told to end.
        patience = 0 if pending else None if wanted[target] & READ else 1.0
        ready = {key.fileobj: events for key, events in selector.select(patience)}
        return {wire: ready.get(wire, 0) | pending.get(wire, 0) for wire in wanted}

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
