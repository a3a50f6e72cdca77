"""What hosts say of themselves on the bus: what failed, what they measure, what volumes move."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common.context import get_admin_context
from kilonova.compute import volume_usage
from kilonova.compute.service import Compute
from kilonova.tests.functional import bus
from kilonova.tests.functional.bus import Reader
from kilonova.tests.functional.cloud import Cloud

MORE = """
[DEFAULT]
compute_monitors = virt_driver
volume_usage_poll_interval = 3600
[fake_driver]
fail_power = */weak
fail_attach_volume = */weak
fail_spawn = */bad
"""
CLOUD: dict[str, Any] = {'extra': bus.CONF + MORE}


@pytest.fixture
def versioned(cloud: Cloud) -> Iterator[Reader]:
    reader = Reader(cloud.conf, 'versioned_notifications')
    yield reader
    reader.close()


@pytest.fixture
def plain(cloud: Cloud) -> Iterator[Reader]:
    reader = Reader(cloud.conf, 'notifications')
    yield reader
    reader.close()


@pytest.fixture
def compute(cloud: Cloud) -> Compute:
    [one] = cloud.all.computes.computes
    return one


def test_work_that_fails(
    cloud: Cloud, flavor: str, image: str, versioned: Reader, plain: Reader, clean: None
) -> None:
    uuid = cloud.boot(flavor, image, name='weak')
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, **{'os-stop': None}).status == 202
    [note] = versioned.wait('compute.exception')
    assert (note.publisher, note.priority) == ('nova-compute:controller', 'error')
    assert note.payload['nova_object.name'] == 'ExceptionPayload'
    said = note.data
    assert (said['exception'], said['function_name']) == ('VirtDriverError', '_change_power')
    assert said['module_name'] == 'kilonova.compute.virt.fake'
    assert 'told to fail' in said['exception_message']
    assert 'kilonova/compute/power.py' in said['traceback'] and '"/' not in said['traceback']
    assert 'auth_token' not in note.context
    [old] = plain.wait('stop')
    assert (old.publisher, old.priority) == ('compute.controller', 'error')
    assert 'told to fail' in old.payload['exception']


def test_builds_and_questions_that_fail(
    cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None
) -> None:
    bad = cloud.boot(flavor, image, name='bad')
    cloud.wait_status(bad, 'ERROR')
    [note] = versioned.wait('compute.exception')
    assert note.data['exception'] == 'BuildError'
    uuid = cloud.boot(flavor, image, name='fine')
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, **{'os-stop': None}).status == 202
    cloud.wait_status(uuid, 'SHUTOFF')
    assert cloud.get(f'/servers/{uuid}')['server']['status'] == 'SHUTOFF'
    answer = cloud.admin('GET', f'/servers/{uuid}/diagnostics')
    assert answer.status == 409, answer.text
    notes = versioned.wait('compute.exception', 'compute.exception')
    assert notes[-1].data['exception'] == 'InstanceInvalidState'


def test_aggregates_that_cannot_be(cloud: Cloud, versioned: Reader, plain: Reader) -> None:
    body = {'aggregate': {'name': 'twice'}}
    assert cloud.admin('POST', '/os-aggregates', body).status == 200
    assert cloud.admin('POST', '/os-aggregates', body).status == 409
    [note] = versioned.wait('compute.exception')
    assert (note.publisher, note.priority) == ('nova-api:controller', 'error')
    assert note.data['exception'] == 'AggregateNameExists'
    [old] = plain.wait('create_aggregate')
    assert old.priority == 'error'


def test_metrics(cloud: Cloud, compute: Compute, versioned: Reader, plain: Reader) -> None:
    compute._update_inventory()
    [note] = versioned.wait('metrics.update')
    assert (note.publisher, note.priority) == ('nova-compute:controller', 'info')
    assert (note.data['host'], note.data['nodename']) == ('controller', 'controller')
    assert note.data['host_ip'] == cloud.conf.my_ip
    found = {
        one['nova_object.data']['name']: one['nova_object.data'] for one in note.data['metrics']
    }
    assert len(found) == 10
    assert found['cpu.frequency']['value'] == 2000
    assert found['cpu.percent']['value'] + found['cpu.idle.percent']['value'] in (99, 100)
    assert found['cpu.user.time']['source'] == 'fake.FakeDriver'
    [old] = plain.wait('compute.metrics.update')
    assert {one['name'] for one in old.payload['metrics']} == set(found)
    # The scheduler gets them as shares of one.
    [host] = cloud.all.client.get_host_table(get_admin_context()).hosts
    values = {one['name']: one['value'] for one in host.node.metrics}
    assert 0.2 < values['cpu.percent'] < 0.3


def test_what_volumes_move(
    cloud: Cloud, compute: Compute, flavor: str, image: str, versioned: Reader, plain: Reader,
    clean: None,
) -> None:  # fmt: skip
    uuid, volume = cloud.boot(flavor, image, name='fine'), cloud.cinder.add_volume()
    cloud.wait_status(uuid, 'ACTIVE')
    path = f'/servers/{uuid}/os-volume_attachments'
    assert cloud.call('POST', path, {'volumeAttachment': {'volumeId': volume}}).status == 200
    versioned.wait('instance.volume_attach.end', about=uuid)
    driver: Any = compute.host.driver
    guest = driver._get(uuid)
    guest.started_at = guest.started_at.replace(year=guest.started_at.year - 1)
    volume_usage.report_all(compute.host)
    [note] = versioned.wait('volume.usage', about=volume)
    assert (note.publisher, note.priority) == ('nova-compute:controller', 'info')
    said = note.data
    assert (said['volume_id'], said['instance_uuid']) == (volume, uuid)
    assert (said['project_id'], said['user_id'], said['availability_zone']) == (
        'demo', 'demo', 'nova',
    )  # fmt: skip
    assert said['reads'] > 0 and said['write_bytes'] == 4096 * said['writes']
    [old] = plain.wait('volume.usage')
    assert (old.payload['tenant_id'], old.payload['instance_id']) == ('demo', uuid)

    # A new start of the guest counts from nought; what was is not forgotten.
    assert cloud.action(uuid, reboot={'type': 'HARD'}).status == 202
    versioned.wait('instance.reboot.end', about=uuid)
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.call('DELETE', f'{path}/{volume}').status == 202
    _, last = versioned.wait('volume.usage', 'volume.usage', about=volume)
    assert last.data['reads'] >= said['reads']
    versioned.wait('instance.volume_detach.end', about=uuid)
