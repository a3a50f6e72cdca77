"""The file system service's client, over HTTP."""

from collections.abc import Iterator

import pytest

from kilonova.common import exception
from kilonova.common.clients import manila
from kilonova.tests.fakes.manila import FakeManila
from kilonova.tests.unit.api.api import make_conf
from kilonova.tests.unit.compute.here import point_at

UNKNOWN = '0f7b9b8c-1111-4222-8333-944445555666'


@pytest.fixture
def service() -> Iterator[FakeManila]:
    made = FakeManila()
    yield made
    made.close()


@pytest.fixture
def client(service: FakeManila) -> manila.Manila:
    conf = make_conf()
    point_at(conf, 'manila', service.url + '/v2')
    return manila.client(conf)


def test_shares(client: manila.Manila, service: FakeManila) -> None:
    share = service.add(exports=2)
    assert client.show_share(share)['status'] == 'available'
    assert client.export_location(share) == f'10.0.0.2:/mnt/{share}'
    with pytest.raises(exception.ShareNotFound, match=f'Share {UNKNOWN} could not be found'):
        client.show_share(UNKNOWN)
    for share_id in (UNKNOWN, service.add(exports=0)):
        with pytest.raises(exception.ShareMissingExportLocation):
            client.export_location(share_id)


def test_access(client: manila.Manila, service: FakeManila) -> None:
    share = service.add()
    assert client.find_access(share, 'ip', '10.1.1.1') is None
    client.allow(share, 'ip', '10.1.1.1')
    client.allow(share, 'ip', '10.1.1.2')
    rule = client.find_access(share, 'ip', '10.1.1.2')
    assert rule is not None
    assert (rule['state'], rule['access_level']) == ('active', 'rw')
    client.deny(share, rule['id'])
    client.deny(share, rule['id'])
    assert [one['access_to'] for one in service.access.values()] == ['10.1.1.1']
    with pytest.raises(exception.ShareAccessError):
        client.allow(share, 'ip', '10.1.1.1')
    with pytest.raises(exception.ShareAccessError):
        client.allow(UNKNOWN, 'ip', '10.1.1.1')


def test_locks(client: manila.Manila, service: FakeManila) -> None:
    share = service.add()
    client.lock(share, 'one')
    client.lock(share, 'one')
    client.lock(share, 'two')
    assert len(service.locks) == 2
    client.unlock(share, 'one')
    client.unlock(share, 'one')
    assert [lock['lock_reason'] for lock in service.locks.values()] == ['two']
    service.break_with(403, 'POST .*locks')
    with pytest.raises(exception.ShareLockError):
        client.lock(share, 'three')


@pytest.mark.parametrize('status', [401, 500, 503])
def test_a_service_that_is_broken(client: manila.Manila, service: FakeManila, status: int) -> None:
    share = service.add()
    service.break_with(status)
    with pytest.raises(exception.FellowServiceError):
        client.show_share(share)
    with pytest.raises(exception.FellowServiceError):
        client.find_access(share, 'ip', '10.1.1.1')
