"""What the user sees: one line per event, with the time since the start."""

import contextlib
import threading
import time
from pathlib import Path
from typing import TextIO

_lock = threading.Lock()
_start = time.monotonic()
_log: TextIO | None = None


class StepError(Exception):
    """A step cannot be completed; says why, and where more is written."""

    def __init__(self, reason: str, log: Path | None = None):
        super().__init__(reason)
        self.reason = reason
        self.log = log


def elapsed() -> float:
    return time.monotonic() - _start


def keep_in(path: Path) -> None:
    """Also append all that is printed to a file."""
    global _log
    _log = path.open('a', encoding='utf-8')
    path.chmod(0o600)
    _log.write(f'==== {time.strftime("%Y-%m-%d %H:%M:%S")}\n')


def say(who: str, text: str) -> None:
    write(f'{elapsed():7.1f}s  {who:<12} {text}')


def write(text: str) -> None:
    """Print lines that belong together."""
    with _lock:
        # The reader may have gone (`make demo | head`); the work goes on all the same.
        with contextlib.suppress(BrokenPipeError):
            print(text, flush=True)
        if _log:
            _log.write(text + '\n')
            _log.flush()


def log_only(text: str) -> None:
    with _lock:
        if _log:
            _log.write(text + '\n')
            _log.flush()
