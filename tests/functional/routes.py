"""One valid request for every operation that exists: where bad input and policy tests start.

A new operation has to be entered here; ``test_bad_input`` fails until it is.
"""

import dataclasses
from typing import Any

from kilonova.api import operation, resources, versions
from kilonova.api.operation import Operation
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.proxied import Proxied

Key = tuple[str, str, str | None]
KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a@b'
NOBODY = '0f7b9b8c-1111-4222-8333-944445555666'
"""A UUID that nothing has."""

CALLER = 'admin:demo'
"""An administrator in the project that owns the server: what is refused is the input's fault."""


@dataclasses.dataclass
class Things:
    """What the requests are about: one of each kind."""

    server: str
    flavor: str
    private_flavor: str
    aggregate: str
    service: str
    hypervisor: str
    action: str
    image: str
    network: str
    port: str
    host: str
    volume: str
    snapshot: str
    server_group: str
    proxied: Proxied
    console_token: str

    @classmethod
    def make(cls, cloud: Cloud) -> 'Things':
        image, flavor = cloud.glance.add(known='1'), cloud.flavor('plain', id='plain')
        private = cloud.flavor('private', **{'os-flavor-access:is_public': False})
        specs = {'extra_specs': {'known': '1'}}
        cloud.admin('POST', f'/flavors/{flavor}/os-extra_specs', specs)
        grant = {'addTenantAccess': {'tenant': 'granted'}}
        cloud.admin('POST', f'/flavors/{private}/action', grant)
        network = cloud.neutron.add_network()
        keypair = {'keypair': {'name': 'known', 'public_key': KEY}}
        assert cloud.call('POST', '/os-keypairs', keypair, token=CALLER).status == 201
        group = {'server_group': {'name': 'known', 'policy': 'affinity'}}
        grouped = cloud.call('POST', '/os-server-groups', group, token=CALLER)
        server = cloud.boot(
            flavor, image, [{'uuid': network}], metadata={'known': '1'}, tags=['known']
        )
        cloud.wait_status(server, 'ACTIVE')
        made = cloud.admin('POST', '/os-aggregates', {'aggregate': {'name': 'known'}})
        services = cloud.admin('GET', '/os-services?binary=nova-compute').json['services']
        actions = cloud.get(f'/servers/{server}/os-instance-actions')['instanceActions']
        return cls(
            server=server,
            flavor=flavor,
            private_flavor=private,
            aggregate=str(made.json['aggregate']['id']),
            service=services[0]['id'],
            hypervisor=cloud.admin('GET', '/os-hypervisors').json['hypervisors'][0]['id'],
            action=actions[0]['request_id'],
            image=image,
            network=network,
            port=next(iter(cloud.neutron.ports)),
            host=services[0]['host'],
            volume=(volume := cloud.cinder.add_volume()),
            snapshot=cloud.cinder.add_snapshot(volume),
            server_group=grouped.json['server_group']['id'],
            proxied=Proxied.make(cloud, next(iter(cloud.neutron.ports))),
            console_token=_console_token(cloud, server),
        )


def _console_token(cloud: Cloud, server: str) -> str:
    wanted = {'remote_console': {'protocol': 'vnc', 'type': 'novnc'}}
    made = cloud.call('POST', f'/servers/{server}/remote-consoles', wanted).json
    return str(made['remote_console']['url'].rpartition('%3D')[2])


def arguments(things: Things) -> dict[str, str]:
    """Return a value for each variable part of a path."""
    return {
        'server_id': things.server,
        'flavor_id': things.flavor,
        'aggregate_id': things.aggregate,
        'service_id': things.service,
        'hypervisor_id': things.hypervisor,
        'request_id': things.action,
        'image_id': things.image,
        'server_group_id': things.server_group,
        'network_id': things.network,
        'port_id': things.port,
        **things.proxied.arguments(),
        'project_id': 'demo',
        'console_token': things.console_token,
        'name': 'known',
        'key': 'known',
        'tag': 'known',
        'network': 'private',
        'alias': 'os-keypairs',
        'identifier': 'v2.1',
        'pattern': 'controller',
        'what': 'disable',
        'volume_id': things.volume,
        'snapshot_id': things.snapshot,
        'share_id': NOBODY,
        'migration_id': '1',
        'host_name': things.host,
        'before_timestamp': '2026-01-02 03:04:05',
    }


def server_body(things: Things) -> dict[str, Any]:
    """Return a create request that uses most fields."""
    return {
        'server': {
            'name': 'valid',
            'flavorRef': things.flavor,
            'imageRef': things.image,
            'networks': 'none',
            'metadata': {'a': 'b'},
            'tags': ['x'],
            'description': 'text',
            'key_name': 'known',
            'user_data': 'eA==',
            'config_drive': True,
            'min_count': 1,
            'max_count': 1,
            'availability_zone': 'nova',
            'adminPass': 'secret',
            'accessIPv4': '192.0.2.1',
            'accessIPv6': '2001:db8::1',
            'OS-DCF:diskConfig': 'AUTO',
            'security_groups': [{'name': 'default'}],
            'hostname': 'valid',
        },
        'os:scheduler_hints': {},
    }


