"""Paste factories: the layers that ``api-paste.ini`` names.

The file says in which order they lie; it is read once, when an application is built.
What is built gets its configuration and conductor from ``building()``, so that one
process can hold several applications.
"""

import contextvars
import dataclasses
import functools
import logging as std_logging
import pathlib
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import oslo_middleware
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_log import log as logging
from oslo_middleware import cors as cors_module
from oslo_middleware import sizelimit as sizelimit_module
from paste import deploy

from kilonova.api import auth, faults, policies, versions
from kilonova.common import exception
from kilonova.conductor.interface import ConductorInterface

LOG = logging.getLogger(__name__)
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
Filter = Callable[[Application], Application]
LEGACY = 'kilonova.legacy_v2'
# More than any length has.
MOST_DIGITS = 1000


@dataclasses.dataclass
class Parts:
    """What the applications of one paste file are built from."""

    conf: cfg.ConfigOpts
    conductor: ConductorInterface

    @functools.cached_property
    def enforcer(self) -> policies.Enforcer:
        return policies.get_enforcer(self.conf)


_building: contextvars.ContextVar[Parts] = contextvars.ContextVar('building')


def building() -> Parts:
    """Return what a factory that runs now has to build with."""
    return _building.get()


def load(name: str, conf: cfg.ConfigOpts, conductor: ConductorInterface) -> Application:
    """Build the application ``name`` of the paste file."""
    token = _building.set(Parts(conf, conductor))
    try:
        return deploy.loadapp(f'config:{paste_file(conf)}', name=name)
    finally:
        _building.reset(token)


def paste_file(conf: cfg.ConfigOpts) -> str:
    """Return the operator's file, or the one that we were installed with."""
    name = conf.wsgi.api_paste_config
    found = conf.find_file(name)
    if found is not None:
        return str(pathlib.Path(found).resolve())
    for root in (pathlib.Path(sys.prefix), pathlib.Path(__file__).resolve().parent.parent):
        path = root / 'etc' / 'nova' / 'api-paste.ini'
        if path.exists():
            return str(path)
    raise exception.KilonovaError(f'Configuration file not found: {name}')


class UrlMap:
    """Sends a request to the application whose path is the longest prefix of its own.

    ``/v2.1`` stands for that path alone, ``/v2.1/+`` for what lies below it.
    """

    def __init__(self, applications: dict[str, Application], proxy_header: str | None) -> None:
        self._exact = {p.rstrip('/'): a for p, a in applications.items() if not p.endswith('/+')}
        self._below = {p[:-2]: a for p, a in applications.items() if p.endswith('/+')}
        self._root = applications['/']
        # WSGI spells a request header so.
        self._proxy_header = proxy_header

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._proxy_header and self._proxy_header in environ:
            environ['wsgi.url_scheme'] = environ[self._proxy_header]
        path = environ.get('PATH_INFO', '')
        first, slash, rest = path[1:].partition('/')
        prefix = '/' + first
        if not rest.strip('/'):
            application = self._exact.get(prefix) if first else None
        else:
            application = self._below.get(prefix)
        if application is None:
            return self._root(environ, start_response)
        environ['SCRIPT_NAME'] = environ.get('SCRIPT_NAME', '') + prefix
        environ['PATH_INFO'] = slash + rest
        return application(environ, start_response)


def urlmap(loader: Any, global_conf: dict[str, str], **local_conf: str) -> UrlMap:
    """Composite factory: path = application."""
    applications = {p: loader.get_app(name, global_conf) for p, name in local_conf.items()}
    return UrlMap(applications, building().conf.wsgi.secure_proxy_ssl_header)


def by_auth_strategy(loader: Any, global_conf: dict[str, str], **local_conf: str) -> Application:
    """Composite factory: the pipeline of ``[api]auth_strategy``, filters first, then the app."""
    *filters, name = local_conf[building().conf.api.auth_strategy].split()
    application = loader.get_app(name, global_conf)
    for layer in reversed(filters):
        application = loader.get_filter(layer, global_conf)(application)
    return application


def _filter(build: Callable[[Application, Parts], Application]) -> Callable[..., Filter]:
    """Make a paste filter factory of a function of the application and its parts."""

    @functools.wraps(build)
    def factory(_global_conf: dict[str, str], **_local_conf: str) -> Filter:
        parts = building()
        return lambda application: build(application, parts)

    return factory


