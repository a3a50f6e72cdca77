"""Final reports: repeated until the conductor has answered."""

import threading
import traceback
from collections.abc import Callable
from typing import Protocol, TypeVar

from oslo_log import log as logging

from kilonova.common import exception

LOG = logging.getLogger(__name__)
T = TypeVar('T')

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0


class Waiting(Protocol):
    """Who wants the answer, and can be told to stop wanting it."""

    def sleep(self, seconds: float) -> None:
        """Wait; raises when it is not to go on."""


class Until:
    """Waits until the daemon stops."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise exception.ServiceUnavailable('The daemon stops before the conductor answered.')


def deliver(what: str, send: Callable[[], T], waiting: Waiting) -> T:
    """Call ``send`` until the conductor answers, however long the broker or it is away.

    An answer is a result or a refusal (an error below 500); everything else (no answer in
    time, no broker, a conductor without its database) is tried again, with growing pauses.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return send()
        except exception.KilonovaError as error:
            if error.code < 500:
                raise
            LOG.warning('%s could not be reported, again in %s s: %s', what, pause, error)
        except Exception:
            LOG.warning('%s could not be reported, again in %s s', what, pause, exc_info=True)
        waiting.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def deliver_fenced(what: str, send: Callable[[], bool], waiting: Waiting) -> bool:
    """Deliver a report that the fence may refuse; a server that is gone counts as refused."""
    try:
        return deliver(what, send, waiting)
    except exception.NotFound as error:
        LOG.info('%s is not wanted any more: %s', what, error)
        return False


def describe(error: Exception) -> tuple[str, str]:
    """Return what went wrong in a sentence for the user, and with all details for the operator."""
    known = isinstance(error, exception.KilonovaError)
    reason = str(error) if known else f'Unexpected error: {type(error).__name__}'
    return reason, ''.join(traceback.format_exception(error))
