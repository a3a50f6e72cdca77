"""HTTP in, for tests: the compute API with its layers, on conductors and fellows in memory."""

import json
from typing import Any

import webob

from kilonova.api import app
from kilonova.tests.unit.api.api import make_conf

Json = dict[str, Any]
Option = tuple[str | None, str, Any]


class _Switch:
    """Stands for the conductor of the moment: an application takes longer to build than a test."""

    current: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current, name)


_built: dict[tuple[Option, ...], tuple[Any, _Switch]] = {}


def _build(options: tuple[Option, ...]) -> tuple[Any, _Switch]:
    if options not in _built:
        conf, switch = make_conf(), _Switch()
        for group, option, value in options:
            conf.set_override(option, value, group)
        _built[options] = (app.make_compute_app(conf, switch), switch)
    return _built[options]


class Door:
    """One client of the API; ``as_user`` and ``at`` make others."""

    def __init__(self, application: Any, user: str = 'demo', version: str = '2.1') -> None:
        self.application, self.user, self.version = application, user, version

    @classmethod
    def open(cls, conductor: Any, *options: Option) -> 'Door':
        """Return a user of an API with overridden options (group, name, value)."""
        application, switch = _build(options)
        switch.current = conductor
        return cls(application)

    def at(self, version: str) -> 'Door':
        return Door(self.application, self.user, version)

    def as_user(self, user: str) -> 'Door':
        return Door(self.application, user, self.version)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        raw: bytes | None = None,
        root: str = '/v2.1',
    ) -> Any:
        request = webob.Request.blank(root + path, method=method, base_url='http://api.example.com')
        request.headers['X-Auth-Token'] = self.user
        request.headers['OpenStack-API-Version'] = f'compute {self.version}'
        if body is not None or raw is not None:
            request.content_type = 'application/json'
            request.body = raw if raw is not None else json.dumps(body).encode()
        return request.get_response(self.application)

    def get(self, path: str) -> Any:
        return self.request('GET', path)

    def ok(self, method: str, path: str, body: Any = None, status: int = 200) -> Json:
        """Send and expect; return the JSON answer."""
        response = self.request(method, path, body)
        assert response.status_int == status, response.text
        return response.json if response.body else {}

    def refused(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> int:
        """Send what is wrong; return the status, which is a fault's."""
        response = self.request(method, path, body, raw)
        ((_name, fault),) = response.json.items()
        assert fault['code'] == response.status_int and fault['message']
        return response.status_int
