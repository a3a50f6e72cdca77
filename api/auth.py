"""From an authenticated WSGI environment to a request context."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import webob
from oslo_log import log as logging

from kilonova.api import faults, policies
from kilonova.api.request import credentials
from kilonova.common.context import RequestContext

LOG = logging.getLogger(__name__)
CONTEXT = 'kilonova.context'
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class KeystoneContext:
    """Builds the context from the headers that keystonemiddleware has set."""

    def __init__(self, application: Application, enforcer: policies.Enforcer) -> None:
        self._application = application
        self._enforcer = enforcer

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        context = RequestContext.from_environ(
            environ,
            remote_address=environ.get('REMOTE_ADDR'),
            service_catalog=_catalog(environ),
        )
        if context.user_id is None:
            return faults.render(401, 'Neither user nor token was given.')(environ, start_response)
        context.is_admin = self._enforcer.allows(
            'context_is_admin', None, None, credentials(context)
        )
        environ[CONTEXT] = context
        return self._application(environ, start_response)


def _catalog(environ: dict[str, Any]) -> list[dict[str, Any]]:
    text = environ.get('HTTP_X_SERVICE_CATALOG')
    if not text:
        return []
    try:
        catalog = msgspec.json.decode(text.encode('latin-1'))
    except (msgspec.MsgspecError, UnicodeError):
        raise faults.Fault(500, 'Invalid service catalog json.') from None
    return catalog if isinstance(catalog, list) else []


class NoAuth:
    """Believes a token of the form ``user:project``; the user ``admin`` is an administrator.

    Without a token the answer tells one, as clients of that time expect.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        token = environ.get('HTTP_X_AUTH_TOKEN')
        if token is None:
            return _offer_token(webob.Request(environ))(environ, start_response)
        user, _colon, project = token.partition(':')
        is_admin = user == 'admin'
        environ[CONTEXT] = RequestContext(
            user_id=user,
            project_id=project or user,
            is_admin=is_admin,
            roles=['admin', 'member', 'reader'] if is_admin else ['member', 'reader'],
            auth_token=token,
            request_id=environ.get('openstack.request_id'),
            global_request_id=environ.get('openstack.global_request_id'),
            remote_address=environ.get('REMOTE_ADDR'),
        )
        return self._application(environ, start_response)


def _offer_token(http: webob.Request) -> webob.Response:
    user = http.headers.get('X-Auth-User', 'admin')
    project = http.headers.get('X-Auth-Project-Id', 'admin')
    response = webob.Response(status=204)
    del response.content_type
    response.headers['X-Auth-Token'] = f'{user}:{project}'
    response.headers['X-Server-Management-Url'] = f'{http.application_url}/{project}'
    return response
