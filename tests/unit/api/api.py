"""The compute API in front of a conductor in memory; requests go in as WSGI."""

import json
from typing import Any

import webob
from oslo_config import cfg

from kilonova.api import app, config
from kilonova.common import base_config
from kilonova.common.config import register

ADMIN, MEMBER = 'admin:admin', 'demo:demo'


class Answer:
    """One HTTP answer."""

    def __init__(self, response: webob.Response) -> None:
        self.status, self.headers, self.body = (
            response.status_int,
            response.headers,
            response.body,
        )

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fault(self) -> tuple[str, str]:
        """Return the fault's key and message; its code must be the answer's."""
        ((name, content),) = self.json.items()
        assert content['code'] == self.status
        return name, content['message']


def make_conf(*files: str) -> cfg.ConfigOpts:
    """Return a configuration of its own, from files if there are any."""
    conf = cfg.ConfigOpts()
    register(base_config.list_opts(), conf)
    register(config.list_opts(), conf)
    argv = [word for path in files for word in ('--config-file', path)]
    conf(argv, project='nova', default_config_files=[], default_config_dirs=[])
    conf.set_override('auth_strategy', 'noauth2', 'api')
    conf.set_override('metadata_workers', 1)
    return conf


class Api:
    """Sends requests; ``call`` goes below /v2.1 unless the path begins with '//'."""

    def __init__(self, conductor: Any, *files: str) -> None:
        self.conf = make_conf(*files)
        self.conductor = conductor
        self.app = app.make_compute_app(self.conf, conductor)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = ADMIN,
        version: str | None = None,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        url = path[1:] if path.startswith('//') else '/v2.1' + path
        request = webob.Request.blank(url, method=method)
        if body is not None or raw is not None:
            request.body = raw if raw is not None else json.dumps(body).encode()
            request.content_type = 'application/json'
        if token:
            request.headers['X-Auth-Token'] = token
        if version:
            request.headers['OpenStack-API-Version'] = f'compute {version}'
        request.headers.update(headers or {})
        return Answer(request.get_response(self.app))

    def get(self, path: str, **kwargs: Any) -> Any:
        answer = self.call('GET', path, **kwargs)
        assert answer.status == 200, answer.body
        return answer.json
