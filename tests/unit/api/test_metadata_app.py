"""The metadata API as Neutron's agent asks it."""

import hashlib
import hmac
import threading

import pytest
import webob

from kilonova.api.metadata import app, remembered
from kilonova.common import exception
from kilonova.common.clients import keystone
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server
from kilonova.tests.unit.api.fellows import FakeAdapter, FakeNeutron

SECRET = 'shared'
ID = make_server(1).uuid


def sign(text):
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


class Agent:
    """Neutron's metadata agent."""

    def __init__(self, *options):
        self.fake = FakeServers(make_server(1), make_server(2, project_id='other'))
        conf = make_conf()
        conf.set_override('service_metadata_proxy', True, 'neutron')
        conf.set_override('metadata_proxy_shared_secret', SECRET, 'neutron')
        for group, name, value in options:
            conf.set_override(name, value, group)
        self.application = app.make_metadata_app(conf, self.fake)

    def ask(self, path='/latest/meta-data/instance-id', method='GET', body=b'', **changes):
        headers = {
            'X-Instance-ID': ID,
            'X-Tenant-ID': 'demo',
            'X-Instance-ID-Signature': sign(ID),
            'X-Forwarded-For': '10.0.0.5',
        }
        headers.update({name.replace('_', '-'): value for name, value in changes.items()})
        request = webob.Request.blank(path, method=method)
        request.headers.update({k: v for k, v in headers.items() if v is not None})
        request.body = body
        response = request.get_response(self.application)
        assert response.headers['Content-Type'], 'the agent fails without'
        return response


@pytest.fixture
def agent():
    return Agent()


def test_a_signed_request_is_answered(agent):
    response = agent.ask()
    assert (response.status_int, response.text) == (200, 'i-00000001')
    assert response.headers['Content-Type'].startswith('text/plain')
    assert response.headers['Content-Length'] == '10'


def test_json_says_so(agent):
    response = agent.ask('/openstack/latest/meta_data.json')
    assert response.content_type == 'application/json'
    assert response.json['uuid'] == ID


@pytest.mark.parametrize('path', ['/', '', '//'])
def test_the_versions_need_no_server(agent, path):
    assert agent.ask(path or '/', X_Instance_ID=None).text.endswith('latest')
    assert agent.fake.calls == []


@pytest.mark.parametrize(
    ('changes', 'status'),
    [
        ({'X_Instance_ID': None}, 400),
        ({'X_Tenant_ID': None}, 400),
        ({'X_Instance_ID_Signature': None}, 403),
        ({'X_Instance_ID_Signature': 'wrong'}, 403),
        ({'X_Instance_ID_Signature': '\xe9'}, 403),
        ({'X_Instance_ID': make_server(2).uuid}, 403),
        ({'X_Tenant_ID': 'other'}, 404),
        ({'X_Instance_ID': 'x', 'X_Instance_ID_Signature': sign('x')}, 404),
    ],
)
def test_requests_that_are_refused(agent, changes, status):
    assert agent.ask(**changes).status_int == status


def test_another_projects_server_is_not_found(agent):
    other = make_server(2).uuid
    response = agent.ask(X_Instance_ID=other, X_Instance_ID_Signature=sign(other))
    assert response.status_int == 404


def test_what_is_not_there(agent):
    assert agent.ask('/latest/user-data').status_int == 404
    assert agent.ask('/latest/../../etc/passwd').status_int == 404
    assert agent.ask('/%ff').status_int == 404


def test_only_reading(agent):
    head = agent.ask(method='HEAD')
    assert (head.status_int, head.body, head.headers['Content-Length']) == (200, b'', '10')
    assert agent.ask(method='POST').status_int == 405


PASSWORD = '/openstack/latest/password'


@pytest.mark.parametrize('version', ['2013-04-04', '2025-04-04', 'latest'])
def test_a_password_is_kept_once(agent, version):
    path = f'/openstack/{version}/password'
    assert agent.ask(path).text == ''
    stored = agent.ask(path, 'POST', body=b'x' * 1020)
    assert (stored.status_int, stored.body) == (200, b'')
    assert agent.ask(path).text == 'x' * 1020
    assert [len(agent.fake.servers[ID].system_metadata[f'password_{n}']) for n in range(4)] == [
        255
    ] * 4
    assert agent.ask(path, 'POST', body=b'another').status_int == 409
    assert agent.ask(path).text == 'x' * 1020


