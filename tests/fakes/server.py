"""A small HTTP server for the fakes: state as the service keeps it, faults on demand."""

import dataclasses
import json
import re
import socketserver
import threading
import time
import urllib.parse
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Answer = tuple[int, Any]


@dataclasses.dataclass
class Caller:
    """Who asks: the user and project of a ``noauth2`` token; without one it is a service."""

    project: str | None = None
    is_admin: bool = True

    @classmethod
    def of(cls, token: str | None) -> 'Caller':
        if token is None or token == 'notused':  # what keystoneauth sends for auth_type none
            return cls()
        user, _colon, project = token.partition(':')
        return cls(project or user, user == 'admin')

    def sees(self, owner: Any) -> bool:
        return self.is_admin or self.project == owner


@dataclasses.dataclass
class Headed:
    """A body that comes with headers."""

    body: Any
    headers: dict[str, str]


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Keep the test's output readable."""


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Fault(Exception):
    """An error answer: status and message."""

    def __init__(self, status: int, message: str, kind: str = 'error') -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class FakeService:
    """Base of the fakes.  Handlers are methods marked with ``route``; ``url`` is where it listens.

    ``requests`` counts what came in as (method, path); ``break_with`` makes answers fail.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.seconds = 0.0
        """How long all answers together have taken."""
        self.caller = Caller()
        """Whose request a handler answers, one after the other; between requests a service."""
        self.lock = threading.RLock()
        self.intercept: Callable[[str, str], Answer | None] | None = None
        """Sees method and path before anybody else, and may answer itself."""
        self._broken: list[tuple[re.Pattern[str], int, float, bytes | None]] = []
        self._routes = [
            (method, pattern, getattr(self, name))
            for name in dir(type(self))
            for method, pattern in getattr(getattr(type(self), name), 'routes', [])
        ]
        self._routes.sort(key=lambda route: route[1].groups)  # the most specific ones first
        self._server = wsgiref.simple_server.make_server(
            '127.0.0.1', 0, self._app, server_class=_Server, handler_class=_Quiet
        )
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def break_with(
        self, status: int, match: str = '.*', delay: float = 0.0, raw: bytes | None = None
    ) -> None:
        """Answer ``status`` (after ``delay`` seconds, with ``raw``) to 'METHOD path' that matches."""
        self._broken.append((re.compile(match), status, delay, raw))

    def mend(self) -> None:
        self._broken.clear()

    def describe(self, name: str, path: str, **more: str) -> Answer:
        """Say which version of the API is where, as clients ask before all else."""
        found = {'id': name, 'status': 'CURRENT', **more}
        links = [{'rel': 'self', 'href': f'{self.url}{path}'}]
        return 200, {'versions': [{**found, 'links': links}]}

    def _app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        method, path = environ['REQUEST_METHOD'], environ['PATH_INFO']
        length = int(environ.get('CONTENT_LENGTH') or 0)
        raw = environ['wsgi.input'].read(length) if length else b''
        query = urllib.parse.parse_qs(environ.get('QUERY_STRING', ''))
        with self.lock:
            self.requests.append((method, path))
        caller = Caller.of(environ.get('HTTP_X_AUTH_TOKEN'))
        began = time.monotonic()
        status, body = self._answer(method, path, query, raw, caller)
        with self.lock:
            self.seconds += time.monotonic() - began
        headers: dict[str, str] = {}
        if isinstance(body, Headed):
            body, headers = body.body, body.headers
        data = (
            body
            if isinstance(body, bytes)
            else json.dumps(body).encode()
            if body is not None
            else b''
        )
        kind = 'application/octet-stream' if isinstance(body, bytes) else 'application/json'
        headers = {'Content-Type': kind, 'Content-Length': str(len(data)), **headers}
        start_response(f'{status} X', list(headers.items()))
        return [data]

    def _answer(
        self, method: str, path: str, query: dict[str, list[str]], raw: bytes, caller: Caller
    ) -> Answer:
        answer = self.intercept(method, path) if self.intercept is not None else None
        if answer is not None:
            return answer
        for pattern, status, delay, raw_answer in self._broken:
            if pattern.search(f'{method} {path}'):
                time.sleep(delay)
                if raw_answer is not None:
                    return status, raw_answer
                return status, {'error': {'code': status, 'message': 'broken on purpose'}}
        for wanted, pattern, handler in self._routes:
            found = pattern.fullmatch(path)
            if found and wanted == method:
                body = json.loads(raw) if raw[:1] in (b'{', b'[') else raw
                try:
                    with self._asked_by(caller):
                        return handler(query=query, body=body, **found.groupdict())
                except Fault as error:
                    return error.status, {
                        'NeutronError': {'type': error.kind, 'message': str(error), 'detail': ''}
                    }
        return 404, {'error': {'code': 404, 'message': f'{method} {path} is not there'}}

    @contextmanager
    def _asked_by(self, caller: Caller) -> Iterator[None]:
        """Answer one caller; a test that sets something up afterwards is none."""
        with self.lock:
            self.caller = caller
            try:
                yield
            finally:
                self.caller = Caller()


def route(method: str, path: str) -> Callable[[Any], Any]:
    """Mark a handler; ``{name}`` in the path is one segment."""
    pattern = re.compile(re.sub(r'\{(\w+)\}', r'(?P<\1>[^/]+)', path))

    def mark(function: Any) -> Any:
        function.routes = [*getattr(function, 'routes', []), (method, pattern)]
        return function

    return mark
