"""The conductor's part that servers need, in memory: keeps state as the conductor would."""

import datetime
import itertools
import uuid
from typing import Any

from kilonova.common import exception
from kilonova.common.metadata import password as passwords
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.network import VIF, FixedIP, Subnet
from kilonova.common.objects.operation import ExternalEvent
from kilonova.common.objects.server import (
    Action,
    ActionEvent,
    CreatedServers,
    OwnedActions,
    Server,
    ServerCreate,
    ServerQuery,
)

TIME = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)
FLAVOR = Flavor(
    id=1, flavorid='1', name='m1.tiny', memory_mb=512, vcpus=1, root_gb=1, extra_specs={'a': 'b'}
)
# The noauth2 pipeline takes a user's name for its project when none is given.
PROJECT = 'demo'


def make_server(number: int = 1, **changes: Any) -> Server:
    """Return a running server with one port that has a floating IP."""
    values: dict[str, Any] = {
        'id': number,
        'uuid': str(uuid.UUID(int=number)),
        'name': f'server-{number}',
        'hostname': f'server-{number}',
        'project_id': PROJECT,
        'user_id': 'demo',
        'reservation_id': 'r-12345678',
        'vm_state': 'active',
        'power_state': 1,
        'host': 'host1',
        'node': 'node1',
        'availability_zone': 'nova',
        'flavor': FLAVOR,
        'network_info': [make_vif()],
        'security_groups': ['default'],
        'root_device_name': '/dev/vda',
        'launched_at': TIME,
        'created_at': TIME,
        'updated_at': TIME,
        'host_status': 'UP',
    }
    return Server(**(values | changes))


def make_vif(**changes: Any) -> VIF:
    values: dict[str, Any] = {
        'id': '11111111-2222-3333-4444-555555555555',
        'address': 'fa:16:3e:00:00:01',
        'network_id': '22222222-2222-3333-4444-555555555555',
        'label': 'private',
        'fixed_ips': [
            FixedIP(address='10.0.0.5', subnet_id='s4', floating_ips=['172.24.4.9']),
            FixedIP(address='fd00::5', version=6, subnet_id='s6'),
        ],
        'subnets': [
            Subnet(id='s4', cidr='10.0.0.0/24', gateway='10.0.0.1', dns=['10.0.0.2'], dhcp=True),
            Subnet(id='s6', cidr='fd00::/64', version=6, gateway='fd00::1', dns=['fd00::2']),
        ],
        'devname': 'tap11111111-22',
        'type': 'ovs',
        'active': True,
        'mtu': 1450,
    }
    return VIF(**(values | changes))


