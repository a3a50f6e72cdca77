"""Shares through the API, with a file system service."""

from collections.abc import Callable, Iterator

import pytest

from kilonova.tests.functional import compare
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.unit.api.reference import sample

pytestmark = pytest.mark.usefixtures('clean')
VERSION = '2.97'
EVIL = 'mallory:evil'


@pytest.fixture
def stopped(cloud: Cloud, flavor: str, image: str) -> str:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, **{'os-stop': None}).status == 202
    cloud.wait_status(uuid, 'SHUTOFF')
    return uuid


def _status(cloud: Cloud, uuid: str, share: str, wanted: str) -> None:
    wait(
        lambda: (
            cloud.get(f'/servers/{uuid}/shares/{share}', version=VERSION)['share']['status']
            == wanted
        ),
        f'the share is {wanted}',
    )


def test_life_of_a_share(cloud: Cloud, stopped: str) -> None:
    share, path = cloud.manila.add(), f'/servers/{stopped}/shares'
    body = {'share': {'share_id': share, 'tag': 'data'}}
    made = cloud.call('POST', path, body, version=VERSION)
    assert made.status == 201, made.text
    compare.check(made.json, sample('os-server-shares/v2.97/server-shares-create-resp.json'))
    assert made.json['share'] == {'share_id': share, 'tag': 'data', 'status': 'attaching'}
    _status(cloud, stopped, share, 'inactive')
    assert len(cloud.manila.access) == 1
    compare.check(
        cloud.get(path, version=VERSION),
        sample('os-server-shares/v2.97/server-shares-list-resp.json'),
    )
    shown = cloud.admin('GET', f'{path}/{share}', version=VERSION).json
    compare.check(shown, sample('os-server-shares/v2.97/server-shares-admin-show-resp.json'))
    assert shown['share']['export_location'] == f'10.0.0.1:/mnt/{share}'
    with cloud.counted() as counts:
        cloud.get(path, version=VERSION)
    assert counts.rpc == ['call get_server'] and len(counts.sql) == 2

    assert cloud.action(stopped, **{'os-start': None}).status == 202
    cloud.wait_status(stopped, 'ACTIVE')
    _status(cloud, stopped, share, 'active')
    assert cloud.call('DELETE', f'{path}/{share}', version=VERSION).status == 409
    assert cloud.action(stopped, suspend=None).status == 409
    assert cloud.action(stopped, **{'os-stop': None}).status == 202
    cloud.wait_status(stopped, 'SHUTOFF')
    _status(cloud, stopped, share, 'inactive')

    assert cloud.call('DELETE', f'{path}/{share}', version=VERSION).status == 200
    wait(lambda: cloud.get(path, version=VERSION)['shares'] == [], 'the share is gone')
    assert cloud.manila.access == {} and cloud.manila.locks == {}
    actions = cloud.get(f'/servers/{stopped}/os-instance-actions')['instanceActions']
    assert [one['action'] for one in actions][::-1] == [
        'create', 'stop', 'attach_share', 'start', 'stop', 'detach_share',
    ]  # fmt: skip


def test_what_cannot_be_attached(cloud: Cloud, stopped: str) -> None:
    path = f'/servers/{stopped}/shares'

    def refused(share: object, status: int, **more: object) -> str:
        body = {'share': {'share_id': share, **more}}
        answer = cloud.call('POST', path, body, version=VERSION)
        assert answer.status == status, answer.text
        ((_, fault),) = answer.json.items()
        return str(fault['message'])

    manila = cloud.manila
    unknown = '0f7b9b8c-1111-4222-8333-944445555666'
    assert refused(unknown, 404) == f'Share {unknown} could not be found.'
    creating = manila.add(status='creating')
    assert refused(creating, 409) == (
        f"Share {creating} is in 'creating' instead of 'available' status."
    )
    assert 'GLUSTERFS' in refused(manila.add(share_proto='GLUSTERFS'), 409)
    assert 'export location' in refused(manila.add(exports=0), 409)
    assert 'share_id' in refused('nope', 400)
    refused(manila.add(), 400, tag='bad tag')
    refused(manila.add(), 400, tag='')
    refused(manila.add(), 400, other=1)
    manila.break_with(503)
    refused(manila.add(), 503)
    manila.mend()
    assert cloud.get(path, version=VERSION) == {'shares': []}
    assert manila.access == {} and manila.locks == {}

    share = manila.add()
    body = {'share': {'share_id': share}}
    assert cloud.call('POST', path, body, version=VERSION).status == 201
    assert 'already attached' in refused(share, 409)
    _status(cloud, stopped, share, 'inactive')
    assert cloud.call('POST', path, body, version='2.96').status == 404
    assert cloud.action(stopped, **{'os-start': None}).status == 202
    cloud.wait_status(stopped, 'ACTIVE')
    assert 'vm_state active' in refused(manila.add(), 409)


