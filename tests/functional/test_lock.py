"""Locks and resets, as users and administrators see them."""

from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.unit.api.reference import sample

pytestmark = pytest.mark.usefixtures('clean')


def _server(cloud: Cloud, flavor: str, image: str) -> str:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def _act(
    cloud: Cloud, uuid: str, body: object, token: str = 'demo:demo', version: str = '2.90'
) -> int:
    path = f'/servers/{uuid}/action'
    return cloud.call('POST', path, body, token=token, version=version).status


def test_a_locked_server_is_left_alone(cloud: Cloud, flavor: str, image: str) -> None:
    uuid, other = _server(cloud, flavor, image), _server(cloud, flavor, image)
    body = sample('os-lock-server/v2.73/lock-server-with-reason.json')
    assert _act(cloud, uuid, body) == 202
    shown = cloud.get(f'/servers/{uuid}')['server']
    assert (shown['locked'], shown['locked_reason']) == (True, body['lock']['locked_reason'])
    assert 'locked_reason' not in cloud.get(f'/servers/{uuid}', version='2.72')['server']
    assert _act(cloud, uuid, {'os-stop': None}) == 409
    assert cloud.call('DELETE', f'/servers/{uuid}').status == 409

    def found(query: str, version: str = '2.90') -> list[str]:
        return [one['id'] for one in cloud.get(f'/servers?{query}', version=version)['servers']]

    assert found('locked=true') == [uuid] and found('locked=false') == [other]
    assert set(found('locked=true', '2.72')) == {uuid, other}
    assert found('sort_key=locked&sort_dir=desc') == [uuid, other]
    assert found('sort_key=locked&sort_dir=asc') == [other, uuid]

    assert _act(cloud, uuid, sample('os-lock-server/v2.73/unlock-server.json')) == 202
    assert _act(cloud, uuid, {'os-stop': None}) == 202
    cloud.wait_status(uuid, 'SHUTOFF')
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [one['action'] for one in actions] == ['stop', 'unlock', 'lock', 'create']


def test_who_may_unlock(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = _server(cloud, flavor, image)
    assert _act(cloud, uuid, {'lock': None}, token='admin:admin') == 202
    refused = cloud.action(uuid, unlock=None)
    assert refused.status == 403
    rule = 'os_compute_api:os-lock-server:unlock:unlock_override'
    assert rule in refused.json['forbidden']['message']
    assert cloud.get(f'/servers/{uuid}')['server']['locked']
    assert _act(cloud, uuid, {'unlock': None}, token='admin:admin') == 202
    assert _act(cloud, uuid, {'lock': None}, version='2.1') == 202
    assert _act(cloud, uuid, {'unlock': None}, token='admin:admin') == 202
    assert not cloud.get(f'/servers/{uuid}')['server']['locked']
    for body in ({'lock': None}, {'unlock': None}):
        assert _act(cloud, uuid, body, token='mallory:evil') == 404


def test_bad_bodies(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = _server(cloud, flavor, image)
    bad: list[Any] = [{'locked_reason': ''}, {'locked_reason': 'x' * 256}, {'why': 'x'}, 'x', []]
    for lock in bad:
        assert _act(cloud, uuid, {'lock': lock}) == 400
    assert _act(cloud, uuid, {'lock': {'locked_reason': 'x'}}, version='2.72') == 202
    shown = cloud.get(f'/servers/{uuid}')['server']
    assert (shown['locked'], shown['locked_reason']) == (True, None)
    for state in ({}, {'state': 'deleted'}, {'state': None}, None):
        assert _act(cloud, uuid, {'os-resetState': state}, token='admin:admin') == 400


def test_reset_state(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = _server(cloud, flavor, image)
    assert _act(cloud, uuid, {'os-resetState': {'state': 'error'}}) == 403
    assert _act(cloud, uuid, {'os-resetState': {'state': 'error'}}, token='mallory:evil') == 404
    assert _act(cloud, uuid, {'os-resetState': {'state': 'error'}}, token='admin:admin') == 202
    assert cloud.get(f'/servers/{uuid}')['server']['status'] == 'ERROR'
    assert _act(cloud, uuid, {'os-resetState': {'state': 'active'}}, token='admin:admin') == 202
    shown = cloud.get(f'/servers/{uuid}')['server']
    assert (shown['status'], shown['OS-EXT-STS:task_state']) == ('ACTIVE', None)
    actions = cloud.get(f'/servers/{uuid}/os-instance-actions')['instanceActions']
    assert [one['action'] for one in actions] == ['resetState', 'resetState', 'create']
    shown = cloud.get(f'/servers/{uuid}/os-instance-actions/{actions[0]["request_id"]}')
    assert shown['instanceAction']['events'] == []