_SERVER_ACTION = '/servers/{server_id}/action'
_ATTACHMENTS = '/servers/{server_id}/os-volume_attachments'
_AGGREGATE_ACTION = '/os-aggregates/{aggregate_id}/action'
# Actions whose body says nothing more.
_BARE = (
    'os-start os-stop forceDelete restore pause unpause suspend resume rescue unrescue '
    'trigger_crash_dump confirmResize revertResize shelve shelveOffload unshelve migrate'
).split()


def bodies(things: Things) -> dict[Key, Any]:
    """Return a valid body for each operation that takes one."""
    flavor = {'name': 'valid', 'ram': 1, 'vcpus': 1, 'disk': 1, 'description': 'text'}
    specs = {'extra_specs': {'known': '1'}}
    access = {'tenant': 'demo'}
    meta = {'metadata': {'known': '1'}}
    event = {'name': 'network-changed', 'server_uuid': things.server}
    quota = {'cores': 100, 'ram': 100000, 'instances': 100}
    volume = {'size': 1, 'display_name': 'valid', 'snapshot_id': things.snapshot}
    snapshot = {'volume_id': things.volume, 'force': True, 'display_name': 'valid'}
    attachment = {'volumeId': things.volume}
    assisted = {'snapshot_id': things.snapshot, 'type': 'qcow2', 'new_file': 'new'}
    found: dict[Key, Any] = {
        ('POST', '/servers', None): server_body(things),
        ('PUT', '/servers/{server_id}', None): {'server': {'name': 'test', 'description': 'x'}},
        ('POST', '/servers/{server_id}/metadata', None): meta,
        ('PUT', '/servers/{server_id}/metadata', None): meta,
        ('PUT', '/servers/{server_id}/metadata/{key}', None): {'meta': {'known': '1'}},
        **things.proxied.bodies(),
        ('PUT', '/servers/{server_id}/tags', None): {'tags': ['known']},
        ('POST', _SERVER_ACTION, 'os-getConsoleOutput'): {'os-getConsoleOutput': {'length': 1}},
        ('POST', '/servers/{server_id}/shares', None): {
            'share': {'share_id': NOBODY, 'tag': 'known'}
        },
        **{('POST', _SERVER_ACTION, action): {action: None} for action in _BARE},
        ('POST', _SERVER_ACTION, 'evacuate'): {'evacuate': {'host': things.host}},
        ('POST', _SERVER_ACTION, 'createImage'): {'createImage': {'name': 'valid'}},
        ('POST', _SERVER_ACTION, 'createBackup'): {
            'createBackup': {'name': 'valid', 'backup_type': 'daily', 'rotation': 1}
        },
        ('POST', _SERVER_ACTION, 'resize'): {'resize': {'flavorRef': things.flavor}},
        ('POST', _SERVER_ACTION, 'rebuild'): {'rebuild': {'imageRef': things.image}},
        ('POST', _SERVER_ACTION, 'os-migrateLive'): {
            'os-migrateLive': {'host': None, 'block_migration': False}
        },
        ('POST', '/servers/{server_id}/migrations/{migration_id}/action', 'force_complete'): {
            'force_complete': None
        },
        ('POST', _SERVER_ACTION, 'changePassword'): {'changePassword': {'adminPass': 'x'}},
        ('POST', _SERVER_ACTION, 'os-getVNCConsole'): {'os-getVNCConsole': {'type': 'novnc'}},
        ('POST', _SERVER_ACTION, 'os-getSPICEConsole'): {
            'os-getSPICEConsole': {'type': 'spice-html5'}
        },
        ('POST', _SERVER_ACTION, 'os-getSerialConsole'): {
            'os-getSerialConsole': {'type': 'serial'}
        },
        ('POST', '/servers/{server_id}/remote-consoles', None): {
            'remote_console': {'protocol': 'vnc', 'type': 'novnc'}
        },
        ('POST', _SERVER_ACTION, 'lock'): {'lock': {'locked_reason': 'text'}},
        ('POST', _SERVER_ACTION, 'unlock'): {'unlock': None},
        ('POST', _SERVER_ACTION, 'os-resetState'): {'os-resetState': {'state': 'active'}},
        ('POST', _SERVER_ACTION, 'reboot'): {'reboot': {'type': 'HARD'}},
        ('POST', '/flavors', None): {'flavor': flavor},
        ('PUT', '/flavors/{flavor_id}', None): {'flavor': {'description': 'x'}},
        ('POST', '/flavors/{flavor_id}/action', 'addTenantAccess'): {'addTenantAccess': access},
        ('POST', '/flavors/{flavor_id}/action', 'removeTenantAccess'): {
            'removeTenantAccess': access
        },
        ('POST', '/flavors/{flavor_id}/os-extra_specs', None): specs,
        ('PUT', '/flavors/{flavor_id}/os-extra_specs/{key}', None): {'known': '1'},
        ('POST', '/os-keypairs', None): {
            'keypair': {'name': 'valid', 'type': 'ssh', 'public_key': KEY, 'user_id': 'admin'}
        },
        ('POST', '/os-aggregates', None): {'aggregate': {'name': 'valid'}},
        ('PUT', '/os-aggregates/{aggregate_id}', None): {'aggregate': {'name': 'known'}},
        ('POST', _AGGREGATE_ACTION, 'add_host'): {'add_host': {'host': things.host}},
        ('POST', _AGGREGATE_ACTION, 'remove_host'): {'remove_host': {'host': things.host}},
        ('POST', _AGGREGATE_ACTION, 'set_metadata'): {'set_metadata': {'metadata': {'a': 'b'}}},
        ('POST', '/os-aggregates/{aggregate_id}/images', None): {'cache': [{'id': things.image}]},
        ('PUT', '/os-hosts/{host_name}', None): {'status': 'enable', 'maintenance_mode': 'disable'},
        ('POST', '/kilonova/hosts/{host_name}/drain', None): {'drain': {'dry_run': True}},
        ('POST', '/os-server-groups', None): {
            'server_group': {
                'name': 'valid',
                'policy': 'anti-affinity',
                'rules': {'max_server_per_host': 3},
            }
        },
        ('POST', '/os-server-external-events', None): {'events': [event]},
        ('PUT', '/os-quota-sets/{project_id}', None): {'quota_set': quota},
        ('PUT', '/os-quota-class-sets/{name}', None): {'quota_class_set': quota},
        ('PUT', '/os-services/{what}', None): {'host': things.host, 'binary': 'nova-compute'},
        ('PUT', '/os-services/{service_id}', None): {'status': 'enabled'},
        ('POST', _ATTACHMENTS, None): {'volumeAttachment': {**attachment, 'device': '/dev/vdb'}},
        ('PUT', f'{_ATTACHMENTS}/{{volume_id}}', None): {'volumeAttachment': attachment},
        ('POST', '/os-assisted-volume-snapshots', None): {
            'snapshot': {'volume_id': things.volume, 'create_info': assisted}
        },
        ('POST', '/os-volumes', None): {'volume': volume},
        ('POST', '/os-snapshots', None): {'snapshot': snapshot},
        ('POST', '/kilonova/scheduler-explain', None): server_body(things),
    }
    return found | _below_the_old_path(found)