def test_other_projects_see_nothing(cloud: Cloud, stopped: str) -> None:
    share, path = cloud.manila.add(), f'/servers/{stopped}/shares'
    body = {'share': {'share_id': share}}
    assert cloud.call('POST', path, body, version=VERSION, token=EVIL).status == 404
    assert cloud.call('POST', path, body, version=VERSION).status == 201
    _status(cloud, stopped, share, 'inactive')
    for method, below in (('GET', ''), ('GET', f'/{share}'), ('DELETE', f'/{share}')):
        assert cloud.call(method, path + below, version=VERSION, token=EVIL).status == 404
    _status(cloud, stopped, share, 'inactive')
    assert cloud.call('GET', f'{path}/{stopped}', version=VERSION).status == 404
    assert cloud.call('DELETE', f'{path}/{stopped}', version=VERSION).status == 404


def test_deletion_of_the_server_gives_shares_back(cloud: Cloud, stopped: str) -> None:
    share = cloud.manila.add()
    body = {'share': {'share_id': share}}
    assert cloud.call('POST', f'/servers/{stopped}/shares', body, version=VERSION).status == 201
    _status(cloud, stopped, share, 'inactive')
    assert cloud.call('DELETE', f'/servers/{stopped}').status == 204
    cloud.wait_gone(stopped)
    assert cloud.manila.access == {} and cloud.manila.locks == {}


def _stop(cloud: Cloud, uuid: str) -> None:
    assert cloud.action(uuid, **{'os-stop': None}).status == 202
    cloud.wait_status(uuid, 'SHUTOFF')


@pytest.fixture
def down(cloud: Cloud) -> Iterator[Callable[[], None]]:
    """Return what says that the only host is down; it is up again afterwards."""
    [host] = cloud.get('/os-services?binary=nova-compute', token='admin:admin')['services']
    path = f'/os-services/{host["id"]}'

    def force() -> None:
        assert cloud.admin('PUT', path, {'forced_down': True}).status == 200

    yield force
    assert cloud.admin('PUT', path, {'forced_down': False}).status == 200


@pytest.mark.parametrize('protocol', ['NFS', 'CEPHFS'])
def test_a_dead_host_is_shut_out(
    cloud: Cloud,
    stopped: str,
    flavor: str,
    image: str,
    down: Callable[[], None],
    protocol: str,
) -> None:
    other = cloud.boot(flavor, image)
    cloud.wait_status(other, 'ACTIVE')
    _stop(cloud, other)
    share = cloud.manila.add(share_proto=protocol)
    for uuid in (stopped, other):
        body = {'share': {'share_id': share}}
        assert cloud.call('POST', f'/servers/{uuid}/shares', body, version=VERSION).status == 201
        _status(cloud, uuid, share, 'inactive')
    assert (len(cloud.manila.access), len(cloud.manila.locks)) == (1, 2)
    down()
    assert cloud.call('DELETE', f'/servers/{stopped}').status == 204
    cloud.wait_gone(stopped)
    # The other server of the dead host still needs it.
    assert (len(cloud.manila.access), len(cloud.manila.locks)) == (1, 1)
    assert cloud.call('DELETE', f'/servers/{other}').status == 204
    cloud.wait_gone(other)
    assert cloud.manila.access == {} and cloud.manila.locks == {}


def test_a_dead_host_is_shut_out_when_manila_is_back(
    cloud: Cloud, stopped: str, down: Callable[[], None]
) -> None:
    share = cloud.manila.add()
    body = {'share': {'share_id': share}}
    assert cloud.call('POST', f'/servers/{stopped}/shares', body, version=VERSION).status == 201
    _status(cloud, stopped, share, 'inactive')
    down()
    cloud.manila.break_with(503)
    before = len(cloud.manila.requests)
    assert cloud.call('DELETE', f'/servers/{stopped}').status == 204
    wait(lambda: len(cloud.manila.requests) > before, 'it was tried')
    assert len(cloud.manila.access) == 1
    cloud.manila.mend()
    assert cloud.call('DELETE', f'/servers/{stopped}').status == 204
    cloud.wait_gone(stopped)
    assert cloud.manila.access == {} and cloud.manila.locks == {}
