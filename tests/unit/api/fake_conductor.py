"""What the tests of the API need of a conductor, kept in memory."""

import datetime
import uuid
from typing import Any

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.host import Aggregate, ComputeNode, Hypervisor, Service
from kilonova.common.objects.operation import ExternalEvent
from kilonova.common.objects.quota import QuotaSet
from kilonova.common.objects.server import Keypair
from kilonova.tests.unit.api.fake_server_groups import ServerGroupPart

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, 678)
SERVER = '11111111-1111-1111-1111-111111111111'
DOWN_SERVER = '22222222-2222-2222-2222-222222222222'
LIMITS = {
    'instances': 10,
    'cores': 20,
    'ram': 51200,
    'metadata_items': 128,
    'key_pairs': 100,
    'server_groups': 10,
    'server_group_members': 10,
    'injected_files': 5,
    'injected_file_content_bytes': 10240,
    'injected_file_path_bytes': 255,
}


class FlavorPart:
    def __init__(self) -> None:
        self.flavors: dict[str, Flavor] = {}

    def create_flavor(self, context: Any, flavor: Flavor) -> Flavor:
        flavor.flavorid = flavor.flavorid or str(uuid.uuid4())
        if flavor.flavorid in self.flavors:
            raise exception.FlavorIdExists(flavor_id=flavor.flavorid)
        self.flavors[flavor.flavorid] = flavor
        return flavor

    def get_flavor(self, context: Any, flavorid: str, any_project: bool = True) -> Flavor:
        flavor = self.flavors.get(flavorid)
        own = flavor and (flavor.is_public or context.project_id in flavor.projects)
        if flavor is None or not (any_project or own):
            raise exception.FlavorNotFound(flavor_id=flavorid)
        return flavor

    def list_flavors(
        self,
        context: Any,
        is_public: bool | None,
        project_id: str | None = None,
        min_disk: int | None = None,
        min_ram: int | None = None,
        sort_key: str = 'flavorid',
        sort_dir: str = 'asc',
        limit: int | None = None,
        marker: str | None = None,
        name: str | None = None,
    ) -> list[Flavor]:
        found = [
            one
            for one in self.flavors.values()
            if (is_public is None or one.is_public == is_public or project_id in one.projects)
            and one.memory_mb >= (min_ram or 0)
            and one.root_gb >= (min_disk or 0)
            and (name is None or one.name == name)
        ]
        found.sort(key=lambda one: getattr(one, sort_key), reverse=sort_dir == 'desc')
        if marker is not None:
            ids = [one.flavorid for one in found]
            if marker not in ids:
                raise exception.MarkerNotFound(marker=marker)
            found = found[ids.index(marker) + 1 :]
        return found[:limit]

    def update_flavor(self, context: Any, flavorid: str, description: str | None) -> Flavor:
        flavor = self.get_flavor(context, flavorid)
        flavor.description = description
        return flavor

    def delete_flavor(self, context: Any, flavorid: str) -> None:
        del self.flavors[self.get_flavor(context, flavorid).flavorid]

    def set_flavor_extra_specs(self, context: Any, flavorid: str, specs: dict[str, str]) -> None:
        self.get_flavor(context, flavorid).extra_specs.update(specs)

    def delete_flavor_extra_spec(self, context: Any, flavorid: str, key: str) -> None:
        if self.get_flavor(context, flavorid).extra_specs.pop(key, None) is None:
            raise exception.FlavorExtraSpecsNotFound(flavor_id=flavorid, extra_specs_key=key)

    def add_flavor_access(self, context: Any, flavorid: str, project_id: str) -> list[str]:
        flavor = self.get_flavor(context, flavorid)
        if project_id in flavor.projects:
            raise exception.FlavorAccessExists(flavor_id=flavorid, project_id=project_id)
        flavor.projects.append(project_id)
        return flavor.projects

    def remove_flavor_access(self, context: Any, flavorid: str, project_id: str) -> list[str]:
        flavor = self.get_flavor(context, flavorid)
        if project_id not in flavor.projects:
            raise exception.FlavorAccessNotFound(flavor_id=flavorid, project_id=project_id)
        flavor.projects.remove(project_id)
        return flavor.projects


