"""An exception as notifications tell of it: what and where, without secrets or places on a disk."""

import re
import traceback
from types import FrameType

from oslo_utils import strutils

from kilonova.common.notifications.hosts import ExceptionPayload

PATH = re.compile(r'(?<![\w/:.])(?:/[^\s/\'",;:)\]]+)+/([^\s/\'",;:)\]]+)')
LOGIN = re.compile(r'://[^\s/@:]+:[^\s/@]+@')


def describe(error: BaseException) -> ExceptionPayload:
    """Return an exception with the function that raised it."""
    frames = [frame for frame, _line in traceback.walk_tb(error.__traceback__)]
    inner = frames[-1] if frames else None
    return ExceptionPayload(
        module_name=_module(inner) if inner else None,
        function_name=inner.f_code.co_name if inner else None,
        exception=type(error).__name__,
        exception_message=clean(str(error)),
        traceback=_trace(error),
    )


def plain(reason: ExceptionPayload) -> dict[str, object]:
    """Return it as it is said without versions; what it was called with stays out."""
    return {'exception': sentence(reason), 'args': {}}


def sentence(reason: ExceptionPayload) -> str:
    return f'{reason.exception}: {reason.exception_message}'


def clean(text: str) -> str:
    """Return a text without passwords and tokens, and with files by their last name alone."""
    return PATH.sub(r'\1', LOGIN.sub('://***:***@', strutils.mask_password(text)))


def _trace(error: BaseException) -> str:
    """Return where it came through, outermost first, by modules: where they lie is nobody's matter."""
    through = [
        f'  File "{_module(frame).replace(".", "/")}.py", line {line}, in {frame.f_code.co_name}\n'
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    last = f'{type(error).__name__}: {clean(str(error))}\n'
    return 'Traceback (most recent call last):\n' + ''.join(through) + last


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get('__name__', ''))