@pytest.mark.parametrize(
    ('path', 'body', 'status'),
    [
        (PASSWORD, b'x' * 1021, 400),
        (PASSWORD, b'\xff', 400),
        ('/openstack/2012-08-10/password', b'x', 404),
        ('/openstack/2000-01-01/password', b'x', 404),
        ('/password', b'x', 404),
        ('/openstack/latest/meta_data.json', b'x', 405),
    ],
)
def test_passwords_that_are_refused(agent, path, body, status):
    assert agent.ask(path, 'POST', body=body).status_int == status
    assert agent.ask(PASSWORD).text == ''


def test_an_empty_password_is_none(agent):
    assert agent.ask(PASSWORD, 'POST').status_int == 200
    assert 'set_server_password' not in agent.fake.names()


def test_a_password_needs_a_signature(agent):
    refused = agent.ask(PASSWORD, 'POST', body=b'x', X_Instance_ID_Signature='wrong')
    assert refused.status_int == 403
    assert agent.ask(PASSWORD).text == ''


def test_a_fetch_is_one_call_and_what_follows_none(agent):
    for path in ('/latest/meta-data/hostname', '/openstack/latest/meta_data.json'):
        assert agent.ask(path).status_int == 200
    assert agent.fake.names() == ['get_server']


def test_guests_that_boot_together_cost_one_call_each(agent):
    servers = [make_server(number) for number in range(1, 1001)]
    agent.fake.servers.update({server.uuid: server for server in servers})
    paths = ('/openstack/latest/meta_data.json', '/openstack/latest/network_data.json')
    for path in paths:
        for server in servers:
            asked = agent.ask(
                path, X_Instance_ID=server.uuid, X_Instance_ID_Signature=sign(server.uuid)
            )
            assert asked.status_int == 200
    assert agent.fake.names() == ['get_server'] * 1000


def test_many_requests_at_once_of_one_guest_are_one_call(agent, monkeypatch):
    get, answer = agent.fake.get_server, threading.Event()

    def slow(*args, **kwargs):
        answer.wait(10)
        return get(*args, **kwargs)

    monkeypatch.setattr(agent.fake, 'get_server', slow)
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(agent.ask().status_int)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    answer.set()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 8 and agent.fake.names() == ['get_server']


def test_nothing_is_remembered_when_told_so():
    agent = Agent(('api', 'metadata_cache_expiration', 0))
    agent.ask()
    agent.ask()
    assert agent.fake.names() == ['get_server'] * 2


def test_what_is_remembered_expires_and_is_bounded(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(app, 'MOST_REMEMBERED', 3)
    fake = FakeServers(make_server(1))
    known = remembered.Memory(15, clock=lambda: now[0])
    one = app.MetadataApp(make_conf(), fake, clock=lambda: now[0], known=known)
    asker = app.Asker(ID, 'demo', None)
    first = one._tree(asker)
    now[0] = 14.9
    assert one._tree(asker) is first
    now[0] = 15.1
    assert one._tree(asker) is not first
    for number in range(10):
        one._tree(app.Asker(ID, 'demo', str(number)))
    assert len(one._trees) <= 3


def test_directly_nobody_is_answered():
    agent = Agent(('neutron', 'service_metadata_proxy', False))
    assert agent.ask().status_int == 404
    assert agent.fake.calls == []


def test_a_conductor_that_does_not_answer_is_a_503(agent, monkeypatch):
    def fail(*args, **kwargs):
        raise exception.ServiceUnavailable()

    monkeypatch.setattr(agent.fake, 'get_server', fail)
    assert agent.ask().status_int == 503


def test_a_defect_is_a_500_that_tells_nothing(agent, monkeypatch):
    monkeypatch.setattr(agent.fake, 'get_server', lambda *args, **kwargs: 1 / 0)
    response = agent.ask()
    assert response.status_int == 500 and 'division' not in response.text


def test_a_load_balanced_provider_is_found_by_address(agent, monkeypatch):
    neutron = FakeNeutron()
    network = neutron.add_network(advanced_service_providers=['p1'])
    neutron.resources['subnets'][0].update(
        network_id=network['id'], advanced_service_providers='p1'
    )
    neutron.add_port(network, '10.0.0.5', device_id=ID)
    monkeypatch.setattr(keystone, 'adapter', lambda *args, **kwargs: FakeAdapter(neutron))
    headers = {'X_Metadata_Provider': 'p1', 'X_Metadata_Provider_Signature': sign('p1')}
    assert agent.ask(X_Instance_ID=None, **headers).text == 'i-00000001'
    asked = len(neutron.requests)
    assert agent.ask(X_Instance_ID=None, **headers).text == 'i-00000001'
    assert (agent.fake.names(), len(neutron.requests)) == (['get_server'], asked)
    assert agent.ask(**{**headers, 'X_Forwarded_For': '10.0.0.6'}).status_int == 404
    assert agent.ask(**{**headers, 'X_Metadata_Provider_Signature': 'x'}).status_int == 403
