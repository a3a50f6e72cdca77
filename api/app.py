"""The compute API as a WSGI application.

``ComputeApp`` is the innermost piece: it finds the operation, checks version, body,
query and policy, and calls the handler.  The layers around it (request ids, CORS,
authentication, …) are named in ``api-paste.ini`` and built by ``kilonova.api.pipeline``.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import webob
from oslo_config import cfg

from kilonova.api import auth, config, faults, operation, pipeline, policies, resources, versions
from kilonova.api import body as body_module
from kilonova.api.operation import Answer, Operation, Route
from kilonova.api.request import Query, Request
from kilonova.api.versions import Version
from kilonova.common.config import register
from kilonova.conductor.interface import ConductorInterface


def make_compute_app(conf: cfg.ConfigOpts, conductor: ConductorInterface) -> Any:
    """Return the whole compute API: version documents and ``/v2``, ``/v2.1`` with all layers."""
    register(config.list_opts(), conf)
    return pipeline.load('osapi_compute', conf, conductor)


class ComputeApp:
    """Everything below ``/v2.1`` (or ``/v2``) for a request that has a context."""

    def __init__(
        self, conf: cfg.ConfigOpts, conductor: ConductorInterface, enforcer: policies.Enforcer
    ) -> None:
        resources.load()
        self._conf = conf
        self._conductor = conductor
        self._enforcer = enforcer
        self._router = operation.Router(operation.REGISTRY)

    @classmethod
    def build(cls, conf: cfg.ConfigOpts, conductor: ConductorInterface) -> 'ComputeApp':
        return cls(conf, conductor, policies.get_enforcer(conf))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        http = webob.Request(environ)
        legacy = bool(environ.get(pipeline.LEGACY))
        version = versions.MIN
        try:
            if not legacy:
                version = versions.negotiate(http.headers)
            response = self._answer(http, version, legacy)
        except Exception as error:
            response = faults.response_for(error)
        if not legacy:
            response.headerlist.extend(versions.response_headers(version))
        if http.method == 'HEAD':
            return _without_body(response, start_response)
        return response(environ, start_response)

    def _answer(self, http: webob.Request, version: Version, legacy: bool) -> webob.Response:
        route = self._router.find(_path(http))
        one, body = _resolve(http, route, version, legacy)
        context = http.environ[auth.CONTEXT]
        if route.project_id is not None and route.project_id != context.project_id:
            raise faults.Fault(
                400,
                f"Malformed request URL: URL's project_id '{route.project_id}' doesn't match "
                f"Context's project_id '{context.project_id}'",
            )
        request = Request(
            http,
            context,
            version,
            operation=one,
            query=Query.parse(http.query_string),
            conf=self._conf,
            conductor=self._conductor,
            enforcer=self._enforcer,
            project_in_path=route.project_id is not None,
            legacy=legacy,
        )
        return _rendered(one, _handle(request, route.values, body))


def _path(http: webob.Request) -> str:
    try:
        path = http.path_info
    except UnicodeDecodeError:
        raise operation.not_found() from None
    if '\0' in path:
        raise operation.not_found()
    return path


def _resolve(
    http: webob.Request, route: Route, version: Version, legacy: bool
) -> tuple[Operation, Any]:
    """Find the operation; where a path has actions, the body's key says which one."""
    # As ever, a path that exists has no more to say to a method that it does not have: not 405.
    actions = route.methods.get(http.method)
    if actions is None:
        raise operation.not_found()
    if None in actions:
        one = operation.choose(actions[None], version, legacy)
        return one, body_module.read(http, one.body.is_optional) if one.body is not None else None
    body = body_module.read(http) or {}
    name = next(iter(body), None)
    if name not in actions:
        raise faults.Fault(400, f'There is no such action: {name}')
    return operation.choose(actions[name], version, legacy), body


def _handle(request: Request, values: list[str], body: Any) -> Any:
    """Validate, authorize, run."""
    one = request.operation
    if one.query is not None:
        one.query.at(request.version, request.legacy).check_query(request.query, request.legacy)
    arguments: dict[str, Any] = dict(zip(one.arguments, values, strict=True))
    if one.body is not None:
        one.body.at(request.version, request.legacy).check_body(body, request.legacy)
        arguments['body'] = body
    if one.target == 'caller':
        request.authorize()
    try:
        result = one.handler(request, **arguments)
    except tuple(one.errors) as error:
        raise faults.Fault(_status(one, error), str(error)) from error
    if not request.authorized:
        raise RuntimeError(f'{one.handler.__name__} did not authorize its resource')
    return result


def _status(one: Operation, error: Exception) -> int:
    return next(code for kind, code in one.errors.items() if isinstance(error, kind))


def _rendered(one: Operation, result: dict[str, Any] | Answer | None) -> webob.Response:
    answer = result if isinstance(result, Answer) else Answer(result)
    response = webob.Response(status=answer.status or one.success, charset=None)
    if answer.body is None:
        del response.content_type
    else:
        response.content_type = 'application/json'
        response.body = msgspec.json.encode(answer.body)
    response.headerlist.extend(answer.headers)
    return response


def _without_body(response: webob.Response, start_response: Any) -> Iterable[bytes]:
    start_response(response.status, response.headerlist)
    return []
