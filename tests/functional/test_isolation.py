"""What one project can see and do of another one's: nothing."""

from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud

pytestmark = pytest.mark.usefixtures('clean')
OTHER = 'mallory:evil'


def test_a_foreign_server_is_not_there(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    attempts: list[tuple[str, str, Any]] = [
        ('GET', '', None),
        ('PUT', '', {'server': {'name': 'stolen'}}),
        ('DELETE', '', None),
        ('POST', '/action', {'os-stop': None}),
        ('POST', '/action', {'reboot': {'type': 'HARD'}}),
        ('POST', '/action', {'os-getConsoleOutput': {}}),
        ('GET', '/metadata', None),
        ('POST', '/metadata', {'metadata': {'x': 'y'}}),
        ('GET', '/tags', None),
        ('PUT', '/tags', {'tags': ['x']}),
        ('GET', '/ips', None),
        ('GET', '/os-instance-actions', None),
    ]
    for method, path, body in attempts:
        answer = cloud.call(method, f'/servers/{uuid}{path}', body, token=OTHER)
        assert answer.status == 404, (method, path, answer.text)
        assert uuid not in cloud.call('GET', '/servers', token=OTHER).text
    assert cloud.call('GET', '/servers/detail?all_tenants=1', token=OTHER).status in (200, 403)
    assert uuid not in cloud.call('GET', '/servers/detail?project_id=demo', token=OTHER).text
    assert cloud.get(f'/servers/{uuid}')['server']['status'] == 'ACTIVE'
    assert cloud.get(f'/servers/{uuid}')['server']['name'] == 'test'


def test_the_project_in_the_path_must_be_the_token_s(cloud: Cloud) -> None:
    answer = cloud.call('GET', '//v2.1/demo/servers', token=OTHER)
    assert answer.status == 400


def test_key_pairs_are_a_user_s_own(cloud: Cloud) -> None:
    assert (
        cloud.call('POST', '/os-keypairs', {'keypair': {'name': 'k'}}, version='2.60').status == 201
    )
    assert cloud.call('GET', '/os-keypairs/k', token=OTHER).status == 404
    assert cloud.get('/os-keypairs', token=OTHER)['keypairs'] == []
    assert cloud.call('GET', '/os-keypairs/k?user_id=demo', token=OTHER).status == 403
    assert cloud.call('DELETE', '/os-keypairs/k').status == 204


@pytest.mark.parametrize(
    'method, path, body',
    [
        ('POST', '/flavors', {'flavor': {'name': 'x', 'ram': 1, 'vcpus': 1, 'disk': 1}}),
        ('GET', '/os-services', None),
        ('GET', '/os-hypervisors', None),
        ('GET', '/os-aggregates', None),
        ('POST', '/os-aggregates', {'aggregate': {'name': 'x'}}),
        ('PUT', '/os-quota-sets/demo', {'quota_set': {'cores': 1000}}),
        (
            'POST',
            '/os-server-external-events',
            {
                'events': [
                    {
                        'name': 'network-changed',
                        'server_uuid': '1' * 8 + '-1111' * 3 + '-' + '1' * 12,
                    }
                ]
            },
        ),
    ],
)
def test_what_administrators_do_is_refused_to_others(
    cloud: Cloud, method: str, path: str, body: Any
) -> None:
    answer = cloud.call(method, path, body)
    assert answer.status == 403, answer.text
    assert "Policy doesn't allow" in answer.json['forbidden']['message']