class KeypairPart:
    def __init__(self) -> None:
        self.keypairs: dict[tuple[str, str], Keypair] = {}

    def create_keypair(self, context: Any, keypair: Keypair, generated: bool = False) -> Keypair:
        if (keypair.user_id, keypair.name) in self.keypairs:
            raise exception.KeyPairExists(key_name=keypair.name)
        keypair.id, keypair.created_at = len(self.keypairs) + 1, NOW
        self.keypairs[keypair.user_id, keypair.name] = keypair
        return keypair

    def get_keypair(self, context: Any, user_id: str, name: str) -> Keypair:
        if (user_id, name) not in self.keypairs:
            raise exception.KeypairNotFound(user_id=user_id, name=name)
        return self.keypairs[user_id, name]

    def list_keypairs(
        self, context: Any, user_id: str, limit: int | None = None, marker: str | None = None
    ) -> list[Keypair]:
        names = sorted(name for user, name in self.keypairs if user == user_id)
        if marker is not None and marker not in names:
            raise exception.MarkerNotFound(marker=marker)
        rest = names[names.index(marker) + 1 :] if marker else names
        return [self.keypairs[user_id, name] for name in rest[:limit]]

    def delete_keypair(self, context: Any, user_id: str, name: str) -> None:
        self.get_keypair(context, user_id, name)
        del self.keypairs[user_id, name]


def service(number: int, host: str, binary: str, zone: str, **kw: Any) -> Service:
    return Service(
        id=number,
        uuid=str(uuid.UUID(int=number)),
        host=host,
        binary=binary,
        availability_zone=zone,
        last_seen_up=NOW,
        **{'up': True, **kw},
    )


class HostPart:
    def __init__(self) -> None:
        self.services = [
            service(1, 'ctl', 'nova-scheduler', 'internal'),
            service(2, 'host1', 'nova-compute', 'nova'),
            service(3, 'host2', 'nova-compute', 'north', disabled=True, disabled_reason='broken'),
            service(4, 'ctl', 'nova-osapi_compute', 'internal'),
        ]
        self.nodes = [
            ComputeNode(
                id=at,
                uuid=str(uuid.UUID(int=100 + at)),
                host=host,
                hypervisor_hostname=host,
                hypervisor_type='fake',
                hypervisor_version=1000,
                host_ip='192.0.2.1',
                vcpus=8,
                memory_mb=8192,
                memory_mb_used=512,
                local_gb=100,
                cpu_info={'arch': 'x86_64'},
            )
            for at, host in ((1, 'host1'), (2, 'host2'))
        ]
        self.uptime: str | Exception = ' 08:32:11 up 93 days'

    def list_services(
        self,
        context: Any,
        host: str | None = None,
        binary: str | None = None,
        disabled: bool | None = None,
        unreachable: bool = False,
    ) -> list[Service]:
        return [
            one
            for one in self.services
            if host in (None, one.host)
            and binary in (None, one.binary)
            and disabled in (None, one.disabled)
        ]

    def get_service(self, context: Any, service_id: str) -> Service:
        for one in self.services:
            if service_id in (one.uuid, str(one.id)):
                return one
        raise exception.ServiceNotFound(service_id=service_id)

    def update_service(self, context: Any, service_id: str, **changes: Any) -> Service:
        found = self.get_service(context, service_id)
        if changes.get('disabled') is False:
            found.disabled_reason = None
        for name, value in changes.items():
            setattr(found, name, value)
        return found

    def delete_service(self, context: Any, service_id: str) -> None:
        self.services.remove(self.get_service(context, service_id))

    def list_hypervisors(
        self,
        context: Any,
        with_servers: bool = False,
        limit: int | None = None,
        marker: str | None = None,
        hostname_pattern: str | None = None,
        with_uptime: bool = False,
    ) -> list[Hypervisor]:
        nodes = [one for one in self.nodes if (hostname_pattern or '') in one.hypervisor_hostname]
        if marker is not None:
            ids = [one.uuid for one in nodes]
            if marker not in ids and not marker.isdecimal():
                raise exception.MarkerNotFound(marker=marker)
            nodes = nodes[ids.index(marker) + 1 if marker in ids else int(marker) :]
        return [self._hypervisor(one, with_servers, with_uptime) for one in nodes[:limit]]

    def _hypervisor(
        self, node: ComputeNode, with_servers: bool, with_uptime: bool = False
    ) -> Hypervisor:
        (its,) = self.list_services(None, host=node.host, binary='nova-compute')
        servers = [(SERVER, 'one')] if node.host == 'host1' else []
        known = self.uptime if with_uptime and isinstance(self.uptime, str) else None
        return Hypervisor(
            node=node, service=its, servers=servers if with_servers else None, uptime=known
        )

    def get_hypervisor(
        self, context: Any, node_id: str, with_servers: bool = False, with_uptime: bool = False
    ) -> Hypervisor:
        for one in self.nodes:
            if node_id in (one.uuid, str(one.id)):
                return self._hypervisor(one, with_servers, with_uptime)
        raise exception.ComputeHostNotFound(host=node_id)

    def get_hypervisor_uptime(self, context: Any, node_id: str) -> Hypervisor:
        found = self.get_hypervisor(context, node_id, with_uptime=True)
        if isinstance(self.uptime, Exception):
            raise self.uptime
        return found


