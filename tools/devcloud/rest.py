"""A small client of the OpenStack APIs, to set the cloud up without waiting for a CLI."""

import http.client
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from devcloud.progress import StepError
from devcloud.settings import Settings

Body = dict[str, Any]


class RestError(StepError):
    def __init__(self, method: str, url: str, status: int, text: str):
        super().__init__(f'{method} {url} was answered with {status}: {text[:500]}')
        self.status = status


class Rest:
    """Requests with the token of one user in one project."""

    def __init__(self, settings: Settings, user: str, project: str):
        self._settings = settings
        self._user = user
        self._project = project
        self._token = ''
        self.project_id = ''
        self.user_id = ''
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    # ---- one request

    def get(self, service: str, path: str, **more: str) -> Any:
        return self.request('GET', service, path, headers=more)

    def post(self, service: str, path: str, body: Body) -> Any:
        return self.request('POST', service, path, body)

    def put(self, service: str, path: str, body: Body | None = None) -> Any:
        return self.request('PUT', service, path, body)

    def patch(self, service: str, path: str, body: Body) -> Any:
        return self.request('PATCH', service, path, body)

    def delete(self, service: str, path: str) -> None:
        self.request('DELETE', service, path)

    def request(
        self,
        method: str,
        service: str,
        path: str,
        body: Body | None = None,
        *,
        headers: dict[str, str] | None = None,
        file: Path | None = None,
    ) -> Any:
        if not self._token:
            self._log_in()
        sent = {'X-Auth-Token': self._token, 'Accept': 'application/json', **(headers or {})}
        url = self._settings.url(service, path)
        if file:
            sent['Content-Type'] = 'application/octet-stream'
            sent['Content-Length'] = str(file.stat().st_size)
            with file.open('rb') as stream:
                return self._send(method, url, sent, stream)[0]
        return self._send(method, url, sent, _encode(sent, body))[0]

    def _log_in(self) -> None:
        domain = {'name': 'Default'}
        user = {
            'name': self._user,
            'domain': domain,
            'password': self._settings.password(self._user),
        }
        body = {
            'auth': {
                'identity': {'methods': ['password'], 'password': {'user': user}},
                'scope': {'project': {'name': self._project, 'domain': domain}},
            }
        }
        headers: dict[str, str] = {}
        url = f'{self._settings.auth_url}/auth/tokens'
        answer, received = self._send('POST', url, headers, _encode(headers, body))
        self._token = received['X-Subject-Token'] or ''
        self.project_id = answer['token']['project']['id']
        self.user_id = answer['token']['user']['id']

    def _send(self, method: str, url: str, headers: dict[str, str], data: Any) -> tuple[Any, Any]:
        request = urllib.request.Request(url, method=method, headers=headers, data=data)
        try:
            with self._opener.open(request, timeout=120) as response:
                raw, received = response.read(), response.headers
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors='replace')
            raise RestError(method, url, error.code, text) from None
        except (OSError, http.client.HTTPException) as error:
            raise RestError(method, url, 0, str(error)) from None
        return (json.loads(raw) if raw else None), received

    # ---- many

    def find(self, service: str, path: str, kind: str, **match: Any) -> Body | None:
        """The first of a list's items that has these values."""
        for item in self.get(service, path)[kind]:
            if all(item.get(name) == value for name, value in match.items()):
                return dict(item)
        return None

    def ensure(self, service: str, path: str, one: str, many: str, body: Body) -> Body:
        """The item of that name; made if there is none."""
        found = self.find(service, path, many, name=body['name'])
        return found or dict(self.post(service, path, {one: body})[one])


def _encode(headers: dict[str, str], body: Body | None) -> bytes | None:
    if body is None:
        return None
    headers['Content-Type'] = 'application/json'
    return json.dumps(body).encode()


def retry(seconds: float, action: Any) -> Any:
    """Repeat a request while a service that has just started answers with errors of its own."""
    end = time.monotonic() + seconds
    while True:
        try:
            return action()
        except RestError as error:
            if (error.status and error.status < 500) or time.monotonic() > end:
                raise
        time.sleep(0.5)
