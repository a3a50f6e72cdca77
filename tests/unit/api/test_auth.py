"""Who a caller is: the context that the layers build, and what policy makes of it."""

import json
import os
import pathlib
from typing import Any

import pytest
import webob

from kilonova.api import auth, pipeline, policies
from kilonova.api.app import ComputeApp
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.api.fake_conductor import FakeConductor

KEYSTONE = {
    'X-User-Id': 'u1',
    'X-Project-Id': 'p1',
    'X-Roles': 'member,reader',
    'X-Auth-Token': 'token',
    'X-Service-Catalog': json.dumps([{'type': 'image', 'endpoints': []}]),
}


CONDUCTOR: Any = FakeConductor()


def _application(*files: str) -> Any:
    conf = make_conf(*files)
    enforcer = policies.get_enforcer(conf)
    return auth.KeystoneContext(ComputeApp(conf, CONDUCTOR, enforcer), enforcer)


@pytest.fixture(scope='module')
def application() -> Any:
    return _application()


def _status(application: Any, path: str, method: str = 'GET', **headers: str) -> int:
    request = webob.Request.blank(path, method=method)
    request.headers.update({**KEYSTONE, **{k.replace('_', '-'): v for k, v in headers.items()}})
    if method == 'POST':
        request.content_type = 'application/json'
        uuid = '11111111-1111-1111-1111-111111111111'
        request.json = {'events': [{'name': 'network-changed', 'server_uuid': uuid}]}
    return int(request.get_response(application).status_int)


def test_context_of_the_headers() -> None:
    seen = []

    def inner(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ[auth.CONTEXT])
        start_response('200 OK', [])
        return []

    enforcer = policies.get_enforcer(make_conf())
    request = webob.Request.blank('/')
    request.headers.update(KEYSTONE)
    request.environ['openstack.request_id'] = 'req-1'
    request.environ['REMOTE_ADDR'] = '192.0.2.7'
    assert request.get_response(auth.KeystoneContext(inner, enforcer)).status_int == 200
    (context,) = seen
    assert (context.user_id, context.project_id, context.roles) == (
        'u1',
        'p1',
        ['member', 'reader'],
    )
    assert (context.auth_token, context.request_id) == ('token', 'req-1')
    assert (context.remote_address, context.is_admin) == ('192.0.2.7', False)
    assert context.service_catalog == [{'type': 'image', 'endpoints': []}]


def test_nobody_is_unauthorized(application: Any) -> None:
    response = webob.Request.blank('/flavors').get_response(application)
    assert response.status_int == 401
    assert 'unauthorized' in response.json


EVENTS = '/os-server-external-events'


@pytest.mark.parametrize(
    'roles, path, method, status',
    [
        ('reader', '/os-quota-sets/p1', 'GET', 200),
        ('member,reader', '/os-quota-sets/p1', 'GET', 200),
        ('reader', '/os-quota-sets/p2', 'GET', 403),
        ('other', '/os-quota-sets/p1', 'GET', 403),
        ('admin', '/os-quota-sets/p2', 'GET', 200),
        ('manager,member,reader', '/os-services', 'GET', 403),
        ('admin', '/os-services', 'GET', 200),
        ('service', EVENTS, 'POST', 200),
        ('admin', EVENTS, 'POST', 200),
        ('member', EVENTS, 'POST', 403),
        ('service', '/os-services', 'GET', 403),
    ],
)
def test_roles(application: Any, roles: str, path: str, method: str, status: int) -> None:
    assert _status(application, path, method, X_Roles=roles) == status


def test_a_system_token_is_out_of_scope(application: Any) -> None:
    headers = {'X_Roles': 'admin', 'Openstack_System_Scope': 'all', 'X_Project_Id': ''}
    assert _status(application, '/os-services', **headers) == 403


def test_an_operators_file_counts(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'policy.yaml'
    path.write_text('"os_compute_api:os-services:list": "role:member"\n')
    nova = tmp_path / 'nova.conf'
    nova.write_text(f'[oslo_policy]\npolicy_file = {path}\n')
    application = _application(str(nova))
    assert _status(application, '/os-services') == 200
    path.write_text('"os_compute_api:os-services:list": "!"\n')
    # The library compares times of change in whole seconds at worst.
    os.utime(path, (path.stat().st_atime + 5, path.stat().st_mtime + 5))
    assert _status(application, '/os-services', X_Roles='admin') == 403


def test_each_rule_is_listed_once_and_said_what_it_is_for() -> None:
    rules = policies.list_rules()
    names = [rule.name for rule in rules]
    assert len(names) == len(set(names))
    assert all(rule.description for rule in rules)


def test_keystone_pipeline_asks_for_a_token(tmp_path: pathlib.Path) -> None:
    nova = tmp_path / 'nova.conf'
    nova.write_text('[keystone_authtoken]\nwww_authenticate_uri = http://keystone.example\n')
    conf = make_conf(str(nova))
    conf.clear_override('auth_strategy', 'api')
    application = pipeline.load('osapi_compute', conf, CONDUCTOR)
    response = webob.Request.blank('/v2.1/flavors').get_response(application)
    assert response.status_int == 401
    assert 'x-openstack-request-id' in response.headers
    assert webob.Request.blank('/v2.1').get_response(application).status_int == 200
