"""What clients in other languages look at: statuses, headers, empty bodies, links.

Over a socket, as it leaves the web server.
"""

import http.client
import json
from typing import Any

import pytest

from kilonova.tests.functional.clients import Clients
from kilonova.tests.functional.cloud import Cloud

pytestmark = pytest.mark.usefixtures('clean')


class Raw:
    """Speaks HTTP, and keeps the last answer's headers."""

    def __init__(self, clients: Clients) -> None:
        self._address = clients.url.removeprefix('http://')
        self.status, self.headers, self.body = 0, http.client.HTTPMessage(), b''

    def ask(
        self, method: str, path: str, body: Any = None, version: str | None = '2.90', **more: str
    ) -> Any:
        """Return the JSON of the answer, None where it is empty."""
        headers = {'X-Auth-Token': 'demo:demo', **more}
        if version:
            headers['X-OpenStack-Nova-API-Version'] = version
            headers['OpenStack-API-Version'] = f'compute {version}'
        content = None
        if body is not None:
            content, headers['Content-Type'] = json.dumps(body), 'application/json'
        connection = http.client.HTTPConnection(self._address, timeout=20)
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()
        connection.close()
        return json.loads(self.body) if self.body else None


@pytest.fixture
def raw(clients: Clients) -> Raw:
    return Raw(clients)


@pytest.fixture
def server(cloud: Cloud, flavor: str, image: str) -> str:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def test_a_created_server(
    raw: Raw, clients: Clients, cloud: Cloud, flavor: str, image: str
) -> None:
    body = {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}
    made = raw.ask('POST', '/v2.1/servers', {'server': body})['server']
    assert raw.status == 202
    assert raw.headers['Location'] == f'{clients.url}/v2.1/servers/{made["id"]}'
    assert raw.headers['Content-Type'] == 'application/json'
    assert int(raw.headers['Content-Length']) == len(raw.body)
    assert {one['rel']: one['href'] for one in made['links']} == {
        'self': f'{clients.url}/v2.1/servers/{made["id"]}',
        'bookmark': f'{clients.url}/servers/{made["id"]}',
    }
    cloud.wait_status(made['id'], 'ACTIVE')
    # With the project in the path the links have it, too.
    made = raw.ask('POST', '/v2.1/demo/servers', {'server': body})['server']
    assert raw.headers['Location'] == f'{clients.url}/v2.1/demo/servers/{made["id"]}'
    cloud.wait_status(made['id'], 'ACTIVE')


def test_every_answer_names_the_request_and_the_version(raw: Raw, server: str) -> None:
    raw.ask('GET', f'/v2.1/servers/{server}')
    assert raw.headers['x-openstack-request-id'] == raw.headers['x-compute-request-id']
    assert raw.headers['x-openstack-request-id'].startswith('req-')
    assert raw.headers['OpenStack-API-Version'] == 'compute 2.90'
    assert raw.headers['X-OpenStack-Nova-API-Version'] == '2.90'
    varying = ['OpenStack-API-Version', 'X-OpenStack-Nova-API-Version']
    assert raw.headers.get_all('Vary') == varying
    raw.ask('GET', f'/v2.1/servers/{server}', version=None)
    assert raw.headers['OpenStack-API-Version'] == 'compute 2.1'
    raw.ask('GET', f'/v2/servers/{server}')
    assert raw.status == 200
    wrong = raw.ask('GET', '/v2.1/servers', version='2.999')
    assert raw.status == 406 and '2.104' in wrong['computeFault']['message']
    raw.ask('GET', '/v2.1/servers', version='latest')
    assert raw.headers['OpenStack-API-Version'] == 'compute 2.104'


@pytest.mark.parametrize('action', ['os-stop', 'os-start', 'pause', 'unpause', 'lock', 'unlock'])
def test_actions_answer_202_with_nothing(raw: Raw, cloud: Cloud, server: str, action: str) -> None:
    before = {'os-start': 'os-stop', 'unpause': 'pause'}.get(action)
    if before:
        cloud.action(server, **{before: None})
        cloud.wait_status(server, 'SHUTOFF', 'PAUSED')
    assert raw.ask('POST', f'/v2.1/servers/{server}/action', {action: None}) is None
    assert (raw.status, raw.headers['Content-Length']) == (202, '0')
    # Ruby's and Go's clients parse a body where there is a type of content.
    assert raw.headers['Content-Type'] in (None, 'application/json')
    cloud.wait_status(server, 'ACTIVE', 'SHUTOFF', 'PAUSED')


