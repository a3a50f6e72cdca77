"""Limits that Keystone keeps: enforced as ours are, shown, and not changed here."""

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common.clients import limits
from kilonova.tests.functional.cloud import Answer, Cloud, wait
from kilonova.tests.functional.routes import KEY

CLOUD: dict[str, Any] = {'hosts': 2, 'extra': '[quota]\ndriver = nova.quota.UnifiedLimitsDriver\n'}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(autouse=True)
def registered(cloud: Cloud) -> Iterator[None]:
    cloud.keystone.registered = {
        'servers': 10, 'class:VCPU': 20, 'class:MEMORY_MB': 51200, 'class:DISK_GB': 1000,
    }  # fmt: skip
    cloud.keystone.limits = {}
    cloud.keystone.model, cloud.keystone.parents = 'flat', {}
    yield
    cloud.keystone.mend()
    for option in ('resource_strategy', 'resource_list'):
        cloud.conf.clear_override(f'unified_limits_{option}', 'quota')


def _boot(cloud: Cloud, flavor: str, image: str, **fields: Any) -> Answer:
    server = {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none', **fields}
    return cloud.call('POST', '/servers', {'server': server})


def _refused(answer: Answer) -> str:
    assert answer.status == 403, answer.text
    return str(answer.json['forbidden']['message'])


def test_a_projects_own_limit(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.keystone.limits['demo', 'servers'] = 1
    assert _boot(cloud, flavor, image).status == 202
    assert _refused(_boot(cloud, flavor, image)) == (
        'Project demo is over a limit for [Resource servers is over limit of 1 due to current '
        'usage 1 and delta 1]'
    )
    cloud.keystone.limits['other', 'servers'] = 0
    cloud.keystone.limits['demo', 'servers'] = 2
    assert _boot(cloud, flavor, image).status == 202


def test_the_common_limit(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.keystone.registered['class:MEMORY_MB'] = 511
    assert 'class:MEMORY_MB is over limit of 511' in _refused(_boot(cloud, flavor, image))


@pytest.mark.parametrize(
    'strategy, listed, status',
    [('require', ['servers'], 403), ('require', ['class:VCPU'], 202),
     ('ignore', ['servers'], 202), ('ignore', ['class:VCPU'], 403)],
)  # fmt: skip
def test_what_is_not_registered(
    cloud: Cloud, flavor: str, image: str, strategy: str, listed: list[str], status: int
) -> None:
    del cloud.keystone.registered['servers']
    cloud.conf.set_override('unified_limits_resource_strategy', strategy, 'quota')
    cloud.conf.set_override('unified_limits_resource_list', listed, 'quota')
    assert _boot(cloud, flavor, image).status == status


def test_a_hundred_at_once(cloud: Cloud, flavor: str, image: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: _boot(cloud, flavor, image).status, range(100)))
    assert (found.count(202), found.count(403)) == (10, 90)


def test_a_check_costs_three_requests(cloud: Cloud, flavor: str, image: str) -> None:
    assert _boot(cloud, flavor, image).status == 202  # now it is known which service we are
    before = len(cloud.keystone.requests)
    assert _boot(cloud, flavor, image).status == 202
    asked = [path.partition('?')[0] for _, path, *_ in cloud.keystone.requests[before:]]
    assert sorted(asked) == ['/v3/limits', '/v3/limits/model', '/v3/registered_limits']


def test_per_request_limits(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.conf.set_override(
        'unified_limits_resource_list', ['server_key_pairs', 'server_metadata_items'], 'quota'
    )
    metadata = {'a': 'b'}
    nothing = 'is over limit of 0 due to current usage 0 and delta 1'
    refused = _refused(_boot(cloud, flavor, image, metadata=metadata))
    assert f'server_metadata_items {nothing}' in refused
    body = {'keypair': {'name': 'x', 'public_key': KEY}}
    refused = _refused(cloud.call('POST', '/os-keypairs', body))
    assert f'server_key_pairs {nothing}' in refused
    cloud.keystone.registered |= {'server_metadata_items': 1, 'server_key_pairs': 1}
    assert _boot(cloud, flavor, image, metadata=metadata).status == 202
    assert cloud.call('POST', '/os-keypairs', body).status == 201


def test_shown_and_not_changed(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.keystone.limits['demo', 'class:VCPU'] = 7
    assert _boot(cloud, flavor, image).status == 202
    shown = cloud.get('/os-quota-sets/demo/detail')['quota_set']
    assert shown['cores'] == {'limit': 7, 'in_use': 1, 'reserved': 0}
    assert shown['instances'] == {'limit': 10, 'in_use': 1, 'reserved': 0}
    assert cloud.get('/os-quota-sets/demo/defaults')['quota_set']['cores'] == 20
    assert cloud.get('/limits')['limits']['absolute']['maxTotalCores'] == 7
    update = cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': {'cores': 99}})
    assert (update.status, update.json['quota_set']['cores']) == (200, 7)
    update = cloud.admin('PUT', '/os-quota-class-sets/default', {'quota_class_set': {'cores': 9}})
    assert (update.status, update.json['quota_class_set']['cores']) == (200, 20)
    assert cloud.admin('DELETE', '/os-quota-sets/demo').status == 202


@pytest.mark.parametrize('broken', ['registered_limits', 'v3/limits'])
def test_without_keystone_nothing_is_begun(
    cloud: Cloud, flavor: str, image: str, broken: str
) -> None:
    cloud.keystone.break_with(503, broken)
    assert _boot(cloud, flavor, image).status == 503
    assert cloud.get('/servers')['servers'] == []


def test_our_endpoint_by_its_service(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.conf.set_override('endpoint_id', None, 'oslo_limit')
    cloud.conf.set_override('endpoint_service_type', 'compute', 'oslo_limit')
    cloud.conf.set_override('endpoint_region_name', 'region-one', 'oslo_limit')
    limits.forget()
    try:
        assert _boot(cloud, flavor, image).status == 202
        limits.forget()
        cloud.conf.set_override('endpoint_region_name', 'nowhere', 'oslo_limit')
        assert _boot(cloud, flavor, image).status == 503
    finally:
        for option in ('endpoint_id', 'endpoint_service_type', 'endpoint_region_name'):
            cloud.conf.clear_override(option, 'oslo_limit')
        limits.forget()


@pytest.mark.parametrize('name', ['class:DISK_GB', 'class:PCPU', 'class:CUSTOM_GOLD'])
def test_all_that_placement_counts_can_be_limited(cloud: Cloud, image: str, name: str) -> None:
    flavor = cloud.flavor(name, disk=7, vcpus=2)
    specs = {'hw:cpu_policy': 'dedicated', 'resources:CUSTOM_GOLD': '3'}
    assert (
        cloud.admin('POST', f'/flavors/{flavor}/os-extra_specs', {'extra_specs': specs}).status
        == 200
    )
    amount = {'class:DISK_GB': 7, 'class:PCPU': 2, 'class:CUSTOM_GOLD': 3}[name]
    cloud.keystone.registered[name] = amount * 2 - 1
    assert _boot(cloud, flavor, image).status == 202
    assert _refused(_boot(cloud, flavor, image)) == (
        f'Project demo is over a limit for [Resource {name} is over limit of {amount * 2 - 1} due '
        f'to current usage {amount} and delta {amount}]'
    )
    # Of dedicated CPUs none is a VCPU.
    cloud.keystone.registered |= {name: -1, 'class:VCPU': 0}
    assert _boot(cloud, flavor, image).status == 202


def test_a_parent_limits_what_its_children_take_together(
    cloud: Cloud, flavor: str, image: str
) -> None:
    cloud.keystone.model = 'strict_two_level'
    cloud.keystone.parents = {'demo': 'above', 'sister': 'above'}
    cloud.keystone.limits = {('above', 'servers'): 3, ('demo', 'servers'): 2}

    def boot(project: str) -> Answer:
        server = {'name': 'x', 'flavorRef': flavor, 'imageRef': image, 'networks': 'none'}
        return cloud.call('POST', '/servers', {'server': server}, token=f'demo:{project}')

    assert [boot('demo').status, boot('demo').status] == [202, 202]
    assert 'over limit of 2 due to current usage 2' in _refused(boot('demo'))
    assert boot('sister').status == 202
    assert 'over limit of 3 due to current usage 3' in _refused(boot('sister'))
    assert boot('stranger').status == 202


def _used(cloud: Cloud) -> tuple[int, int, int]:
    """Return how many servers, processors and megabytes count."""
    shown = cloud.get('/limits')['limits']['absolute']
    return shown['totalInstancesUsed'], shown['totalCoresUsed'], shown['totalRAMUsed']


def test_a_resize_claims_all_of_the_new_flavor(cloud: Cloud, image: str) -> None:
    small, large = cloud.flavor('small', disk=1), cloud.flavor('large', disk=5, vcpus=2)
    cloud.keystone.registered['class:DISK_GB'] = 5
    uuid = _boot(cloud, small, image).json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    assert _refused(cloud.action(uuid, resize={'flavorRef': large})) == (
        'Project demo is over a limit for [Resource class:DISK_GB is over limit of 5 due to '
        'current usage 1 and delta 5]'
    )
    assert _used(cloud) == (1, 1, 512)
    cloud.keystone.registered['class:DISK_GB'] = 6
    assert _boot(cloud, small, image, min_count=6, max_count=6).status == 403
    assert cloud.action(uuid, resize={'flavorRef': large}).status == 202
    cloud.wait_status(uuid, 'VERIFY_RESIZE')
    assert _used(cloud) == (1, 3, 1024)
    assert _boot(cloud, small, image).status == 403
    assert cloud.action(uuid, revertResize=None).status == 202
    cloud.wait_status(uuid, 'ACTIVE')
    assert _used(cloud) == (1, 1, 512)
    assert _boot(cloud, large, image).status == 202


def test_a_migration_claims_twice_until_it_is_confirmed(
    cloud: Cloud, flavor: str, image: str
) -> None:
    uuid = _boot(cloud, flavor, image).json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    # Who moves a server is an administrator, whom no limit of the project stops.
    cloud.keystone.registered['class:VCPU'] = 1
    assert cloud.admin('POST', f'/servers/{uuid}/action', {'migrate': None}).status == 202
    cloud.wait_status(uuid, 'VERIFY_RESIZE')
    assert _used(cloud) == (1, 2, 1024)
    assert cloud.action(uuid, confirmResize=None).status == 204
    cloud.wait_status(uuid, 'ACTIVE')
    assert _used(cloud) == (1, 1, 512)


def test_what_is_off_its_host_claims_nothing(cloud: Cloud, flavor: str, image: str) -> None:
    cloud.keystone.registered |= {'class:VCPU': 1, 'servers': 2}
    first = _boot(cloud, flavor, image).json['server']['id']
    cloud.wait_status(first, 'ACTIVE')
    assert cloud.action(first, shelve=None).status == 202
    cloud.wait_status(first, 'SHELVED_OFFLOADED')
    assert _used(cloud) == (1, 0, 0)
    second = _boot(cloud, flavor, image).json['server']['id']
    cloud.wait_status(second, 'ACTIVE')
    assert _refused(cloud.action(first, unshelve=None)) == (
        'Project demo is over a limit for [Resource class:VCPU is over limit of 1 due to '
        'current usage 1 and delta 1]'
    )
    cloud.wait_status(first, 'SHELVED_OFFLOADED')
    assert _used(cloud) == (2, 1, 512)
    assert cloud.call('DELETE', f'/servers/{second}').status == 204
    cloud.wait_gone(second)
    assert cloud.action(first, unshelve=None).status == 202
    cloud.wait_status(first, 'ACTIVE')
    assert _used(cloud) == (1, 1, 512)


def test_an_unshelving_without_a_host_gives_back(cloud: Cloud, flavor: str, image: str) -> None:
    uuid = _boot(cloud, flavor, image).json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    assert cloud.action(uuid, shelve=None).status == 202
    cloud.wait_status(uuid, 'SHELVED_OFFLOADED')
    services = cloud.admin('GET', '/os-services?binary=nova-compute').json['services']
    for one in services:
        assert cloud.admin('PUT', f'/os-services/{one["id"]}', {'status': 'disabled'}).status == 200
    try:
        assert cloud.action(uuid, unshelve=None).status == 202
        cloud.wait_status(uuid, 'SHELVED_OFFLOADED')
        assert _used(cloud) == (1, 0, 0)
        # Nor does what was never placed.
        other = _boot(cloud, flavor, image).json['server']['id']
        cloud.wait_status(other, 'ERROR')
        wait(lambda: _used(cloud) == (2, 0, 0), 'nothing is claimed')
    finally:
        for one in services:
            cloud.admin('PUT', f'/os-services/{one["id"]}', {'status': 'enabled'})
