"""Deletions that fail: they go on by themselves, and nothing is lost on the way."""

import time
from typing import Any

import pytest

from kilonova.tests.functional import faulty
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.faulty import HANG, ask

CLOUD = faulty.CLOUD
network, nothing_left = faulty.network, faulty.nothing_left


@pytest.mark.parametrize('what', ['DELETE /v2.0/ports', 'GET /v2.0/ports'])
@pytest.mark.parametrize('status, delay', [(500, 0), (504, HANG)])
def test_neutron_fails_at_delete(
    cloud: Cloud, flavor: str, image: str, network: str, what: str, status: int, delay: float
) -> None:
    uuid = ask(cloud, flavor, image, [{'uuid': network}]).json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    cloud.neutron.break_with(status, what, delay)
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    event = wait(lambda: failed_deletion(cloud, uuid), 'the host has tried', 60)
    assert 'Deleting on host' in event['details']
    server = cloud.get(f'/servers/{uuid}')['server']
    assert (server['status'], server['OS-EXT-STS:task_state']) == ('ACTIVE', 'deleting')
    # It is still counted, and has what it had: nothing was lost on the way.
    assert uuid in cloud.placement.usages()
    assert cloud.get('/limits')['limits']['absolute']['totalInstancesUsed'] == 1
    cloud.neutron.mend()
    cloud.wait_gone(uuid, 60)  # nobody asks again


def failed_deletion(cloud: Cloud, uuid: str) -> Any:
    """Return the first failed event of the deletion, as administrators see it."""
    path = f'/servers/{uuid}/os-instance-actions'
    (action,) = (one for one in cloud.get(path)['instanceActions'] if one['action'] == 'delete')
    found = cloud.get(f'{path}/{action["request_id"]}', token='admin:admin')['instanceAction']
    return next((event for event in found['events'] if event['result'] == 'Error'), None)


def test_a_second_request_ends_the_pause_of_a_deletion(
    cloud: Cloud, flavor: str, image: str, network: str
) -> None:
    uuid = ask(cloud, flavor, image, [{'uuid': network}]).json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    cloud.neutron.break_with(503, 'DELETE /v2.0/ports')
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204

    def attempts() -> int:
        return len([one for one in cloud.neutron.requests if one == ('DELETE', port)])

    (port_id,) = cloud.neutron.ports
    port = f'/v2.0/ports/{port_id}'
    wait(lambda: attempts() >= 3, 'the pause is 8 seconds by now', 60)
    cloud.neutron.mend()
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid, 4)


def test_placement_fails_at_delete(cloud: Cloud, flavor: str, image: str) -> None:
    """The server goes; its claim follows as soon as placement listens."""
    uuid = ask(cloud, flavor, image).json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    down = [True]

    def intercept(method: str, path: str) -> tuple[int, str, str] | None:
        broken = down[0] and method == 'DELETE'
        return (503, 'broken', 'on purpose') if broken else None

    cloud.placement.intercept = intercept
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    time.sleep(1)
    down[0] = False
    cloud.wait_gone(uuid, seconds=60)
    wait(lambda: cloud.placement.usages() == {}, 'the claim is given back', 90)
