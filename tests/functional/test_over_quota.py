"""Over quota: a 403 with the numbers, from our own quotas and from Keystone's limits; nothing is done."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.db import quotas, unified_limits
from kilonova.tests.functional import snapshot
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.over_quota import CASES, HIGH, Case, World
from kilonova.tests.functional.refusals import check_fault

CLOUD: dict[str, Any] = {'hosts': 2, 'extra': '[DEFAULT]\nreclaim_instance_interval = 3600\n'}
OWN, KEYSTONE = 'own', 'keystone'


@pytest.fixture(scope='module')
def world(cloud: Cloud) -> World:
    large = cloud.flavor('large', vcpus=2, ram=4096)
    return World(cloud, cloud.glance.add(), cloud.flavor('small'), large)


class Limits:
    """The limits of everybody, wherever they are kept."""

    def __init__(self, cloud: Cloud, kept: str) -> None:
        self._cloud, self._kept = cloud, kept
        self.set(**dict.fromkeys(quotas.OPTIONS, HIGH))

    @property
    def unified(self) -> bool:
        return self._kept == KEYSTONE

    def set(self, **wanted: int) -> None:
        if self.unified:
            of_keystone = {unified_limits.NAMES[name]: limit for name, limit in wanted.items()}
            self._cloud.keystone.registered |= {'class:DISK_GB': HIGH} | of_keystone
            return
        body = {'quota_class_set': wanted}
        answer = self._cloud.admin('PUT', '/os-quota-class-sets/default', body, version='2.1')
        assert answer.status == 200, answer.text


@pytest.fixture(params=[OWN, KEYSTONE])
def limits(cloud: Cloud, world: World, request: pytest.FixtureRequest) -> Iterator[Limits]:
    if request.param == KEYSTONE:
        cloud.conf.set_override('driver', unified_limits.DRIVER, 'quota')
    yield Limits(cloud, request.param)
    cloud.conf.clear_override('driver', 'quota')
    cloud.keystone.registered = {}


def _refused(answer: Answer, limits: Limits, case: Case) -> None:
    assert check_fault(answer, 403) == (case.unified_message() if limits.unified else case.message)


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_refused(cloud: Cloud, world: World, limits: Limits, case: Case) -> None:
    limits.set(**case.limits)
    before = snapshot.settled(cloud)
    _refused(case.ask(world), limits, case)
    assert snapshot.changed(before, snapshot.settled(cloud)) == {}


def test_as_many_as_fit_are_made(cloud: Cloud, world: World, limits: Limits) -> None:
    limits.set(instances=3, cores=4)
    answer = world.boot(min_count=1, max_count=5, return_reservation_id=True)
    assert answer.status == 202, answer.text
    found = cloud.get(f'/servers?reservation_id={answer.json["reservation_id"]}')['servers']
    assert len(found) == 2
    for server in found:
        cloud.wait_status(server['id'], 'ACTIVE')
        assert cloud.action(server['id'], forceDelete=None).status == 202
        cloud.wait_gone(server['id'])


def test_a_server_that_is_restored_is_counted_again(
    cloud: Cloud, world: World, limits: Limits
) -> None:
    made = world.boot().json['server']['id']
    cloud.wait_status(made, 'ACTIVE')
    assert cloud.call('DELETE', f'/servers/{made}').status == 204
    cloud.wait_status(made, 'SOFT_DELETED')
    limits.set(instances=1)
    before = snapshot.settled(cloud)
    _refused(cloud.action(made, restore=None), limits, CASES[0])
    assert snapshot.changed(before, snapshot.settled(cloud)) == {}
    limits.set(instances=2)
    assert cloud.action(made, restore=None).status == 202
    cloud.wait_status(made, 'ACTIVE')
    _refused(world.boot(), limits, Case('', {}, World.add_group, CASES[0].message.replace(
        'used 1 of 1', 'used 2 of 2'), [('instances', 2, 2, 1)]))  # fmt: skip
    assert cloud.action(made, forceDelete=None).status == 202
    cloud.wait_gone(made)


def test_a_shelved_server_keeps_its_place(cloud: Cloud, world: World, limits: Limits) -> None:
    """Of our own limits nobody can take it meanwhile, so that it can always be brought back."""
    limits.set(instances=1, cores=1)
    assert world.act(shelve=None).status == 202
    cloud.wait_status(world.server, 'SHELVED_OFFLOADED')
    shown = cloud.get('/os-quota-sets/demo/detail')['quota_set']
    assert [shown[name]['in_use'] for name in ('instances', 'cores', 'ram')] == (
        [1, 0, 0] if limits.unified else [1, 1, 512]
    )
    assert world.boot().status == 403
    assert world.act(unshelve=None).status == 202
    cloud.wait_status(world.server, 'ACTIVE')


@pytest.mark.parametrize('action', ['createImage', 'createBackup'])
def test_properties_of_an_image_are_limited_as_long_as_nova_knows_them(
    cloud: Cloud, world: World, limits: Limits, action: str
) -> None:
    more = {'backup_type': 'daily', 'rotation': 1} if action == 'createBackup' else {}
    body = {action: {'name': 'x', 'metadata': {'a': '1', 'b': '1'}, **more}}
    limits.set(metadata_items=1)
    before = snapshot.settled(cloud)
    for version in ('2.1', '2.38'):
        answer = world.act(version, **body)
        assert check_fault(answer, 403) == 'Image metadata limit exceeded'
    assert snapshot.changed(before, snapshot.settled(cloud)) == {}
    for version in ('2.39', '2.104'):
        assert world.act(version, **body).status == 202
        cloud.wait_status(world.server, 'ACTIVE')
