"""What the scheduler and the conductor say of their own work, and what bills are made of."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional import bus
from kilonova.tests.functional.bus import Reader
from kilonova.tests.functional.cloud import Cloud

CLOUD: dict[str, Any] = {'extra': bus.CONF}


@pytest.fixture
def versioned(cloud: Cloud) -> Iterator[Reader]:
    reader = Reader(cloud.conf, 'versioned_notifications')
    yield reader
    reader.close()


def test_a_choice_of_hosts(
    cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None
) -> None:
    uuid = cloud.boot(flavor, image)
    start, end = versioned.wait(
        'scheduler.select_destinations.start', 'scheduler.select_destinations.end', about=uuid
    )
    assert (start.publisher, start.priority) == ('nova-scheduler:controller', 'info')
    assert end.data['num_instances'] == 1 and end.data['project_id'] == 'demo'
    assert end.data['flavor']['nova_object.data']['memory_mb'] == 512
    assert end.data['image']['nova_object.data']['id'] == image
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, rebuild={'imageRef': image}).status == 202
    planned, begun = versioned.wait('instance.rebuild_scheduled', 'instance.rebuild.start')
    assert planned.publisher == 'nova-conductor:controller'
    assert planned.data['uuid'] == begun.data['uuid'] == uuid
    cloud.wait_status(uuid, 'ACTIVE')


def test_no_host(cloud: Cloud, image: str, versioned: Reader, clean: None) -> None:
    uuid = cloud.boot(cloud.flavor('vast', disk=9_000_000), image)
    cloud.wait_status(uuid, 'ERROR')
    [failed] = versioned.wait('compute_task.build_instances.error', about=uuid)
    assert (failed.publisher, failed.priority) == ('nova-conductor:controller', 'error')
    assert (failed.data['instance_uuid'], failed.data['state']) == (uuid, 'error')
    assert 'No valid host' in failed.data['reason']['nova_object.data']['exception_message']
    spec = failed.data['request_spec']['nova_object.data']
    assert spec['flavor']['nova_object.data']['root_gb'] == 9_000_000


def test_no_host_to_move_to(
    cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None
) -> None:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    path = f'/servers/{uuid}/action'
    assert cloud.admin('POST', path, {'migrate': None}).status == 202
    [failed] = versioned.wait('compute_task.migrate_server.error', about=uuid)
    assert failed.data['state'] == 'active'
    cloud.wait_status(uuid, 'ACTIVE', 'ERROR')


def test_images_are_kept_ready(cloud: Cloud, image: str, versioned: Reader) -> None:
    made = cloud.admin('POST', '/os-aggregates', {'aggregate': {'name': 'warm'}}).json['aggregate']
    path = f'/os-aggregates/{made["id"]}'
    added = cloud.admin('POST', f'{path}/action', {'add_host': {'host': 'controller'}})
    assert added.status == 200
    assert cloud.admin('POST', f'{path}/images', {'cache': [{'id': image}]}).status == 202
    start, told = versioned.wait('aggregate.cache_images.start', 'aggregate.cache_images.progress')
    assert start.data['name'] == 'warm'
    assert (told.data['host'], told.data['index'], told.data['total']) == ('controller', 1, 1)
    assert told.data['images_cached'] + told.data['images_failed'] == [image]


def test_who_exists(cloud: Cloud, flavor: str, image: str, versioned: Reader, clean: None) -> None:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    endpoints: list[Any] = cloud.all.conductor.fleet.own.endpoints
    [usage] = [one for one in endpoints if hasattr(one, 'audit_usage')]
    start = cloud.get(f'/servers/{uuid}')['server']['created']
    usage._say_who_exists('controller', *_day_of(start))
    [note] = versioned.wait('instance.exists', about=uuid)
    assert note.publisher == 'nova-compute:controller'
    assert note.data['state'] == 'active' and note.data['audit_period'] is not None


def _day_of(text: str) -> tuple[Any, Any]:
    day = datetime.datetime.fromisoformat(text).replace(tzinfo=None)
    return day - datetime.timedelta(days=1), day + datetime.timedelta(days=1)


def test_a_service_has_counted_its_reports(cloud: Cloud, versioned: Reader) -> None:
    [one] = cloud.get('/os-services?binary=nova-compute', token='admin:admin')['services']

    cloud.all.computes.computes[0].report_state()
    cloud.all.conductor.fleet.own.heartbeats.flush()
    for status in ('disabled', 'enabled'):
        body = {'status': status}
        assert cloud.admin('PUT', f'/os-services/{one["id"]}', body).status == 200
    notes = versioned.wait('service.update', 'service.update')
    assert all(note.data['report_count'] > 0 for note in notes)
