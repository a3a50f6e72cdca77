"""Key pairs and their quota."""

import threading

import pytest

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.server import Keypair
from kilonova.conductor.keypairs import Keypairs

CTX = RequestContext(project_id='p', user_id='me', overwrite=False)


@pytest.fixture
def keypairs(conf, api_db):
    return Keypairs(conf, api_db)


def make(keypairs, name, user='me'):
    return keypairs.create_keypair(
        CTX, Keypair(name=name, user_id=user, fingerprint='aa:bb', public_key='ssh-rsa A')
    )


def test_life(keypairs):
    made = make(keypairs, 'one')
    assert made.private_key is None
    assert keypairs.get_keypair(CTX, 'me', 'one') == made
    with pytest.raises(exception.KeyPairExists, match="Key pair 'one' already exists"):
        make(keypairs, 'one')
    make(keypairs, 'one', user='other')
    keypairs.delete_keypair(CTX, 'me', 'one')
    with pytest.raises(exception.KeypairNotFound, match='Keypair one not found for user me'):
        keypairs.get_keypair(CTX, 'me', 'one')
    with pytest.raises(exception.KeypairNotFound):
        keypairs.delete_keypair(CTX, 'me', 'one')
    assert keypairs.get_keypair(CTX, 'other', 'one').user_id == 'other'


def test_pages(keypairs):
    for name in 'cabd':
        make(keypairs, name)
    make(keypairs, 'x', user='other')

    def names(**query):
        return ''.join(key.name for key in keypairs.list_keypairs(CTX, 'me', **query))

    assert names() == 'abcd'
    assert names(limit=2) == 'ab'
    assert names(limit=2, marker='b') == 'cd'
    with pytest.raises(exception.MarkerNotFound):
        names(marker='x')


def test_quota_holds_against_many_at_once(conf, keypairs):
    conf.set_override('key_pairs', 3, 'quota')
    results = []

    def create(number):
        try:
            results.append(bool(make(keypairs, f'k{number}')))
        except exception.LimitExceeded as error:
            assert str(error) == 'Quota exceeded, too many key pairs.'
            results.append(False)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(results) == 3
    assert len(results) == 8
    assert make(keypairs, 'k', user='other')  # each user has his own