class AggregatePart:
    def __init__(self) -> None:
        self.aggregates: dict[int, Aggregate] = {}

    def list_aggregates(self, context: Any) -> list[Aggregate]:
        return list(self.aggregates.values())

    def get_aggregate(self, context: Any, aggregate_id: int) -> Aggregate:
        if aggregate_id not in self.aggregates:
            raise exception.AggregateNotFound(aggregate_id=aggregate_id)
        return self.aggregates[aggregate_id]

    def create_aggregate(self, context: Any, name: str, availability_zone: str | None) -> Aggregate:
        if any(one.name == name for one in self.aggregates.values()):
            raise exception.AggregateNameExists(aggregate_name=name)
        number = len(self.aggregates) + 1
        metadata = {'availability_zone': availability_zone} if availability_zone else {}
        made = Aggregate(
            id=number, uuid=str(uuid.uuid4()), name=name, metadata=metadata, created_at=NOW
        )
        self.aggregates[number] = made
        return made

    def update_aggregate(
        self, context: Any, aggregate_id: int, changes: dict[str, Any]
    ) -> Aggregate:
        found = self.get_aggregate(context, aggregate_id)
        found.name = changes.get('name', found.name)
        if 'availability_zone' in changes:
            if found.hosts:
                raise exception.InvalidAggregateAction(
                    action='update aggregate', aggregate_id=aggregate_id, reason='in use'
                )
            found.metadata['availability_zone'] = changes['availability_zone']
        return found

    def delete_aggregate(self, context: Any, aggregate_id: int) -> None:
        if self.get_aggregate(context, aggregate_id).hosts:
            raise exception.InvalidAggregateAction(
                action='delete', aggregate_id=aggregate_id, reason='not empty'
            )
        del self.aggregates[aggregate_id]

    def add_aggregate_host(self, context: Any, aggregate_id: int, host: str) -> Aggregate:
        found = self.get_aggregate(context, aggregate_id)
        if host not in ('host1', 'host2'):
            raise exception.HostMappingNotFound(name=host)
        if host in found.hosts:
            raise exception.AggregateHostExists(aggregate_id=aggregate_id, host=host)
        found.hosts.append(host)
        return found

    def remove_aggregate_host(self, context: Any, aggregate_id: int, host: str) -> Aggregate:
        found = self.get_aggregate(context, aggregate_id)
        if host not in found.hosts:
            raise exception.AggregateHostNotFound(aggregate_id=aggregate_id, host=host)
        found.hosts.remove(host)
        return found

    def set_aggregate_metadata(
        self, context: Any, aggregate_id: int, metadata: dict[str, str | None]
    ) -> Aggregate:
        found = self.get_aggregate(context, aggregate_id)
        for name, value in metadata.items():
            if value is None:
                found.metadata.pop(name, None)
            else:
                found.metadata[name] = value
        return found


class QuotaPart:
    def __init__(self) -> None:
        self.limits: dict[tuple[str, str | None], dict[str, int]] = {}
        self.default = dict(LIMITS)
        self.forced: list[bool] = []

    def get_quotas(
        self,
        context: Any,
        project_id: str,
        user_id: str | None = None,
        usage: bool = False,
        defaults: bool = False,
    ) -> QuotaSet:
        own = {} if defaults else self.limits.get((project_id, user_id), {})
        return QuotaSet(
            project_id=project_id,
            user_id=user_id,
            limits={**self.default, **own},
            in_use={'instances': 3, 'cores': 6, 'ram': 1024} if usage else {},
        )

    def update_quotas(
        self,
        context: Any,
        project_id: str,
        user_id: str | None,
        limits: dict[str, int],
        force: bool = False,
    ) -> QuotaSet:
        self.forced.append(force)
        if limits.get('instances', 10) < 3 and not force:
            raise exception.Invalid('Quota limit 1 for instances must be greater than 3.')
        self.limits.setdefault((project_id, user_id), {}).update(limits)
        return self.get_quotas(context, project_id, user_id)

    def delete_quotas(self, context: Any, project_id: str, user_id: str | None = None) -> None:
        self.limits.pop((project_id, user_id), None)

    def get_quota_class(self, context: Any, class_name: str) -> QuotaSet:
        return QuotaSet(project_id='', limits=self.default)

    def update_quota_class(self, context: Any, class_name: str, limits: dict[str, int]) -> QuotaSet:
        self.default.update(limits)
        return self.get_quota_class(context, class_name)


class FakeConductor(FlavorPart, KeypairPart, HostPart, AggregatePart, QuotaPart, ServerGroupPart):
    """All parts; ``events`` are the external events that came in."""

    def __init__(self) -> None:
        for part in FakeConductor.__mro__[1:-1]:
            part.__init__(self)  # type: ignore[misc]
        self.events: list[ExternalEvent] = []

    def external_events(self, context: Any, events: list[ExternalEvent]) -> list[int]:
        self.events += events
        codes = {SERVER: 200, DOWN_SERVER: 422}
        return [codes.get(event.server_uuid, 404) for event in events]
