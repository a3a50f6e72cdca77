"""Answers against the published response schemas, at both ends of every range."""

import uuid
from typing import Any

import pytest

from kilonova.api import versions
from kilonova.common.objects.server_group import ServerGroup
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.api import Api
from kilonova.tests.unit.api.fake_conductor import SERVER
from kilonova.tests.unit.api.test_keypairs import PUBLIC

NODE = str(uuid.UUID(int=101))
GROUP = '33333333-3333-3333-3333-333333333333'
HOST = {'host': 'host1', 'binary': 'nova-compute'}
FLAVOR = {'name': 'n', 'ram': 1, 'vcpus': 1, 'disk': 1}

# controller, path of the table, action, path, body; {node} and {service} are a number or a uuid
CASES: list[tuple[str, str, str, str | None, str, Any]] = [
    ('flavors.FlavorsController', 'GET', '/flavors', None, '/flavors?limit=1', None),
    ('flavors.FlavorsController', 'GET', '/flavors/detail', None, '/flavors/detail?limit=1', None),
    ('flavors.FlavorsController', 'GET', '/flavors/{id}', None, '/flavors/1', None),
    ('flavors.FlavorsController', 'POST', '/flavors', None, '/flavors', {'flavor': FLAVOR}),
    ('flavors.FlavorsController', 'PUT', '/flavors/{id}', None, '/flavors/1',
     {'flavor': {'description': 'd'}}),
    ('flavor_access.FlavorAccessController', 'GET', '/flavors/{flavor_id}/os-flavor-access', None,
     '/flavors/2/os-flavor-access', None),
    ('flavor_access.FlavorActionController', 'POST', '/flavors/{id}/action', 'addTenantAccess',
     '/flavors/2/action', {'addTenantAccess': {'tenant': 't'}}),
    ('flavors_extraspecs.FlavorExtraSpecsController', 'GET', '/flavors/{flavor_id}/os-extra_specs',
     None, '/flavors/1/os-extra_specs', None),
    ('flavors_extraspecs.FlavorExtraSpecsController', 'POST', '/flavors/{flavor_id}/os-extra_specs',
     None, '/flavors/1/os-extra_specs', {'extra_specs': {'a': 'b'}}),
    ('keypairs.KeypairController', 'GET', '/os-keypairs', None, '/os-keypairs', None),
    ('keypairs.KeypairController', 'GET', '/os-keypairs/{id}', None, '/os-keypairs/mine', None),
    ('keypairs.KeypairController', 'POST', '/os-keypairs', None, '/os-keypairs',
     {'keypair': {'name': 'new', 'public_key': PUBLIC}}),
    ('availability_zone.AvailabilityZoneController', 'GET', '/os-availability-zone', None,
     '/os-availability-zone', None),
    ('availability_zone.AvailabilityZoneController', 'GET', '/os-availability-zone/detail', None,
     '/os-availability-zone/detail', None),
    ('aggregates.AggregateController', 'GET', '/os-aggregates', None, '/os-aggregates', None),
    ('aggregates.AggregateController', 'GET', '/os-aggregates/{id}', None, '/os-aggregates/1', None),
    ('aggregates.AggregateController', 'POST', '/os-aggregates', None, '/os-aggregates',
     {'aggregate': {'name': 'second'}}),
    ('aggregates.AggregateController', 'PUT', '/os-aggregates/{id}', None, '/os-aggregates/1',
     {'aggregate': {'name': 'again'}}),
    ('aggregates.AggregateController', 'POST', '/os-aggregates/{id}/action', 'add_host',
     '/os-aggregates/1/action', {'add_host': {'host': 'host1'}}),
    ('services.ServiceController', 'GET', '/os-services', None, '/os-services', None),
    ('services.ServiceController', 'PUT', '/os-services/{id}', None, '/os-services/{enable}',
     None),
    ('hypervisors.HypervisorsController', 'GET', '/os-hypervisors', None, '/os-hypervisors', None),
    ('hypervisors.HypervisorsController', 'GET', '/os-hypervisors/detail', None,
     '/os-hypervisors/detail', None),
    ('hypervisors.HypervisorsController', 'GET', '/os-hypervisors/{id}', None,
     '/os-hypervisors/{node}', None),
    ('hypervisors.HypervisorsController', 'GET', '/os-hypervisors/{id}/uptime', None,
     '/os-hypervisors/{node}/uptime', None),
    ('hypervisors.HypervisorsController', 'GET', '/os-hypervisors/statistics', None,
     '/os-hypervisors/statistics', None),
    ('hypervisors.HypervisorsController', 'GET', '/os-hypervisors/{id}/search', None,
     '/os-hypervisors/host/search', None),
    ('hypervisors.HypervisorsController', 'GET', '/os-hypervisors/{id}/servers', None,
     '/os-hypervisors/host/servers', None),
    ('limits.LimitsController', 'GET', '/limits', None, '/limits', None),
    ('quota_sets.QuotaSetsController', 'GET', '/os-quota-sets/{id}', None, '/os-quota-sets/p', None),
    ('quota_sets.QuotaSetsController', 'GET', '/os-quota-sets/{id}/detail', None,
     '/os-quota-sets/p/detail', None),
    ('quota_sets.QuotaSetsController', 'GET', '/os-quota-sets/{id}/defaults', None,
     '/os-quota-sets/p/defaults', None),
    ('quota_sets.QuotaSetsController', 'PUT', '/os-quota-sets/{id}', None, '/os-quota-sets/p',
     {'quota_set': {'cores': 9}}),
    ('quota_classes.QuotaClassSetsController', 'GET', '/os-quota-class-sets/{id}', None,
     '/os-quota-class-sets/default', None),
    ('quota_classes.QuotaClassSetsController', 'PUT', '/os-quota-class-sets/{id}', None,
     '/os-quota-class-sets/default', {'quota_class_set': {'cores': 9}}),
    ('server_external_events.ServerExternalEventsController', 'POST', '/os-server-external-events',
     None, '/os-server-external-events',
     {'events': [{'name': 'network-changed', 'server_uuid': SERVER}]}),
    ('server_groups.ServerGroupController', 'GET', '/os-server-groups', None, '/os-server-groups',
     None),
    ('server_groups.ServerGroupController', 'GET', '/os-server-groups/{id}', None,
     f'/os-server-groups/{GROUP}', None),
    ('extension_info.ExtensionInfoController', 'GET', '/extensions', None, '/extensions', None),
    ('extension_info.ExtensionInfoController', 'GET', '/extensions/{id}', None,
     '/extensions/os-keypairs', None),
]  # fmt: skip