def test_an_image_is_where_the_header_says(raw: Raw, cloud: Cloud, server: str) -> None:
    """Up to 2.44 by its address, after that by its id in the body."""
    path, body = f'/v2.1/servers/{server}/action', {'createImage': {'name': 'shot'}}
    assert raw.ask('POST', path, body, version='2.44') is None
    assert raw.status == 202
    image = raw.headers['Location'].rpartition('/')[2]
    assert image in cloud.glance.images
    cloud.wait_status(server, 'ACTIVE')
    later = raw.ask('POST', path, body, version='2.45')
    assert raw.status == 202 and later['image_id'] in cloud.glance.images
    assert raw.headers['Location'] is None
    cloud.wait_status(server, 'ACTIVE')


def test_deletions_are_204_without_a_body(raw: Raw, cloud: Cloud, server: str) -> None:
    assert raw.ask('DELETE', f'/v2.1/servers/{server}') is None
    assert raw.status == 204 and raw.headers['Content-Type'] is None
    cloud.wait_gone(server)
    gone = raw.ask('DELETE', f'/v2.1/servers/{server}')
    assert raw.status == 404
    assert gone == {
        'itemNotFound': {'code': 404, 'message': f'Instance {server} could not be found.'}
    }
    assert raw.headers['Content-Type'] == 'application/json; charset=UTF-8'


def test_pages_are_linked(
    raw: Raw, clients: Clients, cloud: Cloud, flavor: str, image: str
) -> None:
    for _ in range(3):
        cloud.wait_status(cloud.boot(flavor, image), 'ACTIVE')
    found, path = [], '/v2.1/servers/detail?limit=2&sort_key=uuid&sort_dir=asc'
    while path:
        page = raw.ask('GET', path)
        found += [one['id'] for one in page['servers']]
        links = {one['rel']: one['href'] for one in page.get('servers_links', [])}
        assert links.keys() <= {'next'}
        path = links.get('next', '').removeprefix(clients.url)
        assert not path or path.startswith('/v2.1/servers/detail?')
    assert found == sorted(found) and len(found) == 3


def test_behind_a_proxy(raw: Raw, cloud: Cloud, server: str) -> None:
    """Links follow the Host header, and what [api]compute_link_prefix says instead."""
    shown = raw.ask('GET', f'/v2.1/servers/{server}', Host='nova.example.org:8774')['server']
    assert {one['href'].partition('/v2.1')[0].partition('/servers')[0] for one in shown['links']} == {
        'http://nova.example.org:8774'
    }  # fmt: skip
    cloud.conf.set_override('compute_link_prefix', 'https://cloud.example.org/nova', 'api')
    try:
        shown = raw.ask('GET', f'/v2.1/servers/{server}')['server']
    finally:
        cloud.conf.clear_override('compute_link_prefix', 'api')
    assert shown['links'][0]['href'] == (f'https://cloud.example.org/nova/v2.1/servers/{server}')


def test_the_documents_of_versions(raw: Raw, clients: Clients) -> None:
    root = raw.ask('GET', '/', version=None)
    assert [one['id'] for one in root['versions']] == ['v2.0', 'v2.1']
    assert raw.ask('GET', '/v2.1/', version=None)['version']['id'] == 'v2.1'
    found = raw.ask('GET', '/v2.1', version=None)['version']
    assert found['links'][0] == {'rel': 'self', 'href': f'{clients.url}/v2.1/'}
    raw.ask('GET', '/v2.1/nonsense')
    assert raw.status == 404


def test_what_is_not_json(raw: Raw, clients: Clients) -> None:
    answer = raw.ask('GET', '/v2.1/servers', Accept='application/xml')
    assert raw.status in (200, 406) and (raw.status == 406 or 'servers' in answer)
    raw.ask('PATCH', '/v2.1/servers')
    assert raw.status in (404, 405)
    raw.ask('GET', '/v2.1/servers', None, '2.90', **{'X-Auth-Token': ''})
    assert raw.status in (200, 401)


@pytest.mark.parametrize('slash', ['%2F', '%2f', '/'])
def test_an_encoded_slash_is_a_slash(raw: Raw, server: str, slash: str) -> None:
    """On every server: no name of anything has one, and none is to get the letters ``%2F``."""
    for path in (f'/servers/{server}/tags/a{slash}b', f'/servers/{server}{slash}tags{slash}a/b'):
        raw.ask('PUT', f'/v2.1{path}')
        assert raw.status == 404
    raw.ask('PUT', f'/v2.1/servers{slash}{server}/tags/a%252Fb?x=%2F')
    assert raw.status == 201
    assert raw.ask('GET', f'/v2.1/servers/{server}/tags') == {'tags': ['a%2Fb']}
