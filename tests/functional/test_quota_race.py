"""Many at once for the last places that a quota has: as many as there are, and no more."""

import concurrent.futures
from collections.abc import Callable
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Answer, Cloud

CLOUD: dict[str, Any] = {'hosts': 2}
KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a@b'
THREADS, PLACES = 100, 10


def _all_at_once(ask: Callable[[int], Answer]) -> list[Answer]:
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(ask, range(THREADS)))


@pytest.fixture
def limited(cloud: Cloud) -> str:
    limits = {'instances': PLACES, 'cores': -1, 'ram': -1}
    assert cloud.admin('PUT', '/os-quota-sets/racing', {'quota_set': limits}).status == 200
    return 'racer:racing'


@pytest.mark.parametrize('count', [1, 2])
def test_servers(
    cloud: Cloud, flavor: str, image: str, limited: str, clean: None, count: int
) -> None:
    body = {
        'server': {
            'name': 'racer', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none',
            'min_count': count, 'max_count': count,
        }
    }  # fmt: skip
    answers = _all_at_once(lambda _: cloud.call('POST', '/servers', body, token=limited))
    accepted = [answer for answer in answers if answer.status == 202]
    refused = [answer for answer in answers if answer.status == 403]
    assert (len(accepted), len(refused)) == (PLACES // count, THREADS - PLACES // count)
    used = PLACES // count * count
    for answer in refused:
        message = answer.json['forbidden']['message']
        assert message.startswith(f'Quota exceeded for instances: Requested {count}, but already ')
        assert message.endswith(f'of {PLACES} instances')
    servers = cloud.get('/servers', token=limited)['servers']
    assert len(servers) == used
    for server in servers:
        cloud.wait_status(server['id'], 'ACTIVE')
    shown = cloud.get('/os-quota-sets/racing/detail', token=limited)['quota_set']['instances']
    assert shown['in_use'] == used
    assert len(cloud.placement.usages()) == used


def test_the_places_are_free_again(
    cloud: Cloud, flavor: str, image: str, limited: str, clean: None
) -> None:
    """Deleting and creating at the same time never goes over the limit, nor loses a place."""
    server = {'name': 'racer', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}

    def turn(_: int) -> list[int]:
        seen = []
        for _round in range(3):
            answer = cloud.call('POST', '/servers', {'server': server}, token=limited)
            seen.append(answer.status)
            in_use = cloud.get('/os-quota-sets/racing/detail', token=limited)['quota_set']
            assert in_use['instances']['in_use'] <= PLACES
            if answer.status == 202:
                path = f'/servers/{answer.json["server"]["id"]}'
                assert cloud.call('DELETE', path, token=limited).status == 204
                cloud.wait_gone(answer.json['server']['id'])
        return seen

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seen = [status for statuses in pool.map(turn, range(8)) for status in statuses]
    assert set(seen) <= {202, 403} and 202 in seen
    shown = cloud.get('/os-quota-sets/racing/detail', token=limited)['quota_set']
    assert [shown[name]['in_use'] for name in ('instances', 'cores', 'ram')] == [0, 0, 0]


def test_key_pairs(cloud: Cloud) -> None:
    limit = {'quota_class_set': {'key_pairs': PLACES}}
    assert cloud.admin('PUT', '/os-quota-class-sets/default', limit).status == 200

    def ask(number: int) -> Answer:
        body = {'keypair': {'name': f'key-{number}', 'public_key': KEY}}
        return cloud.call('POST', '/os-keypairs', body, token='racer:racing')

    answers = _all_at_once(ask)
    assert sorted(answer.status for answer in answers) == [201] * PLACES + [403] * (
        THREADS - PLACES
    )
    for answer in answers:
        if answer.status == 403:
            message = answer.json['forbidden']['message']
            assert message == 'Quota exceeded, too many key pairs.'
    assert len(cloud.get('/os-keypairs', token='racer:racing')['keypairs']) == PLACES


def test_one_name_once(cloud: Cloud) -> None:
    """The same key pair, flavor and aggregate from many: one makes it, the others conflict."""
    cloud.admin('PUT', '/os-quota-class-sets/default', {'quota_class_set': {'key_pairs': 100}})
    flavor = {'flavor': {'name': 'once', 'ram': 1, 'vcpus': 1, 'disk': 1}}
    for path, body, made in (
        ('/os-keypairs', {'keypair': {'name': 'once', 'public_key': KEY}}, 201),
        ('/flavors', flavor, 200),
        ('/os-aggregates', {'aggregate': {'name': 'once'}}, 200),
    ):
        answers = _all_at_once(lambda _, p=path, b=body: cloud.admin('POST', p, b))  # type: ignore[misc]
        assert sorted(a.status for a in answers) == [made] + [409] * (THREADS - 1)
