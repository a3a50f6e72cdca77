"""Versions, routing, faults and bad input: what all operations have in common."""

import pytest
import webob

from kilonova.api import faults
from kilonova.tests.unit.api.api import MEMBER, Api

LATEST = '2.104'


def test_root_lists_versions_without_a_token(api: Api) -> None:
    answer = api.call('GET', '//', token=None)
    assert answer.status == 200
    old, new = answer.json['versions']
    assert (old['id'], old['status'], old['version']) == ('v2.0', 'DEPRECATED', '')
    assert (new['id'], new['version'], new['min_version']) == ('v2.1', LATEST, '2.1')
    assert new['links'] == [{'rel': 'self', 'href': 'http://localhost/v2.1/'}]


@pytest.mark.parametrize('path', ['//v2.1', '//v2.1/'])
def test_version_document(api: Api, path: str) -> None:
    answer = api.call('GET', path, token=None)
    assert answer.json['version']['id'] == 'v2.1'
    assert answer.headers['OpenStack-API-Version'] == 'compute 2.1'
    assert answer.headers['x-compute-request-id'] == answer.headers['x-openstack-request-id']


def test_old_version_document_has_no_microversion(api: Api) -> None:
    answer = api.call('GET', '//v2', token=None)
    assert answer.json['version']['id'] == 'v2.0'
    assert 'OpenStack-API-Version' not in answer.headers


def test_unknown_path_under_root_gets_choices(api: Api) -> None:
    answer = api.call('GET', '//foo/bar', token=None)
    assert answer.status == 300
    hrefs = [one['links'][0]['href'] for one in answer.json['choices']]
    assert hrefs == ['http://localhost/v2/foo/bar', 'http://localhost/v2.1/foo/bar']


def test_healthcheck(api: Api) -> None:
    assert api.call('GET', '//healthcheck', token=None).status == 200


@pytest.mark.parametrize(
    'headers, version',
    [
        ({}, '2.1'),
        ({'OpenStack-API-Version': 'compute 2.53'}, '2.53'),
        ({'OpenStack-API-Version': 'compute latest'}, LATEST),
        ({'OpenStack-API-Version': 'identity 3.1, compute 2.11'}, '2.11'),
        ({'OpenStack-API-Version': 'identity 3.1'}, '2.1'),
        ({'X-OpenStack-Nova-API-Version': '2.12'}, '2.12'),
        (
            {
                'X-OpenStack-Nova-API-Version': '2.12',
                'OpenStack-API-Version': 'compute 2.13',
            },
            '2.13',
        ),
    ],
)
def test_negotiation(api: Api, headers: dict[str, str], version: str) -> None:
    answer = api.call('GET', '/flavors', headers=headers)
    assert answer.status == 200
    assert answer.headers['OpenStack-API-Version'] == f'compute {version}'
    assert answer.headers['X-OpenStack-Nova-API-Version'] == version
    assert answer.headers.getall('Vary') == [
        'OpenStack-API-Version',
        'X-OpenStack-Nova-API-Version',
    ]


@pytest.mark.parametrize('version', ['2.105', '3.1', '2.0', '1.99'])
def test_version_out_of_range(api: Api, version: str) -> None:
    answer = api.call('GET', '/flavors', version=version)
    assert answer.status == 406
    assert answer.fault == (
        'computeFault',
        f'Version {version} is not supported by the API. Minimum is 2.1 and maximum is {LATEST}.',
    )
    assert 'Vary' in answer.headers


@pytest.mark.parametrize('version', ['2', 'x', '2.01', '2.1.1', '-2.1', '2.1é', '2.' + '9' * 99])
def test_malformed_version(api: Api, version: str) -> None:
    assert api.call('GET', '/flavors', version=version).fault[0] == 'badRequest'


def test_old_api_ignores_versions_and_drops_unknown_keys(api: Api) -> None:
    body = {'keypair': {'name': ' mine ', 'color': 'red'}, 'other': 1}
    answer = api.call('POST', '//v2/os-keypairs', body, version='2.92')
    assert answer.status == 200
    assert answer.json['keypair']['name'] == 'mine'
    assert 'type' not in answer.json['keypair']
    assert 'OpenStack-API-Version' not in answer.headers
    assert api.call('POST', '/os-keypairs', body).status == 400


def test_unknown_path_and_method(api: Api) -> None:
    assert api.call('GET', '/nothing').fault == ('itemNotFound', 'The resource could not be found.')
    assert api.call('PATCH', '/flavors').fault[0] == 'itemNotFound'
    # An item whose id is empty.
    assert api.call('DELETE', '/flavors/').status == 404
    assert api.call('GET', '/flavors/').status == 404
    assert api.call('GET', '/flavors//detail').status == 200


def test_operation_below_its_version_is_not_found(api: Api) -> None:
    body = {'flavor': {'description': 'x'}}
    assert api.call('PUT', '/flavors/1', body, version='2.54').status == 404
    assert api.call('GET', '/os-hypervisors/statistics', version='2.88').status == 404
    assert api.call('GET', '/os-hypervisors/statistics', version='2.87').status == 200


def test_project_in_path_must_be_the_callers(api: Api) -> None:
    assert api.call('GET', '/demo/flavors', token=MEMBER).status == 200
    answer = api.call('GET', '/other/flavors', token=MEMBER)
    assert answer.fault == (
        'badRequest',
        "Malformed request URL: URL's project_id 'other' doesn't match Context's project_id 'demo'",
    )


def test_head_and_options(api: Api) -> None:
    answer = api.call('HEAD', '/flavors')
    assert (answer.status, answer.body) == (404, b'')
    assert api.call('OPTIONS', '/flavors', token=None).status == 200


