"""Rescue, passwords, crash dumps; deletions that can be taken back."""

from typing import Any

import pytest

from kilonova.common import exception
from kilonova.compute.virt.fake import FakeDriver
from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {
    'hosts': 1,
    'extra': '[DEFAULT]\nreclaim_instance_interval = 3600\n[quota]\ninstances = 2\n'
    '[fake_driver]\nfail_power = */stubborn\n',
}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture
def server(cloud: Cloud, flavor: str, image: str) -> Any:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def console(cloud: Cloud, uuid: str) -> str:
    return str(cloud.action(uuid, **{'os-getConsoleOutput': {}}).json['output'])


def test_rescue_from_an_image_and_back(cloud: Cloud, server: str) -> None:
    other = cloud.glance.add('rescue')
    answer = cloud.action(server, rescue={'rescue_image_ref': other, 'adminPass': 'secret'})
    assert (answer.status, answer.json) == (200, {'adminPass': 'secret'})
    cloud.wait_status(server, 'RESCUE')
    assert f'image {other}' in console(cloud, server)
    assert cloud.action(server, rescue=None).status == 409
    assert cloud.action(server, unrescue=None).status == 202
    cloud.wait_status(server, 'ACTIVE')
    assert f'image {other}' not in console(cloud, server).rpartition('boots for')[2]


def test_rescue_makes_a_password(cloud: Cloud, server: str) -> None:
    answer = cloud.action(server, rescue=None)
    assert answer.status == 200 and len(answer.json['adminPass']) == 12
    cloud.wait_status(server, 'RESCUE')


def test_an_unknown_rescue_image(cloud: Cloud, server: str) -> None:
    missing = '6f70656e-7374-6163-6b20-342065766572'
    answer = cloud.action(server, rescue={'rescue_image_ref': missing})
    assert answer.status == 400 and missing in answer.text
    cloud.wait_status(server, 'ACTIVE')


def test_password_and_crash_dump(cloud: Cloud, server: str) -> None:
    assert cloud.action(server, changePassword={'adminPass': 'hush'}).status == 202
    cloud.wait_status(server, 'ACTIVE')
    assert 'The password of the administrator has changed' in console(cloud, server)
    assert cloud.action(server, trigger_crash_dump=None).status == 202
    wait(lambda: 'writes a dump' in console(cloud, server), 'the dump')
    actions = cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']
    assert [a['action'] for a in actions] == ['trigger_crash_dump', 'changePassword', 'create']
    path = f'/servers/{server}/action'
    assert cloud.call('POST', path, {'trigger_crash_dump': None}, version='2.16').status == 404


def test_a_guest_that_takes_no_password(
    cloud: Cloud, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.conf.set_override('fail_power', ['*'], 'fake_driver')
    try:
        refused = cloud.action(server, changePassword={'adminPass': 'hush'})
    finally:
        cloud.conf.clear_override('fail_power', 'fake_driver')
    assert refused.status == 409
    assert f'Failed to set admin password on {server} because' in refused.text

    def unable(*_: Any) -> None:
        raise exception.NotSupported(feature='passwords')

    monkeypatch.setattr(FakeDriver, 'set_admin_password', unable)
    reset = {'os-resetState': {'state': 'active'}}
    assert cloud.admin('POST', f'/servers/{server}/action', reset).status == 202
    answer = cloud.action(server, changePassword={'adminPass': 'hush'})
    assert answer.status == 501 and 'Unable to set password on instance' in answer.text
    assert cloud.wait_status(server, 'ACTIVE')['OS-EXT-STS:task_state'] is None


def test_soft_delete_and_restore(cloud: Cloud, server: str, flavor: str, image: str) -> None:
    assert cloud.call('DELETE', f'/servers/{server}').status == 204
    found = cloud.wait_status(server, 'SOFT_DELETED')
    assert found['OS-EXT-STS:power_state'] == 4
    assert cloud.get('/servers')['servers'] == []
    assert server in cloud.placement.usages()
    # What waits for its end does not count.
    others = [cloud.boot(flavor, image) for _ in range(2)]
    answer = cloud.action(server, restore=None)
    assert answer.status == 403 and 'Quota exceeded' in answer.text
    assert cloud.action(others[0], forceDelete=None).status == 202
    cloud.wait_gone(others[0])
    assert cloud.action(server, restore=None).status == 202
    assert cloud.wait_status(server, 'ACTIVE')['OS-EXT-STS:power_state'] == 1
    refused = cloud.call('POST', '/servers', {
        'server': {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}
    })  # fmt: skip
    assert refused.status == 403
    actions = cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']
    assert [a['action'] for a in actions] == ['restore', 'delete', 'create']


def test_what_was_deleted_is_reclaimed_in_time(cloud: Cloud, server: str) -> None:
    cloud.call('DELETE', f'/servers/{server}')
    cloud.wait_status(server, 'SOFT_DELETED')
    chores = cloud.all.conductor.engine.chores
    assert not any(chore() for chore in chores)
    cloud.conf.set_override('reclaim_instance_interval', 1)
    wait(lambda: any(chore() for chore in chores), 'the reclaim')
    cloud.conf.clear_override('reclaim_instance_interval')
    cloud.wait_gone(server)
    assert cloud.placement.usages() == {}
