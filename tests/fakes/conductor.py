"""A conductor that keeps what compute hosts report, refuses on demand, and can be away."""

import threading
import time
from collections.abc import Callable
from typing import Any

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.host import ComputeNode, Service
from kilonova.common.objects.migration import Migration, Progress
from kilonova.common.objects.network import VIF
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.interface import ConductorInterface


class FakeConductor(ConductorInterface):
    """Answers as the interface says; ``calls`` has (method, values) of each call in order.

    ``refuse`` holds methods whose fence is old, ``away`` makes every call fail, ``before``
    is called with the method's name at the beginning of each call.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.servers: dict[str, Server] = {}
        self.nodes: dict[str, ComputeNode] = {}
        self.moves: list[Migration] = []
        self.wish = ''
        self.refuse: set[str] = set()
        self.share_users: list[str] = []
        self.to_stop: list[str] = []
        self.disabled = False
        self.away = False
        self.registered: set[str] = set()
        self.before: Callable[[str], object] = lambda name: None
        self._changed = threading.Condition()

    def _note(self, method: str, **values: Any) -> None:
        self.before(method)
        if self.away:
            raise exception.ServiceUnavailable('The message bus cannot be reached.')
        with self._changed:
            self.calls.append((method, values))
            self._changed.notify_all()

    def named(self, method: str) -> list[dict[str, Any]]:
        """Return the values of all calls of one method."""
        return [values for name, values in list(self.calls) if name == method]

    def wait_for(self, method: str, count: int = 1, seconds: float = 10) -> dict[str, Any]:
        """Return the values of the ``count``-th call of a method, when it has come."""
        with self._changed:
            done = self._changed.wait_for(lambda: len(self.named(method)) >= count, seconds)
        assert done, f'{method} was not called {count} times: {self.calls}'
        return self.named(method)[count - 1]

    def settle(self, seconds: float = 0.3) -> list[str]:
        """Return the names of all calls after a moment of waiting."""
        time.sleep(seconds)
        return [name for name, _ in self.calls]

    # -- the interface

    def service_started(
        self, context: Any, host: str, binary: str, topic: str, version: int
    ) -> Service:
        self._note('service_started', host=host, binary=binary, topic=topic)
        self.registered.add(host)
        return Service(id=1, uuid='service', host=host, binary=binary, disabled=self.disabled)

    def report_state(self, context: Any, host: str, binary: str, operations: list[str]) -> None:
        self._note('report_state', host=host, operations=operations)
        if host not in self.registered:
            raise exception.ServiceNotFound(service_id=host)

    def hypervisor_health(self, context: Any, host: str, trouble: str | None) -> Service:
        self._note('hypervisor_health', host=host, trouble=trouble)
        disabled = self.disabled or trouble is not None
        return Service(id=1, uuid='service', host=host, binary='nova-compute', disabled=disabled)

    def update_compute_node(self, context: Any, node: ComputeNode) -> ComputeNode:
        self._note('update_compute_node', node=node)
        self.nodes[node.host] = node
        return node

    def get_host_servers(self, context: Any, host: str) -> list[Server]:
        self._note('get_host_servers', host=host)
        return [s for s in self.servers.values() if s.host == host and not s.deleted]

    def live_migration_progress(
        self, context: Any, uuid: str, fence: Fence, status: str, progress: Progress
    ) -> str:
        self._note('live_migration_progress', status=status, progress=progress)
        return self.wish

    def evacuated_removed(self, context: Any, host: str, migrations: list[str]) -> None:
        self._note('evacuated_removed', host=host, migrations=migrations)
        self.moves = [m for m in self.moves if m.uuid not in migrations]

    def get_host_moves(self, context: Any, host: str) -> list[Migration]:
        self._note('get_host_moves', host=host)
        return [m for m in self.moves if host in (m.source_compute, m.dest_compute)]

    def get_server(
        self,
        context: Any,
        uuid: str,
        project_id: str | None = None,
        expand: list[str] | None = None,
    ) -> Server:
        self._note('get_server', uuid=uuid)
        server = self.servers.get(uuid)
        if server is None or server.deleted:
            raise exception.InstanceNotFound(instance_id=uuid)
        return server

    def get_deleted_or_live_server(
        self, context: Any, uuid: str, project_id: str | None = None
    ) -> Server:
        self._note('get_deleted_or_live_server', uuid=uuid)
        if uuid not in self.servers:
            raise exception.InstanceNotFound(instance_id=uuid)
        return self.servers[uuid]

    def is_wanted(self, context: Any, uuid: str, fence: Fence) -> bool:
        return self._fenced('is_wanted', uuid, fence)

    def server_progress(
        self,
        context: Any,
        uuid: str,
        fence: Fence,
        task_state: str,
        network_info: list[VIF] | None = None,
    ) -> bool:
        return self._fenced(
            'server_progress', uuid, fence, task_state=task_state, network_info=network_info
        )

    def update_block_devices(
        self, context: Any, uuid: str, fence: Fence, devices: list[BlockDevice]
    ) -> bool:
        self._note('update_block_devices', uuid=uuid, fence=fence, devices=devices)
        return 'update_block_devices' not in self.refuse

    def build_finished(
        self,
        context: Any,
        uuid: str,
        fence: Fence,
        power_state: int,
        network_info: list[VIF],
        changes: dict[str, Any],
    ) -> bool:
        return self._fenced(
            'build_finished',
            uuid,
            fence,
            power_state=power_state,
            network_info=network_info,
            changes=changes,
        )

    def build_failed(
        self,
        context: Any,
        uuid: str,
        fence: Fence,
        reason: str,
        details: str | None,
        reschedule: bool,
        code: int = 500,
    ) -> None:
        self._fenced(
            'build_failed',
            uuid,
            fence,
            reason=reason,
            details=details,
            reschedule=reschedule,
            code=code,
        )

    def work_finished(self, context: Any, uuid: str, fence: Fence, result: WorkResult) -> bool:
        return self._fenced('work_finished', uuid, fence, result=result)

    def delete_finished(self, context: Any, uuid: str, fence: Fence) -> bool:
        return self._fenced('delete_finished', uuid, fence)

    def delete_failed(
        self, context: Any, uuid: str, fence: Fence, reason: str, details: str | None
    ) -> None:
        self._fenced('delete_failed', uuid, fence, reason=reason, details=details)

    def sync_power_states(self, context: Any, host: str, states: dict[str, int]) -> list[str]:
        self._note('sync_power_states', host=host, states=states)
        return [uuid for uuid in self.to_stop if uuid in states]

    def get_share_users(self, context: Any, share_id: str, host: str) -> list[str]:
        return self.share_users

    def update_network_info(
        self, context: Any, uuid: str, network_info: list[VIF], before: list[VIF] | None = None
    ) -> None:
        self._note('update_network_info', uuid=uuid, network_info=network_info)

    def _fenced(self, method: str, uuid: str, fence: Fence, **values: Any) -> bool:
        self._note(method, uuid=uuid, fence=fence, **values)
        return method not in self.refuse
