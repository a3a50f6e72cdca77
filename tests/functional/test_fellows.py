"""Every route while the fellow services fail, in each way: 503 where they are needed, nothing half done."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional import routes, snapshot
from kilonova.tests.functional.checkpoint import Checkpoint
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.refusals import NAMES
from kilonova.tests.functional.routes import CALLER, Route, Things

HANG = 1.5
CLOUD: dict[str, Any] = {
    'hosts': 2,
    'extra': '\n'.join(
        f'[{name}]\ntimeout = 1' for name in ('glance', 'neutron', 'cinder', 'placement', 'manila')
    ),
}
WAYS: dict[str, dict[str, Any]] = {
    'error': {'status': 500},
    'unavailable': {'status': 503},
    'page': {'status': 200, 'raw': b'<html>'},
    'nothing': {'status': 200, 'raw': b''},
    'null': {'status': 200, 'raw': b'null'},
    'list': {'status': 200, 'raw': b'["x"]'},
    'lists': {'status': 200, 'raw': b'{"images": 1, "ports": "x", "volume": [], "networks": null}'},
    'refused': {'status': 401},
}
LONGEST = 12.0


@pytest.fixture(scope='module')
def before(cloud: Cloud, things: Things) -> Checkpoint:
    return Checkpoint(cloud)


@pytest.fixture
def mended(cloud: Cloud, before: Checkpoint) -> Iterator[None]:
    yield
    _mend(cloud)


def _break(cloud: Cloud, **how: Any) -> None:
    for fellow in (cloud.glance, cloud.neutron, cloud.cinder, cloud.manila):
        fellow.break_with(**how)
    body = how.get('raw', b'{"errors": []}').decode()
    cloud.placement.intercept = lambda *_: (how['status'], 'application/json', body)


def _mend(cloud: Cloud) -> None:
    for fellow in (cloud.glance, cloud.neutron, cloud.cinder, cloud.manila):
        fellow.mend()
    cloud.placement.intercept = None


def _ask(cloud: Cloud, things: Things, before: Checkpoint, route: Route, **how: Any) -> int:
    body = routes.bodies(things).get(route.key)
    held = snapshot.take(cloud)
    _break(cloud, **how)
    began = time.monotonic()
    answer = cloud.call(
        route.one.method, route.path(things), body, token=CALLER, version=route.version
    )
    took = time.monotonic() - began
    _mend(cloud)
    assert took < LONGEST, how
    assert answer.status < 500 or answer.status in (501, 503), (how, answer.text)
    assert answer.headers['x-openstack-request-id'].startswith('req-')
    if answer.status >= 400:
        ((name, fault),) = answer.json.items()
        assert fault['code'] == answer.status and fault['message']
        assert name == {501: 'notImplemented', 503: 'serviceUnavailable', **NAMES}[answer.status]
        assert snapshot.changed(held, snapshot.settled(cloud)) == {}, how
    elif route.one.method != 'GET':
        before.restore()
    return answer.status


@pytest.mark.parametrize('route', routes.ROUTES, ids=str)
def test_they_fail(
    cloud: Cloud, things: Things, before: Checkpoint, mended: None, route: Route
) -> None:
    for how in WAYS.values():
        _ask(cloud, things, before, route, **how)


NEEDS_A_FELLOW = [
    route for route in routes.ROUTES
    if route.one.path in ('/servers', '/images', '/os-networks', '/os-volumes', '/os-floating-ips')
    or route.one.path.endswith(('/os-interface', '/os-volume_attachments'))
    or route.one.action in ('createImage', 'rebuild', 'addFloatingIp', 'addSecurityGroup')
]  # fmt: skip


@pytest.mark.parametrize('route', NEEDS_A_FELLOW, ids=str)
def test_they_hang(
    cloud: Cloud, things: Things, before: Checkpoint, mended: None, route: Route
) -> None:
    _ask(cloud, things, before, route, status=200, delay=HANG)
