"""os-hosts, and images that an aggregate's hosts are to fetch."""

from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.clients import keystone
from kilonova.common.objects.host import Amounts, HostResources
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.fake_conductor import FakeConductor
from kilonova.tests.unit.api.fellows import FakeAdapter, FakeGlance
from kilonova.tests.unit.api.frontdoor import Door

IMAGE = '70a599e0-31e7-49b7-b260-868f441e862b'


class Conductor(FakeConductor):
    """Remembers orders."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Any] = []
        self.error: Exception | None = None
        self.services[1].topic = self.services[2].topic = 'compute'
        self.services[0].topic = 'scheduler'

    def get_host_resources(self, context: Any, host: str) -> HostResources:
        if host != 'host1':
            raise exception.ComputeHostNotFound(host=host)
        return HostResources(
            total=Amounts(8, 8192, 100),
            used_now=Amounts(2, 1536, 10),
            used_max=Amounts(2, 1024, 10),
            projects={'p': Amounts(2, 1024, 10)},
        )

    def host_power_action(self, context: Any, host: str, action: str) -> str:
        self.orders.append((host, action))
        if self.error:
            raise self.error
        return action

    def set_host_maintenance(self, context: Any, host: str, on: bool) -> bool:
        self.orders.append((host, on))
        if self.error:
            raise self.error
        return on

    def cache_images(self, context: Any, aggregate_id: int, image_ids: list[str]) -> None:
        self.get_aggregate(context, aggregate_id)
        self.orders.append((aggregate_id, image_ids))


@pytest.fixture
def conductor() -> Conductor:
    return Conductor()


@pytest.fixture
def admin(conductor: Conductor) -> Door:
    return Door.open(conductor).as_user('admin:admin')


def _fits(path: str, method: str, answer: Any) -> None:
    operation = reference.operations('hosts.HostController')[method, path, None]
    reference.check(answer, reference.schema_for(operation, 'response', '2.1'))


def test_list(admin: Door) -> None:
    answer = admin.ok('GET', '/os-hosts')
    _fits('/os-hosts', 'GET', answer)
    assert answer['hosts'] == [
        {'host_name': 'ctl', 'service': 'scheduler', 'zone': 'internal'},
        {'host_name': 'host1', 'service': 'compute', 'zone': 'nova'},
    ]
    only = admin.ok('GET', '/os-hosts?zone=nova&other=1')['hosts']
    assert [one['host_name'] for one in only] == ['host1']
    assert admin.ok('GET', '/os-hosts?zone=nowhere') == {'hosts': []}


def test_show(admin: Door) -> None:
    answer = admin.ok('GET', '/os-hosts/host1')
    _fits('/os-hosts/{id}', 'GET', answer)
    rows = [one['resource'] for one in answer['host']]
    assert [row['project'] for row in rows] == ['(total)', '(used_now)', '(used_max)', 'p']
    assert rows[1] == {
        'host': 'host1', 'project': '(used_now)', 'cpu': 2, 'memory_mb': 1536, 'disk_gb': 10,
    }  # fmt: skip
    assert admin.refused('GET', '/os-hosts/nope') == 404


def test_update(admin: Door, conductor: Conductor) -> None:
    body = {'status': 'DISABLE', 'maintenance_mode': 'Enable'}
    answer = admin.ok('PUT', '/os-hosts/host1', body)
    _fits('/os-hosts/{id}', 'PUT', answer)
    assert answer == {
        'host': 'host1', 'status': 'disabled', 'maintenance_mode': 'on_maintenance',
    }  # fmt: skip
    assert conductor.services[1].disabled and conductor.orders == [('host1', True)]
    assert admin.ok('PUT', '/os-hosts/host1', {'status': 'enable'}) == {
        'host': 'host1', 'status': 'enabled',
    }  # fmt: skip
    assert admin.refused('PUT', '/os-hosts/nope', {'status': 'enable'}) == 404
    conductor.services[1].up = False
    assert admin.refused('PUT', '/os-hosts/host1', {'status': 'disable'}) == 400
    assert not conductor.services[1].disabled


@pytest.mark.parametrize('body', [{}, {'status': 'on'}, {'maintenance_mode': True}, {'x': 'enable'},
                                  {'status': 'enable', 'x': 1}])  # fmt: skip
def test_bad_update(admin: Door, conductor: Conductor, body: Any) -> None:
    assert admin.refused('PUT', '/os-hosts/host1', body) == 400
    assert not conductor.orders


@pytest.mark.parametrize('action', ['startup', 'shutdown', 'reboot'])
def test_power(admin: Door, conductor: Conductor, action: str) -> None:
    answer = admin.ok('GET', f'/os-hosts/host1/{action}')
    _fits(f'/os-hosts/{{id}}/{action}', 'GET', answer)
    assert answer == {'host': 'host1', 'power_action': action}
    conductor.error = exception.NotSupported(feature='power actions on hosts')
    assert admin.refused('GET', f'/os-hosts/host1/{action}') == 501
    conductor.error = exception.ComputeServiceUnavailable(host='host1')
    assert admin.refused('GET', f'/os-hosts/host1/{action}') == 400


def test_gone_since_2_43_and_not_for_users(admin: Door) -> None:
    for path in ('/os-hosts', '/os-hosts/host1', '/os-hosts/host1/reboot'):
        assert admin.at('2.42').ok('GET', path)
        assert admin.at('2.43').refused('GET', path) == 404
        assert admin.as_user('demo:demo').refused('GET', path) == 403


def test_cache_images(admin: Door, conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> None:
    known = FakeGlance()
    known.add(id=IMAGE)
    monkeypatch.setattr(keystone, 'adapter', lambda *_: FakeAdapter(known))
    conductor.create_aggregate(None, 'a', None)
    new, body = admin.at('2.81'), {'cache': [{'id': IMAGE}]}
    new.ok('POST', '/os-aggregates/1/images', body, status=202)
    assert conductor.orders == [(1, [IMAGE])]
    assert new.refused('POST', '/os-aggregates/2/images', body) == 404
    assert new.refused('POST', '/os-aggregates/x/images', body) == 400
    assert admin.at('2.80').refused('POST', '/os-aggregates/1/images', body) == 404
    assert new.as_user('demo:demo').refused('POST', '/os-aggregates/1/images', body) == 403
    twice = {'cache': [{'id': IMAGE}, {'id': IMAGE}]}
    unknown = {'cache': [{'id': IMAGE}, {'id': IMAGE.replace('7', '8')}]}
    for bad in ({}, unknown, {'cache': []}, {'cache': [{'id': 'x'}]}, {'cache': [{}]}, twice):
        assert new.refused('POST', '/os-aggregates/1/images', bad) == 400
    assert len(conductor.orders) == 1
