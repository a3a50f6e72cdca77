"""What a published example is sent to: the state of the cloud that it presumes."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

from kilonova.api.versions import Version
from kilonova.common import version
from kilonova.common.context import get_admin_context
from kilonova.tests.functional import routes
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.routes import CALLER, Things
from kilonova.tests.functional.samples import NO_SAMPLE

MEMBER = 'demo:demo'


@dataclasses.dataclass
class Ready:
    """A prepared cloud: what stands in paths and queries, what in bodies, and who asks."""

    path: dict[str, str] = dataclasses.field(default_factory=dict)
    words: dict[str, Any] = dataclasses.field(default_factory=dict)
    token: str = CALLER


class World:
    """One cloud with one of each kind, and more made as the examples need them."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.things = cloud, Things.make(cloud)
        self._numbers = itertools.count()
        self.after: list[Callable[[], Any]] = []
        cloud.neutron.automatic_network = self.things.network
        limits = {'instances': -1, 'cores': -1, 'ram': -1}
        cloud.admin('PUT', '/os-quota-sets/demo', {'quota_set': limits})

    def ready(self, state: str, asked: Version) -> Ready:
        """Bring the cloud into a state; returns what to ask with."""
        made = PREPARE[state](self, asked)
        return dataclasses.replace(made, path={**routes.arguments(self.things), **made.path})

    def tidy(self) -> None:
        """Delete the servers that examples were tried on, and undo what else they did."""
        while self.after:
            self.after.pop()()
        servers = self.cloud.get('/servers?all_tenants=1', token=CALLER)['servers']
        gone = [one['id'] for one in servers if one['id'] != self.things.server]
        for uuid in gone:
            assert self.cloud.admin('DELETE', f'/servers/{uuid}').status in (204, 404)
        for uuid in gone:
            self.cloud.wait_gone(uuid)

    def name(self) -> str:
        return f'made-{next(self._numbers)}'

    def ask(self, method: str, path: str, body: Any = None, version: str = '2.90') -> Any:
        """Ask as the administrator for what has to work; returns the answer's JSON."""
        answer = self.cloud.call(method, path, body, token=CALLER, version=version)
        assert answer.status < 300, answer.text
        return answer.json if answer.text else None

    def server(self, status: str = 'ACTIVE', **fields: Any) -> str:
        """Boot a server with everything on, and bring it to a status."""
        networks = [{'uuid': self.things.network}]
        uuid = self.cloud.boot(
            self.things.flavor, self.things.image, networks,
            metadata={'known': '1'}, tags=['known'], **fields,
        )  # fmt: skip
        self.cloud.wait_status(uuid, 'ACTIVE')
        for body in _WAY[status]:
            self.ask('POST', f'/servers/{uuid}/action', body)
            self.cloud.wait_status(uuid, *_PASSED, status)
        return uuid


_PASSED = ('SHUTOFF', 'VERIFY_RESIZE')
_WAY: dict[str, list[dict[str, Any]]] = {
    'ACTIVE': [],
    'SHUTOFF': [{'os-stop': None}],
    'PAUSED': [{'pause': None}],
    'SUSPENDED': [{'suspend': None}],
    'RESCUE': [{'rescue': None}],
    'SHELVED_OFFLOADED': [{'shelve': None}],
}


def _nothing(_world: World, _asked: Version) -> Ready:
    return Ready()


def _as_member(_world: World, _asked: Version) -> Ready:
    return Ready(token=MEMBER)


def _in_status(status: str) -> Callable[[World, Version], Ready]:
    def prepare(world: World, _asked: Version) -> Ready:
        return Ready({'server_id': world.server(status)})

    return prepare


def _stopped(world: World, _asked: Version) -> Ready:
    """A server with two actions, of which the newer one is the marker."""
    uuid = world.server('SHUTOFF')
    actions = world.ask('GET', f'/servers/{uuid}/os-instance-actions')['instanceActions']
    return Ready({'server_id': uuid, 'action': actions[0]['request_id']})