def _prepare(api: Api) -> None:
    api.conductor.__init__()
    api.call('POST', '/flavors', {'flavor': {**FLAVOR, 'id': '1'}})
    private = {**FLAVOR, 'id': '2', 'name': 'p', 'os-flavor-access:is_public': False}
    api.call('POST', '/flavors', {'flavor': private})
    api.call('POST', '/os-aggregates', {'aggregate': {'name': 'first', 'availability_zone': 'z'}})
    keypair = {'name': 'mine', 'public_key': PUBLIC}
    assert api.call('POST', '/os-keypairs', {'keypair': keypair}).status == 200
    owner = {'project_id': 'admin', 'user_id': 'admin'}
    group = ServerGroup(name='g', policy='affinity', members=[SERVER], **owner)
    api.conductor.groups[GROUP] = group
    group.uuid = GROUP


def _filled(path: str, body: Any, version: str) -> tuple[str, Any]:
    is_new = versions.parse(version) >= (2, 53)
    if '{enable}' in path:
        service = str(uuid.UUID(int=2))
        return (
            path.replace('{enable}', service if is_new else 'enable'),
            {'status': 'enabled'} if is_new else HOST,
        )
    return path.replace('{node}', NODE if is_new else '1'), body


@pytest.mark.parametrize(
    'controller, method, table_path, action, path, body',
    CASES,
    ids=[f'{case[1]} {case[2]} {case[3] or ""}' for case in CASES],
)
def test_answer_fits(
    api: Api,
    controller: str,
    method: str,
    table_path: str,
    action: str | None,
    path: str,
    body: Any,
) -> None:
    operation = reference.operations(controller)[method, table_path, action]
    since = versions.parse(operation['min_version'] or '2.1')
    until = versions.parse(operation['max_version'] or str(versions.MAX))
    tried = 0
    for version in reference.boundaries(operation, 'response'):
        if not since <= versions.parse(version) <= until:
            continue
        _prepare(api)
        real_path, real_body = _filled(path, body, version)
        answer = api.call(method, real_path, real_body, version=version)
        assert answer.status in (200, 201), (version, answer.body)
        reference.check(answer.json, reference.schema_for(operation, 'response', version))
        tried += 1
    assert tried
