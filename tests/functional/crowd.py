"""A cloud with two of everything, or with a dozen: reads must not cost more for it."""

import functools
from typing import Any

from kilonova.api import versions
from kilonova.tests.functional import routes
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.routes import CALLER, Things

RESIZED = 'VERIFY_RESIZE'
CONF = """
[DEFAULT]
report_interval = 3600
service_down_time = 36000
[operations]
sweep_interval = 3600
[quota]
instances = -1
cores = -1
ram = -1
server_groups = -1
"""


class Crowd:
    """``number`` of each kind of thing, beside the one of each that a read of one is about."""

    def __init__(self, cloud: Cloud, number: int) -> None:
        self._cloud, self._number = cloud, number
        self.things = Things.make(cloud)
        for n in range(number):
            self._add(n)
        self._boot()
        self._act()
        self._migrate()

    def path(self, route: routes.Route, version: str) -> str:
        """Return the path of what is there; hypervisors had numbers up to 2.52."""
        other = {}
        if route.one.path.endswith('/os-flavor-access'):
            other['flavor_id'] = self.things.private_flavor
        if versions.parse(version) < (2, 53):
            other['hypervisor_id'] = '1'
        return route.path(self.things, **other)

    def _add(self, n: int) -> None:
        cloud, things = self._cloud, self.things
        flavor = cloud.flavor(f'more-{n}')
        tenant = {'addTenantAccess': {'tenant': f'project-{n}'}}
        for path, body in {
            f'/flavors/{flavor}/os-extra_specs': {'extra_specs': {f'key-{n}': '1'}},
            f'/flavors/{things.private_flavor}/action': tenant,
            '/os-aggregates': {'aggregate': {'name': f'more-{n}'}},
        }.items():
            made = cloud.admin('POST', path, body)
            assert made.status < 300, made.text
            if 'aggregate' in body:
                self._fill(made.json['aggregate']['id'], n)
        keypair = {'keypair': {'name': f'more-{n}', 'public_key': routes.KEY}}
        assert cloud.call('POST', '/os-keypairs', keypair, token=CALLER).status == 201
        group = {'server_group': {'name': f'more-{n}', 'policy': 'soft-affinity'}}
        assert cloud.call('POST', '/os-server-groups', group, token=CALLER).status == 200
        cloud.glance.add(f'more-{n}')
        cloud.cinder.add_snapshot(cloud.cinder.add_volume())
        cloud.neutron.add_group(f'more-{n}')
        assert (
            cloud.call('POST', '/os-floating-ips', {'pool': 'public'}, version='2.35').status == 200
        )

    def _fill(self, aggregate: int, n: int) -> None:
        hosts = self._cloud.admin('GET', '/os-services?binary=nova-compute').json['services']
        path = f'/os-aggregates/{aggregate}/action'
        body = {'add_host': {'host': hosts[n % len(hosts)]['host']}}
        assert self._cloud.admin('POST', path, body).status == 200

    def _boot(self) -> None:
        cloud, things = self._cloud, self.things
        fields: dict[str, Any] = {'metadata': {'a': 'b'}, 'tags': ['x', 'y']}
        self.servers = [
            cloud.boot(things.flavor, things.image, [{'uuid': things.network}], **fields)
            for _ in range(self._number)
        ]
        for uuid in self.servers:
            cloud.wait_status(uuid, 'ACTIVE')

    def _act(self) -> None:
        """Give the server of all reads of one more actions, tags, metadata, ports and volumes."""
        cloud, uuid = self._cloud, self.things.server
        path = f'/servers/{uuid}'
        for n in range(self._number):
            assert cloud.action(uuid, lock=None).status == 202
            assert cloud.action(uuid, unlock=None).status == 202
            assert cloud.call('PUT', f'{path}/tags/more-{n}').status == 201
            body: Any = {'meta': {f'more-{n}': '1'}}
            assert cloud.call('PUT', f'{path}/metadata/more-{n}', body).status == 200
            body = {'interfaceAttachment': {'net_id': self.things.network}}
            assert cloud.call('POST', f'{path}/os-interface', body).status == 200
        volumes = [cloud.cinder.add_volume() for _ in range(self._number)]
        for volume in [self.things.volume, *volumes]:
            body = {'volumeAttachment': {'volumeId': volume}}
            made = cloud.call('POST', f'{path}/os-volume_attachments', body)
            assert made.status == 200, made.text
            wait(functools.partial(self._is_attached, volume), 'it is attached')

    def _is_attached(self, volume: str) -> bool:
        return self._cloud.cinder.status(volume) == 'in-use'

    def _migrate(self) -> None:
        """Leave each server at a place that it has migrated to."""
        for uuid in self.servers:
            assert (
                self._cloud.admin('POST', f'/servers/{uuid}/action', {'migrate': None}).status
                == 202
            )
        for uuid in self.servers:
            self._cloud.wait_status(uuid, RESIZED)
