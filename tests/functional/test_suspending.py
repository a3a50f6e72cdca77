"""Pause and suspend, and what is in the way of them."""

import pytest

from kilonova.tests.functional.cloud import Cloud

CLOUD = {'hosts': 1, 'extra': '[fake_driver]\nfail_power = */stubborn\n'}
pytestmark = pytest.mark.usefixtures('clean')


def test_pause_and_suspend(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    for action, status, power in (
        ('pause', 'PAUSED', 3),
        ('unpause', 'ACTIVE', 1),
        ('suspend', 'SUSPENDED', 7),
        ('resume', 'ACTIVE', 1),
    ):
        with cloud.counted() as counts:
            answer = cloud.action(uuid, **{action: None})
            assert answer.status == 202, answer.text
            server = cloud.wait_status(uuid, status)
        assert server['OS-EXT-STS:power_state'] == power
        sent = [message for message in counts.rpc if message != 'call get_server']
        assert sent == [f'call {action}_server', 'cast perform', 'call work_finished']
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [a['action'] for a in actions] == ['resume', 'suspend', 'unpause', 'pause', 'create']
    path = f'/servers/{uuid}/os-instance-actions/{actions[-2]["request_id"]}'
    (event,) = cloud.get(path)['instanceAction']['events']
    assert (event['event'], event['result']) == ('compute_pause_instance', 'Success')


@pytest.mark.parametrize('action', ['unpause', 'resume'])
def test_what_runs_cannot_be_woken(cloud: Cloud, flavor: str, image: str, action: str) -> None:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    answer = cloud.action(uuid, **{action: None})
    assert answer.status == 409
    assert answer.json['conflictingRequest']['message'] == (
        f"Cannot '{action}' instance {uuid} while it is in vm_state active"
    )


def test_a_failure_leaves_the_server_as_it_was(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = cloud.boot(flavor, image, name='stubborn')
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, pause=None).status == 202
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['OS-EXT-STS:power_state'] == 1
    (action, _) = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert (action['action'], action['message']) == ('pause', 'Error')
