"""Errors as HTTP answers: the only place that renders them.

An error's ``code`` is its status.  What has no such attribute is a defect of ours: it is
logged with its trace and answered with a 500 that tells nothing of our insides.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import webob
import webob.exc
from oslo_log import log as logging

from kilonova.common import exception

LOG = logging.getLogger(__name__)

NAMES = {
    400: 'badRequest',
    401: 'unauthorized',
    403: 'forbidden',
    404: 'itemNotFound',
    405: 'badMethod',
    409: 'conflictingRequest',
    413: 'overLimit',
    415: 'badMediaType',
    429: 'overLimit',
    501: 'notImplemented',
    503: 'serviceUnavailable',
}
UNEXPECTED = (
    'Unexpected API Error. The log of nova-api says more; look for the request id of this answer.'
)


class Fault(exception.KilonovaError):
    """An answer that only the API itself can give (no route, wrong media type, …)."""

    def __init__(self, code: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.headers = list(headers)


def render(code: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> webob.Response:
    """Return Nova's fault body: one key that names the kind, with code and message in it."""
    headers = list(headers)
    content: dict[str, Any] = {'code': code, 'message': message}
    for name, value in headers:
        if name.lower() == 'retry-after':
            content['retryAfter'] = value
    response = webob.Response(
        body=msgspec.json.encode({NAMES.get(code, 'computeFault'): content}),
        status=code,
        content_type='application/json',
        charset=None,
    )
    response.charset = 'UTF-8'  # named in errors alone
    response.headerlist.extend(headers)
    return response


def response_for(error: Exception) -> webob.Response:
    """Map any error to its answer."""
    if isinstance(error, Fault):
        return render(error.code, error.message, error.headers)
    if isinstance(error, exception.KilonovaError) and (
        error.code < 500 or error.code in (501, 503)
    ):
        return render(error.code, error.message)
    if isinstance(error, webob.exc.HTTPException):
        return _converted(error)
    LOG.exception('Unexpected error in a request')
    return render(500, f'{UNEXPECTED}\n{type(error)}')


def _converted(error: webob.exc.HTTPException) -> webob.Response:
    response = error.wsgi_response
    message = getattr(error, 'explanation', None) or response.status
    return render(response.status_int, message, _kept(response.headers))


def _kept(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(k, v) for k, v in headers.items() if not k.lower().startswith('content-')]


class FaultWrapper:
    """WSGI middleware: whatever the layers below raise becomes a JSON fault."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return self.application(environ, start_response)
        except Exception as error:
            return response_for(error)(environ, start_response)
