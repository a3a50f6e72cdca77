"""Letting this host in to shares, and guests that use them."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from kilonova.common.objects import work
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import Share
from kilonova.compute.virt.driver import PowerState
from kilonova.tests.fakes.manila import FakeManila
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server, point_at

MakeHere = Callable[..., Here]


@pytest.fixture
def manila() -> Iterator[FakeManila]:
    made = FakeManila()
    yield made
    made.close()


@pytest.fixture
def here(make_here: MakeHere, manila: FakeManila) -> Here:
    made = make_here(DEFAULT={'my_ip': '192.0.2.7'}, manila={'share_apply_policy_timeout': 1})
    point_at(made.conf, 'manila', manila.url + '/v2')
    return made


def new(manila: FakeManila, **fields: Any) -> Share:
    values = {'uuid': str(uuid.uuid4()), 'share_id': manila.add(), 'tag': 'data', **fields}
    return Share(**values)


def do(here: Here, server: Server, what: work.HostWork) -> Any:
    count = len(here.conductor.named('work_finished')) + 1
    here.work.perform(CONTEXT, server, Fence(str(uuid.uuid4()), 1), what)
    report = here.conductor.wait_for('work_finished', count)
    here.wait_idle()
    return report['result']


def test_attach_and_detach(here: Here, manila: FakeManila) -> None:
    server, share = make_server(), new(manila)
    assert do(here, server, work.AllowShare(share)).error is None
    assert do(here, server, work.AllowShare(share)).error is None
    (rule,) = manila.access.values()
    assert (rule['access_type'], rule['access_to']) == ('ip', '192.0.2.7')
    (lock,) = manila.locks.values()
    assert share.uuid in lock['lock_reason']
    assert do(here, server, work.DenyShare(share)).error is None
    assert manila.access == {} and manila.locks == {}
    assert do(here, server, work.DenyShare(share)).error is None


def test_ceph_has_users_not_addresses(here: Here, manila: FakeManila) -> None:
    do(here, make_server(), work.AllowShare(new(manila, protocol='CEPHFS')))
    (rule,) = manila.access.values()
    assert (rule['access_type'], rule['access_to']) == ('cephx', 'nova')


def test_what_another_server_needs_is_kept(here: Here, manila: FakeManila) -> None:
    server, share = make_server(), new(manila)
    do(here, server, work.AllowShare(share))
    here.conductor.share_users = ['another']
    assert do(here, server, work.DenyShare(share)).error is None
    assert len(manila.access) == 1 and manila.locks == {}


@pytest.mark.parametrize('state', ['queued_to_apply', 'error'])
def test_access_that_does_not_come(here: Here, manila: FakeManila, state: str) -> None:
    manila.access_state = state
    result = do(here, make_server(), work.AllowShare(new(manila)))
    assert f'the rule is in state {state}' in result.error


def test_a_driver_that_cannot(
    here: Here, manila: FakeManila, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(here.driver), 'supports_shares', False)
    server, share = make_server(), new(manila)
    assert 'does not support shares' in do(here, server, work.AllowShare(share)).error
    assert manila.access == {} and manila.locks == {}
    assert do(here, server, work.DenyShare(share)).error is None


def test_guests_have_their_shares_while_they_run(here: Here, manila: FakeManila) -> None:
    server = here.built(make_server())
    shares = [new(manila, tag='data', status='inactive'), new(manila, tag='bad', status='error')]
    server = msgspec.structs.replace(server, shares=shares)
    do(here, server, work.Stop())
    assert do(here, server, work.Start()).power_state == PowerState.RUNNING
    assert here.driver.mounts == {(server.uuid, 'data')}
    assert len(manila.access) == 1
    do(here, server, work.Stop())
    assert here.driver.mounts == set()
    manila.break_with(500, 'share-access')
    result = do(here, server, work.Start())
    assert result.error and result.power_state == PowerState.SHUTDOWN


def test_deletion_gives_all_back(here: Here, manila: FakeManila) -> None:
    server = here.built(make_server())
    server = msgspec.structs.replace(server, shares=[new(manila), new(manila, tag='other')])
    do(here, server, work.Start())
    here.deletes.terminate_server(CONTEXT, server, Fence(str(uuid.uuid4()), 1))
    here.conductor.wait_for('delete_finished')
    assert (manila.access, manila.locks, here.driver.mounts) == ({}, {}, set())


def test_a_broken_file_system_service_holds_up_no_deletion(here: Here, manila: FakeManila) -> None:
    server = msgspec.structs.replace(here.built(make_server()), shares=[new(manila)])
    do(here, server, work.Start())
    manila.break_with(503)
    here.deletes.terminate_server(CONTEXT, server, Fence(str(uuid.uuid4()), 1))
    here.conductor.wait_for('delete_finished')
    assert here.driver.list_guests() == []
