"""HTTP in, for tests: the compute API with its layers, on conductors and fellows in memory."""

import json
from typing import Any

import webob
from oslo_config import cfg

from kilonova.api import app
from kilonova.common import base_config
from kilonova.common.config import register

Json = dict[str, Any]


def make_conf(*groups_options: tuple[str | None, str, Any]) -> cfg.ConfigOpts:
    """Return a configuration of its own, with overrides (group, option, value)."""
    from kilonova.api import config

    conf = cfg.ConfigOpts()
    register(base_config.list_opts(), conf)
    register(config.list_opts(), conf)
    conf([], project='nova', default_config_files=[])
    conf.set_override('auth_strategy', 'noauth2', 'api')
    for group, option, value in groups_options:
        conf.set_override(option, value, group)
    return conf


class Door:
    """One client of the API; ``as_user`` makes another."""

    def __init__(self, application: Any, user: str = 'demo', version: str = '2.1') -> None:
        self.application, self.user, self.version = application, user, version

    @classmethod
    def open(cls, conductor: Any, *options: tuple[str | None, str, Any]) -> 'Door':
        return cls(app.make_compute_app(make_conf(*options), conductor))

    def at(self, version: str) -> 'Door':
        return Door(self.application, self.user, version)

    def as_user(self, user: str) -> 'Door':
        return Door(self.application, user, self.version)

    def request(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> Any:
        request = webob.Request.blank(
            '/v2.1' + path, method=method, base_url='http://api.example.com'
        )
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