def _soft_deleted(world: World, _asked: Version) -> Ready:
    uuid = world.server()
    world.cloud.conf.set_override('reclaim_instance_interval', 3600)
    world.ask('DELETE', f'/servers/{uuid}')
    world.cloud.wait_status(uuid, 'SOFT_DELETED')
    world.cloud.conf.clear_override('reclaim_instance_interval')
    return Ready({'server_id': uuid})


def _image(world: World, _asked: Version) -> Ready:
    made = world.cloud.glance.add(kernel_id='nokernel', auto_disk_config='True')
    return Ready({'image_id': made, 'key': 'auto_disk_config'})


def _share(world: World, _asked: Version) -> Ready:
    return Ready({'server_id': world.server('SHUTOFF')}, {'share_id': world.cloud.manila.add()})


def _share_attached(world: World, asked: Version) -> Ready:
    made = _share(world, asked)
    path = f'/servers/{made.path["server_id"]}/shares'
    world.ask('POST', path, {'share': made.words}, version='2.97')
    wait(
        lambda: (
            [one['status'] for one in world.ask('GET', path, version='2.97')['shares']]
            == ['inactive']
        ),
        'the share is attached',
    )
    return Ready({**made.path, **made.words})


# -- flavors


def _flavor(world: World, _asked: Version) -> Ready:
    return Ready({'flavor_id': world.cloud.flavor(world.name())})


def _private_flavor(world: World, _asked: Version) -> Ready:
    made = world.cloud.flavor(world.name(), **{'os-flavor-access:is_public': False})
    return Ready({'flavor_id': made})


def _granted(world: World, asked: Version) -> Ready:
    made = _private_flavor(world, asked)
    access = {'addTenantAccess': {'tenant': 'fake-tenant'}}
    world.ask('POST', f'/flavors/{made.path["flavor_id"]}/action', access)
    return made


def _extra_specs(world: World, asked: Version) -> Ready:
    made = _flavor(world, asked)
    specs = {'extra_specs': {'hw:numa_nodes': '1'}}
    world.ask('POST', f'/flavors/{made.path["flavor_id"]}/os-extra_specs', specs)
    return dataclasses.replace(made, path={**made.path, 'key': 'hw:numa_nodes'})


def _no_flavor(world: World, _asked: Version) -> Ready:
    for flavor in world.ask('GET', '/flavors?is_public=None')['flavors']:
        if flavor['id'] not in ('plain', world.things.private_flavor):
            world.ask('DELETE', f'/flavors/{flavor["id"]}')
    return Ready()


# -- aggregates, hypervisors, services


def _no_aggregate(world: World, _asked: Version) -> Ready:
    for one in world.ask('GET', '/os-aggregates')['aggregates']:
        if str(one['id']) != world.things.aggregate:
            for host in one['hosts']:
                body = {'remove_host': {'host': host}}
                world.ask('POST', f'/os-aggregates/{one["id"]}/action', body)
            world.ask('DELETE', f'/os-aggregates/{one["id"]}')
    return Ready()


def _aggregate(world: World, asked: Version) -> Ready:
    _no_aggregate(world, asked)
    body = {'aggregate': {'name': world.name(), 'availability_zone': 'nova'}}
    made = world.ask('POST', '/os-aggregates', body)['aggregate']
    return Ready({'aggregate_id': str(made['id'])})


def _aggregate_with_host(world: World, asked: Version) -> Ready:
    made = _aggregate(world, asked)
    body = {'add_host': {'host': world.things.host}}
    world.ask('POST', f'/os-aggregates/{made.path["aggregate_id"]}/action', body)
    return made


def _hypervisor(world: World, asked: Version) -> Ready:
    """Hypervisors are numbered below 2.53."""
    if asked >= (2, 53):
        return Ready()
    found = world.ask('GET', '/os-hypervisors', version='2.1')['hypervisors']
    return Ready({'hypervisor_id': str(found[0]['id'])})


def _old_service(world: World, asked: Version) -> Ready:
    """A host that reported once and is no more."""
    made = world.cloud.all.client.service_started(
        get_admin_context(), world.name(), 'nova-compute', 'compute', version.SERVICE_VERSION
    )
    number = str(made.id if asked < (2, 53) else made.uuid)
    return Ready({'service_id': number, 'what': number}, {'host': made.host})


