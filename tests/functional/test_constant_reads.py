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
# A read is one call of the API to the conductor; for these the conductor asks a host in turn.
ASKED_OF_A_HOST = {
    '/servers/{server_id}/diagnostics',
    '/os-hypervisors/{hypervisor_id}',
    '/os-hypervisors/{hypervisor_id}/uptime',
    '/os-hosts/{host_name}/startup',
    '/os-hosts/{host_name}/shutdown',
    '/os-hosts/{host_name}/reboot',
}
# Every host is asked how long it has been up.
OF_EACH_HOST = ('/os-hypervisors/detail', '2.104')
TRIES = 3
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
            f'{route} {version}': _cost(cloud, crowd.path(route, version), version)
            for route, version in READS
        }
    finally:
        cloud.close()


def _cost(cloud: Cloud, path: str, version: str) -> tuple[int, Cost, list[str]]:
    cloud.call('GET', path, token=CALLER, version=version)  # what is looked up once is known now
    # What daemons do by themselves meanwhile is counted too, and only ever adds to it.
    return min(
        (_cost_once(cloud, path, version) for _ in range(TRIES)),
        key=lambda found: sum(found[1].values()),
    )


def _cost_once(cloud: Cloud, path: str, version: str) -> tuple[int, Cost, list[str]]:
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
    if (route.one.path, version) == OF_EACH_HOST:
        assert (few.pop('rpc'), many.pop('rpc')) == (1 + FEW, 1 + MANY)
        assert few == many
        return
    assert few == many
    assert len(rpc) <= (2 if route.one.path in ASKED_OF_A_HOST else 1), rpc


# Nothing is there to be read, or that may be read so, whatever there is else.
REFUSED = """
GET /servers/{server_id}/shares/{share_id} 2.97
GET /servers/{server_id}/shares/{share_id} 2.104
GET /servers/{server_id}/migrations/{migration_id} 2.23
GET /servers/{server_id}/migrations/{migration_id} 2.104
GET /os-console-auth-tokens/{console_token} 2.1
GET /kilonova/hosts/{host_name}/drain 2.1
GET /kilonova/hosts/{host_name}/drain 2.104
"""


def test_most_reads_are_answered(costs: Any) -> None:
    """A read that is refused proves nothing."""
    refused = {name for name, (status, _, _) in costs[1].items() if status not in (200, 204)}
    assert sorted(refused ^ set(REFUSED.strip().splitlines())) == []
