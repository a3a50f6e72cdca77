"""A server from its request to its end, through every daemon."""

import base64

import pytest

from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {
    'hosts': 2,
    'extra': '[fake_driver]\nfail_spawn = */bad-*, controller-1/half-*\n',
}
pytestmark = pytest.mark.usefixtures('clean')


def test_boot_show_power_delete(cloud: Cloud, flavor: str, image: str) -> None:
    network = cloud.neutron.add_network()
    uuid = cloud.boot(flavor, image, [{'uuid': network}], metadata={'a': 'b'}, tags=['x'])
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['OS-EXT-STS:vm_state'] == 'active'
    assert server['OS-EXT-STS:power_state'] == 1
    assert server['OS-SRV-USG:launched_at'] is not None
    assert server['metadata'] == {'a': 'b'}
    assert server['tags'] == ['x']
    (port,) = cloud.neutron.ports.values()
    assert port['device_id'] == uuid
    (address,) = server['addresses']['private']
    assert address['addr'] == port['fixed_ips'][0]['ip_address']
    assert address['OS-EXT-IPS-MAC:mac_addr'] == port['mac_address']
    assert cloud.placement.usages() == {uuid: {'VCPU': 1, 'MEMORY_MB': 512, 'DISK_GB': 1}}

    assert cloud.action(uuid, **{'os-stop': None}).status == 202
    assert cloud.wait_status(uuid, 'SHUTOFF')['OS-EXT-STS:power_state'] == 4
    assert cloud.action(uuid, **{'os-stop': None}).status == 409
    assert cloud.action(uuid, **{'os-start': None}).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, reboot={'type': 'SOFT'}).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    answer = cloud.action(uuid, **{'os-getConsoleOutput': {'length': 5}})
    assert answer.status == 200 and answer.json['output']

    assert cloud.call('DELETE', f'/servers/{uuid}').status == 204
    cloud.wait_gone(uuid)
    assert cloud.placement.usages() == {}
    assert cloud.neutron.ports == {}


def test_actions_are_kept_with_events(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    (action,) = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert action['action'] == 'create'
    shown = cloud.get(f'/servers/{uuid}/os-instance-actions/{action["request_id"]}')
    events = shown['instanceAction']['events']
    assert [e['result'] for e in events] == ['Success'] * len(events)
    assert 'compute__do_build_and_run_instance' in [e['event'] for e in events]
    cloud.call('DELETE', f'/servers/{uuid}')
    cloud.wait_gone(uuid)
    kept = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [a['action'] for a in kept] == ['delete', 'create']


def test_many_at_once(cloud: Cloud, flavor: str, image: str) -> None:
    body = {
        'server': {
            'name': 'many', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none',
            'min_count': 3, 'max_count': 3, 'return_reservation_id': True,
        }
    }  # fmt: skip
    answer = cloud.call('POST', '/servers', body)
    assert answer.status == 202
    found = cloud.get(f'/servers?reservation_id={answer.json["reservation_id"]}')['servers']
    assert sorted(s['name'] for s in found) == ['many-1', 'many-2', 'many-3']
    for server in found:
        cloud.wait_status(server['id'], 'ACTIVE')


def test_user_data_and_config_drive(cloud: Cloud, flavor: str, image: str) -> None:
    data = base64.b64encode(b'#!/bin/sh\necho hello\n').decode()
    uuid = cloud.boot(flavor, image, user_data=data, config_drive=True)
    server = cloud.wait_status(uuid, 'ACTIVE')
    assert server['config_drive'] == 'True'
    assert server['OS-EXT-SRV-ATTR:user_data'] == data


def test_no_host_is_large_enough(cloud: Cloud, image: str) -> None:
    big = cloud.flavor('big', vcpus=100000)
    cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': {'cores': -1}})
    uuid = cloud.boot(big, image)
    server = cloud.wait_status(uuid, 'ERROR')
    assert server['fault']['code'] == 500
    assert 'No valid host was found' in server['fault']['message']
    assert server['OS-EXT-SRV-ATTR:host'] is None


def test_a_build_that_fails_everywhere_says_why(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = cloud.boot(flavor, image, name='bad-1')
    server = cloud.wait_status(uuid, 'ERROR', 'ACTIVE')
    assert server['status'] == 'ERROR'
    assert 'told to fail' in str(server['fault'])
    wait(lambda: cloud.placement.usages() == {}, 'the claim is given back')


def test_a_failed_build_tries_another_host(cloud: Cloud, flavor: str, image: str) -> None:
    uuids = [cloud.boot(flavor, image, name=f'half-{n}') for n in range(4)]
    for uuid in uuids:
        server = cloud.wait_status(uuid, 'ACTIVE', 'ERROR')
        assert (server['status'], server['OS-EXT-SRV-ATTR:host']) == ('ACTIVE', 'controller-2')
    assert len(cloud.placement.usages()) == 4


def test_scheduler_hints_are_kept_and_shown(cloud: Cloud, flavor: str, image: str) -> None:
    server = {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}
    hints = {'mine': {'a': [1, 'b']}, 'query': '[">=", "$free_ram_mb", 1]'}
    answer = cloud.call('POST', '/servers', {'server': server, 'os:scheduler_hints': hints})
    assert answer.status == 202, answer.text
    uuid = answer.json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    plain = cloud.boot(flavor, image)
    assert cloud.get(f'/servers/{uuid}', version='2.100')['server']['scheduler_hints'] == hints
    assert 'scheduler_hints' not in cloud.get(f'/servers/{uuid}', version='2.99')['server']
    detail = cloud.get('/servers/detail', version='2.100')['servers']
    assert {s['id']: s['scheduler_hints'] for s in detail} == {uuid: hints, plain: {}}