def _service(verb: str) -> Callable[[World, Version], Ready]:
    """Below 2.53 the path says what to do and the body to whom."""

    def prepare(world: World, asked: Version) -> Ready:
        world.after.append(lambda: world.ask('PUT', path, {'status': 'enabled'}))
        path = f'/os-services/{world.things.service}'
        return Ready({'what': verb if asked < (2, 53) else world.things.service})

    return prepare


def _force_down(world: World, asked: Version) -> Ready:
    made = _old_service(world, asked)
    if asked < (2, 53):
        made.path['what'] = 'force-down'
    return made


def _audit(_world: World, _asked: Version) -> Ready:
    return Ready({'before_timestamp': '2100-01-01 00:00:00'})


# -- key pairs, quotas


def _keypair(world: World, asked: Version) -> Ready:
    _no_keypair(world, asked)
    name = world.name()
    world.ask('POST', '/os-keypairs', {'keypair': {'name': name, 'public_key': routes.KEY}})
    return Ready({'name': name})


def _no_keypair(world: World, _asked: Version) -> Ready:
    for user in ('admin', 'fake'):
        for one in world.ask('GET', f'/os-keypairs?user_id={user}')['keypairs']:
            name = one['keypair']['name']
            if name != 'known':
                path = name.replace('@', '%40').replace(' ', '%20')
                world.ask('DELETE', f'/os-keypairs/{path}?user_id={user}')
    return Ready()


def _no_quota(world: World, _asked: Version) -> Ready:
    world.ask('DELETE', '/os-quota-sets/fake_tenant')
    return Ready({'project_id': 'fake_tenant'})


def _group_to_join(world: World, _asked: Version) -> Ready:
    """The group that examples name may have gone with the examples of groups."""
    known = [one['id'] for one in world.ask('GET', '/os-server-groups')['server_groups']]
    if world.things.server_group not in known:
        body = {'name': world.name(), 'policies': ['affinity']}
        made = world.ask('POST', '/os-server-groups', {'server_group': body}, version='2.63')
        world.things.server_group = made['server_group']['id']
    return Ready()


def _server_group(world: World, _asked: Version) -> Ready:
    """The only one that there is."""
    for group in world.ask('GET', '/os-server-groups')['server_groups']:
        world.ask('DELETE', f'/os-server-groups/{group["id"]}')
    rules = {'max_server_per_host': 3}
    body = {'name': world.name(), 'policy': 'anti-affinity', 'rules': rules}
    made = world.ask('POST', '/os-server-groups', {'server_group': body})['server_group']
    return Ready({'server_group_id': made['id']})


def _class(_world: World, _asked: Version) -> Ready:
    return Ready({'name': 'test_class'})


def _meta_key(world: World, _asked: Version) -> Ready:
    return Ready({'server_id': world.server(), 'key': 'foo'})


Prepare = Callable[[World, Version], Ready]
PREPARE: dict[str, Prepare] = {
    NO_SAMPLE: _nothing,
    'server': _nothing,
    'create': _group_to_join,
    'member': _as_member,
    'stopped': _stopped,
    'meta-key': _meta_key,
    'SOFT_DELETED': _soft_deleted,
    'image': _image,
    'share': _share,
    'share-attached': _share_attached,
    'audit': _audit,
    'flavor': _flavor,
    'no-flavor': _no_flavor,
    'private-flavor': _private_flavor,
    'granted': _granted,
    'extra-specs': _extra_specs,
    'aggregate': _aggregate,
    'no-aggregate': _no_aggregate,
    'aggregate-with-host': _aggregate_with_host,
    'hypervisor': _hypervisor,
    'old-service': _old_service,
    'keypair': _keypair,
    'no-keypair': _no_keypair,
    'no-quota': _no_quota,
    'class': _class,
    'server-group': _server_group,
    **{f'service-{verb}': _service(verb)
       for verb in ('disable', 'disable-log-reason', 'enable')},
    'service-force-down': _force_down,
    **{status: _in_status(status) for status in _WAY},
}  # fmt: skip
