"""Projects that quotas and access are for, with a Keystone of its own."""

import socketserver
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref import simple_server

import pytest

from kilonova.common.clients import keystone
from kilonova.tests.unit.api.api import Api

STATUSES = {'/v3/projects/known': 200, '/v3/projects/gone': 404, '/v3/projects/hidden': 403}


class _Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests read no log of requests."""


@pytest.fixture
def strict(api: Api) -> Iterator[Api]:
    """An API that asks Keystone, as ``auth_strategy`` says after the layers are built."""

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        status = STATUSES.get(environ['PATH_INFO'], 500)
        start_response(f'{status} status', [('Content-Type', 'application/json')])
        return [b'{}']

    class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
        daemon_threads = True

    server = simple_server.make_server('127.0.0.1', 0, application, Server, _Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}'
    api.conf.set_override('auth_strategy', 'keystone', 'api')
    api.conf.set_override('endpoint_override', url, 'keystone')
    yield api
    api.conf.set_override('auth_strategy', 'noauth2', 'api')
    api.conf.clear_override('endpoint_override', 'keystone')
    keystone.forget()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    'project, status', [('known', 200), ('gone', 400), ('hidden', 200), ('broken', 200)]
)
def test_quotas_are_for_projects_that_exist(strict: Api, project: str, status: int) -> None:
    path = f'/os-quota-sets/{project}'
    assert strict.call('PUT', path, {'quota_set': {'cores': 1}}).status == status
    answer = strict.call('GET', path)
    assert answer.status == status
    if status == 400:
        assert answer.fault[1] == 'Project ID gone is not a valid project.'


def test_own_project_is_not_asked_for(strict: Api) -> None:
    assert strict.call('GET', '/os-quota-sets/admin').status == 200


def test_access_is_for_projects_that_exist(strict: Api) -> None:
    body = {'flavor': {'name': 'a', 'ram': 1, 'vcpus': 1, 'disk': 1, 'id': '1'}}
    strict.call('POST', '/flavors', body)
    for project, status in (('gone', 400), ('known', 200)):
        grant = {'addTenantAccess': {'tenant': project}}
        assert strict.call('POST', '/flavors/1/action', grant).status == status
