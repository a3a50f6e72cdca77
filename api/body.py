"""Request bodies: JSON objects, or a 4xx that says what is wrong."""

from typing import Any

import msgspec
import webob

from kilonova.api import faults
from kilonova.common import exception

_MEDIA_TYPES = ('application/json', 'application/vnd.openstack.compute+json')


def read(http: webob.Request, optional: bool = False) -> dict[str, Any] | None:
    """Return the body's object; None when an ``optional`` one is left out.

    Raises Invalid, or a 415 fault.
    """
    kind = http.content_type
    if kind and kind != 'text/plain' and kind not in _MEDIA_TYPES:
        raise faults.Fault(415, 'Unsupported Content-Type')
    try:
        raw = http.body
    except OSError:
        raise exception.Invalid('The request body ended early') from None
    if optional and not raw:
        return None
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise exception.Invalid('Malformed request body: it is not a JSON object') from None
    if not isinstance(body, dict):
        raise exception.Invalid('Malformed request body: it is not a JSON object')
    # Databases refuse a null character, some late and loudly; no field has a use for it.
    if b'\\u0000' in raw and _has_null(body):
        raise exception.Invalid('Malformed request body: it holds a null character')
    return body


def _has_null(value: Any) -> bool:
    if isinstance(value, str):
        return '\0' in value
    if isinstance(value, dict):
        return any(_has_null(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(_has_null(part) for part in value)
    return False
