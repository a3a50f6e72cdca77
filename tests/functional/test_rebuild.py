"""Servers made anew."""

from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud

CLOUD = {
    'hosts': 1,
    'extra': """
[fake_driver]
fail_spawn = */broken
[filter_scheduler]
enabled_filters = ComputeFilter,ImagePropertiesFilter,NumInstancesFilter
max_instances_per_host = 1
""",
}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture
def server(cloud: Cloud, flavor: str, image: str) -> Any:
    network = cloud.neutron.add_network()
    uuid = cloud.boot(flavor, image, [{'uuid': network}], metadata={'a': 'b'})
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def test_a_new_image_name_and_metadata(cloud: Cloud, server: str) -> None:
    (port,) = cloud.neutron.ports
    other = cloud.glance.add('other')
    body = {'imageRef': other, 'name': 'new', 'metadata': {'c': 'd'}, 'adminPass': 'pw'}
    answer = cloud.action(server, rebuild=body)
    assert answer.status == 202, answer.text
    shown = answer.json['server']
    assert (shown['name'], shown['adminPass'], shown['status']) == ('new', 'pw', 'REBUILD')
    found = cloud.wait_status(server, 'ACTIVE')
    assert (found['name'], found['metadata']) == ('new', {'c': 'd'})
    assert found['image']['id'] == other
    assert set(cloud.neutron.ports) == {port}
    output = cloud.action(server, **{'os-getConsoleOutput': {}}).json['output']
    assert f'image {other}' in output
    (action, _) = cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']
    assert (action['action'], action['message']) == ('rebuild', None)
    path = f'/servers/{server}/os-instance-actions/{action["request_id"]}'
    events = {one['event'] for one in cloud.get(path)['instanceAction']['events']}
    assert events == {'rebuild_server', 'compute_rebuild_instance'}


def test_an_image_that_the_host_is_not_meant_for(cloud: Cloud, server: str, image: str) -> None:
    other = cloud.glance.add('other', hw_architecture='aarch64')
    answer = cloud.action(server, rebuild={'imageRef': other})
    assert answer.status == 400
    assert f'Image {other} is unacceptable' in answer.text
    found = cloud.wait_status(server, 'ACTIVE')
    assert found['image']['id'] == image
    assert len(cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']) == 1


def test_what_was_off_stays_off(cloud: Cloud, server: str, image: str) -> None:
    cloud.action(server, **{'os-stop': None})
    cloud.wait_status(server, 'SHUTOFF')
    assert cloud.action(server, rebuild={'imageRef': image}).status == 202
    assert cloud.wait_status(server, 'SHUTOFF')['OS-EXT-STS:power_state'] == 4


def test_a_failure_leaves_an_error_and_can_be_tried_again(
    cloud: Cloud, server: str, image: str
) -> None:
    assert cloud.action(server, rebuild={'imageRef': image, 'name': 'broken'}).status == 202
    found = cloud.wait_status(server, 'ERROR')
    assert 'told to fail to build' in found['fault']['message']
    assert cloud.action(server, rebuild={'imageRef': image, 'name': 'whole'}).status == 202
    cloud.wait_status(server, 'ACTIVE')


def test_bad_requests_change_nothing(cloud: Cloud, server: str, image: str) -> None:
    large = cloud.glance.add('large', min_disk=50)
    before = cloud.get(f'/servers/{server}')['server']
    missing = '6f70656e-7374-6163-6b20-342065766572'
    bad: list[tuple[dict[str, Any], int]] = [
        ({}, 400),
        ({'imageRef': missing}, 400),
        ({'imageRef': 'x'}, 400),
        ({'imageRef': large}, 400),
        ({'imageRef': image, 'key_name': 'nobodys'}, 400),
        ({'imageRef': image, 'flavorRef': '1'}, 400),
        ({'imageRef': image, 'metadata': {f'k{n}': 'v' for n in range(129)}}, 403),
    ]
    for body, status in bad:
        answer = cloud.action(server, rebuild=body)
        assert answer.status == status, (body, answer.text)
    assert cloud.get(f'/servers/{server}')['server'] == before
    path = f'/servers/{server}/action'
    body = {'rebuild': {'imageRef': image}}
    assert cloud.call('POST', path, body, token='mallory:evil').status == 404


def test_not_while_paused(cloud: Cloud, server: str, image: str) -> None:
    cloud.action(server, pause=None)
    cloud.wait_status(server, 'PAUSED')
    answer = cloud.action(server, rebuild={'imageRef': image})
    assert answer.status == 409
    assert 'while it is in vm_state paused' in answer.text


def test_an_image_that_forbids_to_partition_its_disk(
    cloud: Cloud, flavor: str, server: str
) -> None:
    fixed, path = cloud.glance.add('fixed', auto_disk_config='Disabled'), f'/servers/{server}'
    auto, bigger = {'OS-DCF:diskConfig': 'AUTO'}, cloud.flavor('bigger', disk=2)
    assert cloud.action(server, rebuild={'imageRef': fixed, **auto}).status == 400
    assert cloud.action(server, rebuild={'imageRef': fixed}).status == 202
    assert cloud.wait_status(server, 'ACTIVE')['image']['id'] == fixed
    for answer in (
        cloud.call('PUT', path, {'server': auto}),
        cloud.action(server, resize={'flavorRef': bigger, **auto}),
        cloud.action(server, rebuild={'imageRef': fixed, **auto}),
    ):
        assert answer.status == 400
        assert f'image {fixed} has automatic disk resize disabled' in answer.text
    assert cloud.get(path)['server']['OS-DCF:diskConfig'] == 'MANUAL'
