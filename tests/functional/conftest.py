"""One cloud a module; tests clean up the servers that they make."""

import pathlib
from collections.abc import Iterator

import pytest

from kilonova.tests.functional import snapshot
from kilonova.tests.functional.clients import Clients, OpenStack
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.routes import Things


@pytest.fixture(scope='module')
def cloud(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Cloud]:
    folder: pathlib.Path = tmp_path_factory.mktemp('cloud')
    made = Cloud(folder, **getattr(request.module, 'CLOUD', {}))
    yield made
    made.close()


@pytest.fixture(scope='module')
def flavor(cloud: Cloud) -> str:
    return cloud.flavor()


@pytest.fixture(scope='module')
def image(cloud: Cloud) -> str:
    return cloud.glance.add()


@pytest.fixture(scope='module')
def things(cloud: Cloud) -> Things:
    """One of each kind; a module that needs more has its own."""
    return Things.make(cloud)


@pytest.fixture
def unchanged(cloud: Cloud, things: Things) -> Iterator[None]:
    """See that a test's requests change nothing."""
    before = snapshot.settled(cloud)
    yield
    assert snapshot.changed(before, snapshot.take(cloud)) == {}


@pytest.fixture(scope='module')
def clients(cloud: Cloud) -> Iterator[Clients]:
    made = Clients(cloud)
    yield made
    made.close()


@pytest.fixture(scope='module')
def demo(clients: Clients) -> OpenStack:
    """The command ``openstack`` as a member of the project demo."""
    return clients.openstack('demo')


@pytest.fixture(scope='module')
def admin(clients: Clients) -> OpenStack:
    return clients.openstack('admin')


@pytest.fixture
def clean(cloud: Cloud) -> Iterator[None]:
    """Delete every server after the test, and see that nothing is left of them."""
    yield
    servers = cloud.get('/servers?all_tenants=1', token='admin:admin')['servers']
    deferred = '/servers?all_tenants=1&status=SOFT_DELETED'
    servers += cloud.get(deferred, token='admin:admin')['servers']
    for server in servers:
        path = f'/servers/{server["id"]}/action'
        assert cloud.admin('POST', path, {'forceDelete': None}).status == 202
    for server in servers:
        cloud.wait_gone(server['id'])
    # A claim that was under way when its server was deleted is given back a little later.
    wait(lambda: cloud.placement.usages() == {}, 'nothing is claimed')
    assert not [p for p in cloud.neutron.ports.values() if p['device_id']]