def _below_the_old_path(known: dict[Key, Any]) -> dict[Key, Any]:
    """Return the bodies of servers for those operations that are in os-volumes_boot, too."""
    keys = {route.key for route in ROUTES}
    again = {
        (method, '/os-volumes_boot' + path.removeprefix('/servers'), action): body
        for (method, path, action), body in known.items()
        if path.startswith('/servers')
    }
    return {key: body for key, body in again.items() if key in keys}


@dataclasses.dataclass(frozen=True)
class Route:
    """One operation, whatever its ranges of versions: the newest range stands for all."""

    one: Operation

    @property
    def key(self) -> Key:
        return self.one.method, self.one.path, self.one.action

    @property
    def version(self) -> str:
        return str(self.one.until)

    @property
    def oldest(self) -> str:
        return str(max(versions.MIN, min(one.since for one in _ranges(self.key))))

    def body_schema(self, version: str) -> dict[str, Any]:
        """Return what a body has to be like at a version."""
        wanted = versions.parse(version)
        one = next(one for one in _ranges(self.key) if one.serves(wanted))
        assert one.body is not None
        return one.body.at(wanted, legacy=False).schema

    def query_names(self, version: str) -> list[str]:
        """Return the parameters that a query may have at a version."""
        wanted = versions.parse(version)
        one = next(one for one in _ranges(self.key) if one.serves(wanted))
        assert one.query is not None
        return list(one.query.at(wanted, legacy=False).schema.get('properties', {}))

    def __str__(self) -> str:
        return ' '.join(filter(None, (self.one.method, self.one.path, self.one.action)))

    def path(self, things: Things, **other: str) -> str:
        """Return the path with its variable parts filled in."""
        return self.one.path.format(**{**arguments(things), **other})


def _ranges(key: Key) -> list[Operation]:
    return [one for one in operation.REGISTRY if (one.method, one.path, one.action) == key]


def routes() -> list[Route]:
    """Return every operation once, with its newest range of versions; not what only refuses."""
    resources.load()
    newest: dict[Key, Operation] = {}
    for one in operation.REGISTRY:
        if one.success >= 400 or one.path.startswith('/os-baremetal-nodes'):
            continue
        # One path with two names for its variable part is two operations.
        key = (one.method, one.path, one.action)
        if key not in newest or newest[key].until < one.until:
            newest[key] = one
    return [Route(one) for one in newest.values()]


ROUTES = routes()
WITH_BODY = [route for route in ROUTES if route.one.body is not None]
READS = [route for route in ROUTES if route.one.method == 'GET']
WRITES = [route for route in ROUTES if route.one.method != 'GET']