class Preflight:
    """Answers OPTIONS to anyone: a browser asks before it has a token to send."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ['REQUEST_METHOD'] != 'OPTIONS':
            return self._application(environ, start_response)
        start_response('200 OK', [('Content-Length', '0')])
        return []


@_filter
def cors(application: Application, parts: Parts) -> Application:
    cors_module.set_defaults(
        allow_headers=['X-Auth-Token', 'X-Openstack-Request-Id', 'X-Identity-Status', 'X-Roles',
                       'X-Service-Catalog', 'X-User-Id', 'X-Tenant-Id',
                       versions.OLD_HEADER, versions.HEADER],
        expose_headers=['X-Auth-Token', 'X-Openstack-Request-Id', 'X-Subject-Token',
                        'X-Service-Token', versions.OLD_HEADER, versions.HEADER],
        allow_methods=['GET', 'PUT', 'POST', 'DELETE', 'PATCH'],
    )  # fmt: skip
    return oslo_middleware.CORS(Preflight(application), parts.conf)


@_filter
def http_proxy_to_wsgi(application: Application, parts: Parts) -> Application:
    return oslo_middleware.HTTPProxyToWSGI(application, parts.conf)


class ComputeRequestId(oslo_middleware.RequestId):
    """Also answers with the older header that compute clients log."""

    compat_headers = ['x-compute-request-id']


@_filter
def compute_req_id(application: Application, parts: Parts) -> Application:
    return ComputeRequestId(application, parts.conf)


@_filter
def faultwrap(application: Application, _parts: Parts) -> Application:
    return faults.FaultWrapper(application)


class RequestLog:
    """One line a request, with its time."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not LOG.isEnabledFor(std_logging.INFO):
            return self._application(environ, start_response)
        start = time.monotonic()
        # SCRIPT_NAME and PATH_INFO move on the way down.
        path = environ.get('SCRIPT_NAME', '') + environ.get('PATH_INFO', '')

        def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            told = {name.lower(): value for name, value in headers}
            LOG.info(
                '%s "%s %s" status: %s len: %s microversion: %s time: %.6f',
                environ.get('REMOTE_ADDR', '-'),
                environ.get('REQUEST_METHOD'),
                path,
                status.partition(' ')[0],
                told.get('content-length', '0'),
                told.get(versions.OLD_HEADER.lower(), '-'),
                time.monotonic() - start,
            )
            return start_response(status, headers, *more)

        return self._application(environ, started)


@_filter
def request_log(application: Application, _parts: Parts) -> Application:
    return RequestLog(application)


class SizeLimit(sizelimit_module.RequestBodySizeLimiter):
    """The library's limit, refused with a JSON fault."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        limit = self._conf_get('max_request_body_size')
        length = environ.get('CONTENT_LENGTH')
        if length:
            if not (length.isdecimal() and length.isascii()):
                raise faults.Fault(400, 'Malformed Content-Length')
            # int() refuses thousands of digits.
            if len(length) > MOST_DIGITS or int(length) > limit:
                raise faults.Fault(413, f'Request is too large. Larger than {limit} bytes.')
        else:
            if 'eventlet.input' in environ:
                # Its input ends by itself, chunked or not, but it does not say so.
                environ['wsgi.input_terminated'] = True
            environ['wsgi.input'] = sizelimit_module.LimitingReader(environ['wsgi.input'], limit)
        application: Any = self.application
        return application(environ, start_response)


@_filter
def sizelimit(application: Application, parts: Parts) -> Application:
    return SizeLimit(application, parts.conf)


@_filter
def authtoken(application: Application, parts: Parts) -> Application:
    return auth_token.AuthProtocol(application, {'oslo_config_config': parts.conf})


@_filter
def keystonecontext(application: Application, parts: Parts) -> Application:
    return auth.KeystoneContext(application, parts.enforcer)


@_filter
def noauth2(application: Application, _parts: Parts) -> Application:
    return auth.NoAuth(application)


class LegacyV2:
    """Marks requests below ``/v2``: no microversions, unknown body keys are dropped."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[LEGACY] = True
        return self._application(environ, start_response)


@_filter
def legacy_v2_compatible(application: Application, _parts: Parts) -> Application:
    return LegacyV2(application)


def healthcheck(_global_conf: dict[str, str], **local_conf: str) -> Application:
    return oslo_middleware.Healthcheck(None, building().conf)


def versions_app(_global_conf: dict[str, str], **_local_conf: str) -> Application:
    from kilonova.api import versions_doc

    return versions_doc.Root(building().conf)


def version_v2_app(_global_conf: dict[str, str], **_local_conf: str) -> Application:
    from kilonova.api import versions_doc

    return versions_doc.One(building().conf, 'v2.0')


def version_v21_app(_global_conf: dict[str, str], **_local_conf: str) -> Application:
    from kilonova.api import versions_doc

    return versions_doc.One(building().conf, 'v2.1')


def openapi_app(_global_conf: dict[str, str], **_local_conf: str) -> Application:
    from kilonova.api.openapi import app

    return app.OpenApi(building().conf)


def compute_app(_global_conf: dict[str, str], **_local_conf: str) -> Application:
    from kilonova.api import app

    parts = building()
    return app.ComputeApp(parts.conf, parts.conductor, parts.enforcer)
