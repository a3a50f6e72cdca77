"""Key pairs through all their versions."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kilonova.api import keys
from kilonova.tests.unit.api.api import ADMIN, MEMBER, Api

# A 1024-bit RSA key, with the fingerprint that ssh-keygen -l -E md5 tells.
PUBLIC = (
    'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDx8nkQv/zgGgB4rMYmIf+6A4l6Rr+o/6lHBQdW5aYd44bd8JttDCE/'
    'F/pNRr0lRE+PiqSPO8nDPHw0010JeMH9gYgnnFlyY3/OcJ02RhIPyyxYpv9FhY+2YiUkpwFOcLImyrxEsYXpD/0d3ac3'
    '0bNH6Sw9JD9UZHYcpSxsIbECHw== someone'
)
FINGERPRINT = '1e:2c:9b:56:79:4b:45:77:f9:ca:7a:98:2c:b0:d5:3c'
ED25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a@b'


def _create(api: Api, version: str, token: str = MEMBER, **keypair: Any) -> Any:
    return api.call('POST', '/os-keypairs', {'keypair': keypair}, version=version, token=token)


@pytest.mark.parametrize('version, status, kind', [('2.1', 200, {}), ('2.2', 201, {'type': 'ssh'})])
def test_import(api: Api, version: str, status: int, kind: dict[str, str]) -> None:
    answer = _create(api, version, name='mine', public_key=PUBLIC)
    assert answer.status == status
    assert answer.json['keypair'] == {
        'name': 'mine',
        'public_key': PUBLIC,
        'fingerprint': FINGERPRINT,
        'user_id': 'demo',
        **kind,
    }
    shown = api.get('/os-keypairs/mine', version=version, token=MEMBER)['keypair']
    assert shown == {
        **answer.json['keypair'],
        'id': 1,
        'created_at': '2026-01-02T03:04:05.000678',
        'updated_at': None,
        'deleted': False,
        'deleted_at': None,
    }


def test_generate(api: Api) -> None:
    made = _create(api, '2.2', name='mine').json['keypair']
    private = serialization.load_pem_private_key(made['private_key'].encode(), None)
    assert private.key_size == 2048  # type: ignore[union-attr]
    assert made['private_key'].startswith('-----BEGIN RSA PRIVATE KEY-----')
    assert made['public_key'].startswith('ssh-rsa ')
    assert made['fingerprint'] == keys.fingerprint('ssh', made['public_key'])
    stored = api.conductor.keypairs['demo', 'mine']
    assert stored.private_key is None


def test_generate_certificate(api: Api) -> None:
    made = _create(api, '2.2', name='win', type='x509').json['keypair']
    certificate = x509.load_pem_x509_certificate(made['public_key'].encode())
    assert certificate.subject.rfc4514_string() == 'CN=demo'
    assert made['fingerprint'] == keys.fingerprint('x509', made['public_key'])
    assert made['private_key'].startswith('-----BEGIN PRIVATE KEY-----')


def test_other_kinds_of_ssh_keys(api: Api) -> None:
    assert _create(api, '2.92', name='e', public_key=ED25519).status == 201


@pytest.mark.parametrize(
    'version, fields, status',
    [
        ('2.1', {'name': 'a', 'type': 'ssh', 'public_key': PUBLIC}, 400),
        ('2.9', {'name': 'a', 'user_id': 'demo', 'public_key': PUBLIC}, 400),
        ('2.10', {'name': 'a', 'user_id': 'demo', 'public_key': PUBLIC}, 201),
        ('2.10', {'name': 'a', 'user_id': 'other', 'public_key': PUBLIC}, 403),
        ('2.91', {'name': 'a@b.c', 'public_key': PUBLIC}, 400),
        ('2.92', {'name': 'a@b.c', 'public_key': PUBLIC}, 201),
        ('2.92', {'name': 'a'}, 400),
        ('2.2', {'name': 'a', 'type': 'dsa'}, 400),
        ('2.2', {'name': 'a', 'public_key': 'ssh-rsa nonsense'}, 400),
        ('2.2', {'name': 'a', 'public_key': ''}, 400),
        ('2.2', {'name': 'a', 'public_key': 'ssh-rsa'}, 400),
        ('2.2', {'name': 'a', 'public_key': PUBLIC, 'type': 'x509'}, 400),
        ('2.2', {'name': 'a', 'public_key': 'ключ'}, 400),
        ('2.2', {'name': 'a' * 256}, 400),
        ('2.2', {'name': 'ä'}, 400),
        ('2.2', {}, 400),
    ],
)
def test_create_checks(api: Api, version: str, fields: dict[str, Any], status: int) -> None:
    assert _create(api, version, **fields).status == status


def test_name_taken(api: Api) -> None:
    _create(api, '2.2', name='mine', public_key=PUBLIC)
    assert _create(api, '2.2', name='mine', public_key=PUBLIC).fault == (
        'conflictingRequest',
        "Key pair 'mine' already exists.",
    )


def test_list_and_pages(api: Api) -> None:
    for name in ('a', 'b'):
        _create(api, '2.2', name=name, public_key=PUBLIC)
    first = api.get('/os-keypairs?limit=1', version='2.35', token=MEMBER)
    assert [one['keypair']['name'] for one in first['keypairs']] == ['a']
    assert 'user_id' not in first['keypairs'][0]['keypair']
    assert first['keypairs_links'][0]['href'].endswith('/os-keypairs?limit=1&marker=a')
    rest = api.get('/os-keypairs?marker=a', version='2.35', token=MEMBER)
    assert [one['keypair']['name'] for one in rest['keypairs']] == ['b']
    assert 'keypairs_links' not in rest
    # Before 2.35 paging parameters are not known, and ignored.
    assert len(api.get('/os-keypairs?limit=1', version='2.34', token=MEMBER)['keypairs']) == 2
    assert api.call('GET', '/os-keypairs?marker=x', version='2.35', token=MEMBER).status == 400


def test_other_users_keys_are_for_administrators(api: Api) -> None:
    _create(api, '2.2', name='mine', public_key=PUBLIC)
    path = '/os-keypairs/mine?user_id=demo'
    assert api.call('GET', path, version='2.10', token=ADMIN).status == 200
    answer = api.call('GET', path, version='2.10', token='other:demo')
    assert answer.fault == (
        'forbidden',
        "Policy doesn't allow os_compute_api:os-keypairs:show to be performed.",
    )
    assert api.call('GET', path, version='2.9', token=ADMIN).status == 404
    assert api.call('GET', '/os-keypairs?user_id=demo', version='2.10', token='x:y').status == 403


@pytest.mark.parametrize('version, status', [('2.1', 202), ('2.2', 204)])
def test_delete(api: Api, version: str, status: int) -> None:
    _create(api, '2.2', name='mine', public_key=PUBLIC)
    answer = api.call('DELETE', '/os-keypairs/mine', version=version, token=MEMBER)
    assert (answer.status, answer.body) == (status, b'')
    again = api.call('DELETE', '/os-keypairs/mine', version=version, token=MEMBER)
    assert again.fault[0] == 'itemNotFound'