class FakeServers:
    """Servers by uuid, in memory; ``calls`` has what was asked, by method."""

    def __init__(self, *servers: Server) -> None:
        self.servers = {server.uuid: server for server in servers}
        self.calls: list[tuple[str, Any]] = []
        self.actions: dict[str, list[Action]] = {}
        self.console = 'line 1\nline 2\x1b[0m\n'

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def _find(self, wanted: str, project_id: str | None, deleted: bool = False) -> Server:
        server = self.servers.get(wanted)
        if (
            server is None
            or (server.deleted and not deleted)
            or (project_id is not None and server.project_id != project_id)
        ):
            raise exception.InstanceNotFound(instance_id=wanted)
        return server

    def create_servers(self, context: Any, request: ServerCreate) -> CreatedServers:
        self.calls.append(('create_servers', request))
        if request.flavorid != FLAVOR.flavorid:
            raise exception.FlavorNotFound(flavor_id=request.flavorid)
        if request.key_name == 'missing':
            raise exception.KeypairNotFound(name=request.key_name, user_id=context.user_id)
        made = [
            make_server(
                len(self.servers) + 1,
                name=request.name,
                project_id=context.project_id,
                user_id=context.user_id,
                vm_state='building',
                task_state='scheduling',
                image=request.image,
            )
            for _ in range(request.max_count)
        ]
        for number, server in enumerate(made):
            server.uuid = str(uuid.uuid4())
            server.launch_index = number
            self.servers[server.uuid] = server
        return CreatedServers(reservation_id='r-abcdefgh', uuids=[s.uuid for s in made])

    def get_server(
        self,
        context: Any,
        uuid: str,
        project_id: str | None = None,
        expand: list[str] | None = None,
    ) -> Server:
        self.calls.append(('get_server', expand))
        return self._find(uuid, project_id)

    def get_deleted_or_live_server(
        self, context: Any, uuid: str, project_id: str | None = None
    ) -> Server:
        return self._find(uuid, project_id, deleted=True)

    def list_servers(self, context: Any, query: ServerQuery) -> list[Server]:
        self.calls.append(('list_servers', query))
        found = [s for s in self.servers.values() if self._matches(s, query.filters)]
        if query.marker:
            ids = [s.uuid for s in found]
            if query.marker not in ids:
                raise exception.MarkerNotFound(marker=query.marker)
            found = found[ids.index(query.marker) + 1 :]
        return found[: query.limit]

    @staticmethod
    def _matches(server: Server, filters: dict[str, Any]) -> bool:
        exact = ('project_id', 'host', 'user_id')
        return all(getattr(server, name) == filters[name] for name in exact if name in filters)

    def update_server(
        self, context: Any, uuid: str, changes: dict[str, Any], expand: list[str] | None = None
    ) -> Server:
        self.calls.append(('update_server', changes))
        for name, value in changes.items():
            setattr(self.servers[uuid], name, value)
        return self.servers[uuid]

    def external_events(self, context: Any, events: list[ExternalEvent]) -> list[int]:
        self.calls.append(('external_events', [(one.name, one.server_uuid) for one in events]))
        return [200] * len(events)

    def delete_server(self, context: Any, uuid: str, force: bool = False) -> None:
        self.calls.append(('delete_server', force))
        self.servers[uuid].deleted = True
        self.servers[uuid].vm_state = 'deleted'

    def _change(self, uuid: str, method: str, needs: str, becomes: str) -> None:
        self.calls.append((method, uuid))
        server = self.servers[uuid]
        if server.vm_state != needs:
            raise exception.InstanceInvalidState(
                method=method, instance_uuid=uuid, attr='vm_state', state=server.vm_state
            )
        server.task_state = becomes

    def start_server(self, context: Any, uuid: str) -> None:
        self._change(uuid, 'start', 'stopped', 'powering-on')

    def stop_server(self, context: Any, uuid: str) -> None:
        self._change(uuid, 'stop', 'active', 'powering-off')

    def reboot_server(self, context: Any, uuid: str, kind: str) -> None:
        self.calls.append(('reboot_kind', kind))
        self._change(uuid, 'reboot', 'active', 'rebooting' if kind == 'SOFT' else 'rebooting_hard')

    def get_console_output(self, context: Any, uuid: str, length: int | None) -> str:
        self.calls.append(('get_console_output', length))
        lines = self.console.splitlines(keepends=True)
        return ''.join(lines if length is None else lines[-length:] if length else [])

    def set_server_password(self, context: Any, uuid: str, password: str) -> None:
        self.calls.append(('set_server_password', password))
        server = self._find(uuid, None)
        if password and passwords.read(server.system_metadata):
            raise exception.Conflict('There is one.')
        server.system_metadata = passwords.write(server.system_metadata, password)

    def set_server_metadata(
        self, context: Any, uuid: str, metadata: dict[str, str], replace: bool
    ) -> dict[str, str]:
        server = self.servers[uuid]
        server.metadata = metadata if replace else {**server.metadata, **metadata}
        return server.metadata

    def delete_server_metadata(self, context: Any, uuid: str, key: str) -> None:
        if key not in self.servers[uuid].metadata:
            raise exception.MetadataItemNotFound()
        del self.servers[uuid].metadata[key]

    def set_server_tags(self, context: Any, uuid: str, tags: list[str]) -> list[str]:
        self.servers[uuid].tags = tags
        return tags

    def add_server_tag(self, context: Any, uuid: str, tag: str) -> bool:
        tags = self.servers[uuid].tags
        if tag in tags:
            return False
        self.servers[uuid].tags = [*tags, tag]
        return True

    def delete_server_tag(self, context: Any, uuid: str, tag: str | None) -> None:
        server = self.servers[uuid]
        if tag is not None and tag not in server.tags:
            raise exception.TagNotFound(server_id=uuid, tag=tag)
        server.tags = [] if tag is None else [t for t in server.tags if t != tag]

    def _owner(
        self, context: Any, uuid: str, project_id: str | None, deleted: bool
    ) -> OwnedActions:
        self.calls.append(('owner', deleted))
        server = self._find(uuid, project_id, deleted=deleted)
        return OwnedActions(project_id=server.project_id, user_id=server.user_id)

    def list_actions(
        self,
        context: Any,
        uuid: str,
        project_id: str | None = None,
        deleted: bool = True,
        limit: int | None = None,
        marker: str | None = None,
        changes_since: datetime.datetime | None = None,
        changes_before: datetime.datetime | None = None,
    ) -> OwnedActions:
        self.calls.append(('list_actions', (limit, marker, changes_since, changes_before)))
        owner = self._owner(context, uuid, project_id, deleted)
        actions = self.actions.get(uuid, [])
        if marker is not None:
            ids = [action.request_id for action in actions]
            if marker not in ids:
                raise exception.MarkerNotFound(marker=marker)
            actions = actions[ids.index(marker) + 1 :]
        owner.actions = actions[:limit]
        return owner

    def get_action(
        self,
        context: Any,
        uuid: str,
        request_id: str,
        project_id: str | None = None,
        deleted: bool = True,
    ) -> OwnedActions:
        owner = self._owner(context, uuid, project_id, deleted)
        for action in self.actions.get(uuid, []):
            if action.request_id == request_id:
                owner.actions = [action]
                return owner
        raise exception.ActionNotFound(request_id=request_id, instance_uuid=uuid)

    def add_actions(self, server_id: str, count: int) -> None:
        """Give a server actions, newest first."""
        for number in itertools.islice(itertools.count(), count):
            event = ActionEvent(
                event='compute_stop_instance',
                start_time=TIME,
                finish_time=TIME,
                result='Error',
                traceback='trace',
                details='went wrong',
                host='host1',
            )
            action = Action(
                action='stop',
                instance_uuid=server_id,
                request_id=f'req-{number}',
                user_id='demo',
                project_id=PROJECT,
                start_time=TIME,
                updated_at=TIME,
                events=[event],
            )
            self.actions.setdefault(server_id, []).append(action)
