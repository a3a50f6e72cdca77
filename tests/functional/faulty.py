"""What the tests of failing fellow services have in common."""

from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.tests.functional.cloud import Answer, Cloud, wait

CLOUD: dict[str, Any] = {
    'hosts': 2,
    'extra': """
[glance]
timeout = 2
[neutron]
timeout = 2
[placement]
timeout = 2
""",
}
HANG = 3.0


@pytest.fixture(autouse=True)
def nothing_left(cloud: Cloud) -> Iterator[None]:
    """Mend everything, delete all servers, and look for what is left of them."""
    yield
    cloud.glance.mend()
    cloud.neutron.mend()
    cloud.placement.intercept = None
    cloud.neutron.port_quota = 1000
    servers = cloud.get('/servers?all_tenants=1', token='admin:admin')['servers']
    for server in servers:
        assert cloud.admin('DELETE', f'/servers/{server["id"]}').status == 204
    for server in servers:
        cloud.wait_gone(server['id'])
    wait(lambda: cloud.placement.usages() == {}, 'nothing is allocated')
    ports = list(cloud.neutron.ports.values())
    cloud.neutron.ports.clear()
    assert [port for port in ports if port['device_id'] not in ('', 'another')] == []
    used = cloud.get('/os-quota-sets/demo/detail')['quota_set']
    assert [used[name]['in_use'] for name in ('instances', 'cores', 'ram')] == [0, 0, 0]


@pytest.fixture
def network(cloud: Cloud) -> str:
    return cloud.neutron.add_network()


def ask(cloud: Cloud, flavor: str, image: str, networks: Any = 'none', **more: Any) -> Answer:
    server = {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': networks, **more}
    return cloud.call('POST', '/servers', {'server': server})