def test_without_a_token_noauth_offers_one(api: Api) -> None:
    answer = api.call('GET', '/flavors', token=None, headers={'X-Auth-User': 'u'})
    assert answer.status == 204
    assert answer.headers['X-Auth-Token'] == 'u:admin'


@pytest.mark.parametrize(
    'raw',
    [
        b'', b'{', b'[]', b'null', b'1', b'"x"', b'\xff', b'{"flavor": "\xff"}', b'[' * 100000,
        b'{"flavor": {"name": "a\\u0000b", "ram": 1, "vcpus": 1, "disk": 1}}',
        b'{"flavor": {"name": "a\\ud800", "ram": 1, "vcpus": 1, "disk": 1}}',
        b'{"flavor": {"name": "a", "ram": 1e999, "vcpus": 1, "disk": 1}}',
        b'{"flavor": {"name": "a", "ram": ' + b'9' * 6000 + b', "vcpus": 1, "disk": 1}}',
        b'{"flavor": {"name": "a", "ram": "' + b'9' * 6000 + b'", "vcpus": 1, "disk": 1}}',
        b'{"flavor": {"name": "' + b'a' * 256 + b'", "ram": 1, "vcpus": 1, "disk": 1}}',
        b'{"flavor": {"name": "a", "ram": 1, "vcpus": 1, "disk": 1, "id": ' + b'9' * 300 + b'}}',
        b'{"flavor": {"name": "a", "ram": true, "vcpus": 1, "disk": 1}}',
        b'{"flavor": {"name": "a", "ram": 1, "vcpus": 1}}',
        b'{"flavor": {"name": "a", "ram": 1, "vcpus": 1, "disk": 1, "more": 1}}',
    ],
)  # fmt: skip
def test_bad_bodies_are_bad_requests(api: Api, raw: bytes) -> None:
    answer = api.call('POST', '/flavors', raw=raw)
    assert (answer.status, answer.fault[0]) == (400, 'badRequest')
    assert api.conductor.flavors == {}


def test_bad_field_is_named(api: Api) -> None:
    body = {'flavor': {'name': 'a', 'ram': 0, 'vcpus': 1, 'disk': 1}}
    assert api.call('POST', '/flavors', body).fault[1] == (
        'Invalid input for field/attribute ram. Value: 0. 0 is less than the minimum of 1'
    )


def test_wrong_media_type(api: Api) -> None:
    answer = api.call('POST', '/flavors', {}, headers={'Content-Type': 'application/xml'})
    assert (answer.status, answer.fault[0]) == (415, 'badMediaType')


def test_body_over_the_limit(api: Api) -> None:
    answer = api.call('POST', '/flavors', raw=b' ' * 114689)
    assert (answer.status, answer.fault[0]) == (413, 'overLimit')


def test_chunked_body_over_the_limit(api: Api) -> None:
    import io

    request = webob.Request.blank('/v2.1/flavors', method='POST')
    request.environ.update({'wsgi.input': io.BytesIO(b' ' * 200000), 'wsgi.input_terminated': True})
    request.environ.pop('CONTENT_LENGTH', None)
    request.headers.update({'X-Auth-Token': 'admin:admin', 'Content-Type': 'application/json'})
    assert request.get_response(api.app).status_int == 413


@pytest.mark.parametrize('query', ['?limit=%ff', '?limit=-1', '?limit=x', '?minRam=%00', '?limit='])
def test_bad_queries(api: Api, query: str) -> None:
    assert api.call('GET', '/flavors' + query).fault[0] == 'badRequest'


def test_unknown_query_parameters(api: Api) -> None:
    assert api.call('GET', '/flavors?foo=1', version='2.74').status == 200
    answer = api.call('GET', '/flavors?foo=1', version='2.75')
    assert answer.status == 400 and 'foo' in answer.fault[1]


@pytest.mark.parametrize('path', ['/flavors/%ff', '/flavors/%00', '/%ff/flavors', '/flavors/..%2f'])
def test_odd_paths_are_not_found(api: Api, path: str) -> None:
    assert api.call('GET', path).status == 404


def test_unknown_action(api: Api) -> None:
    assert api.call('POST', '/flavors/1/action', {'fly': None}).fault == (
        'badRequest',
        'There is no such action: fly',
    )


def test_defect_is_a_500_that_tells_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError('secret')

    monkeypatch.setattr(api.conductor, 'list_flavors', fail, raising=False)
    answer = api.call('GET', '/flavors')
    assert answer.fault[0] == 'computeFault'
    assert 'secret' not in answer.fault[1]
    assert 'x-openstack-request-id' in answer.headers


def test_retry_after_is_in_the_body() -> None:
    response = faults.render(429, 'slow', [('Retry-After', '5')])
    assert response.json == {'overLimit': {'code': 429, 'message': 'slow', 'retryAfter': '5'}}


def test_links_follow_the_prefix(api: Api) -> None:
    api.conf.set_override('compute_link_prefix', 'https://cloud.example/compute', 'api')
    try:
        body = {'flavor': {'name': 'a', 'ram': 1, 'vcpus': 1, 'disk': 1, 'id': '1'}}
        api.call('POST', '/flavors', body)
        links = api.get('/admin/flavors')['flavors'][0]['links']
    finally:
        api.conf.clear_override('compute_link_prefix', 'api')
    assert links == [
        {'rel': 'self', 'href': 'https://cloud.example/compute/v2.1/admin/flavors/1'},
        {'rel': 'bookmark', 'href': 'https://cloud.example/compute/admin/flavors/1'},
    ]
