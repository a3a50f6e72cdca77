"""No read costs more messages, statements or requests to others when there is more to read."""

import pathlib
from typing import Any

import pytest

from kilonova.tests.functional import routes, snapshot
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.crowd import CONF, Crowd
from kilonova.tests.functional.routes import CALLER, Route

Cost = dict[str, int]
FEW, MANY = 2, 12
# Who asks a host or a service waits for one more message.
ASK_HOSTS = {
    '/servers/{server_id}/diagnostics',
    '/os-hypervisors/{hypervisor_id}/uptime',
    '/os-console-auth-tokens/{console_token}',
}
READS = [
    (route, version) for route in routes.READS for version in sorted({route.oldest, route.version})
]


def _costs(folder: pathlib.Path, number: int) -> dict[str, tuple[int, Cost, list[str]]]:
    folder.mkdir()
    cloud = Cloud(folder, hosts=number, extra=CONF)
    try:
        crowd = Crowd(cloud, number)
        snapshot.settled(cloud)
        return {
            f'{route} {version}': _cost(cloud, crowd.path(route), version)
            for route, version in READS
        }
    finally:
        cloud.close()


def _cost(cloud: Cloud, path: str, version: str) -> tuple[int, Cost, list[str]]:
    cloud.call('GET', path, token=CALLER, version=version)  # what is looked up once is known now
    before = _asked(cloud)
    with cloud.counted() as counts:
        answer = cloud.call('GET', path, token=CALLER, version=version)
    after = _asked(cloud)
    cost = {name: after[name] - before[name] for name in before}
    return answer.status, {'rpc': len(counts.rpc), 'sql': len(counts.sql), **cost}, counts.rpc


def _asked(cloud: Cloud) -> Cost:
    fellows: dict[str, Any] = {
        'glance': cloud.glance, 'neutron': cloud.neutron, 'cinder': cloud.cinder,
        'placement': cloud.placement,
    }  # fmt: skip
    return {name: len(one.requests) for name, one in fellows.items()}


@pytest.fixture(scope='module')
def costs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp('crowds')
    return [_costs(folder / str(number), number) for number in (FEW, MANY)]


@pytest.mark.parametrize('route, version', READS, ids=str)
def test_a_read_costs_the_same(costs: Any, route: Route, version: str) -> None:
    (status, few, rpc), (same, many, _) = (one[f'{route} {version}'] for one in costs)
    assert status == same
    assert few == many
    assert len(rpc) <= 1 + (route.one.path in ASK_HOSTS), rpc


def test_most_reads_are_answered(costs: Any) -> None:
    """A read that is refused proves nothing."""
    refused = {name for name, (status, _, _) in costs[1].items() if status != 200}
    assert refused == set()
