"""The endpoints about hosts, with real placement and a compute host that listens."""

import uuid
from typing import Any

from kilonova.common.clients.placement import Placement
from kilonova.common.context import RequestContext
from kilonova.common.objects.host import ComputeNode
from kilonova.conductor.aggregates import Aggregates
from kilonova.conductor.host_table import Hosts
from kilonova.conductor.hypervisors import Hypervisors
from kilonova.conductor.services import Services
from kilonova.db import cells, hosts
from kilonova.db.engine import Database
from kilonova.db.models.servers import InstanceRow
from kilonova.db.types import utcnow

CTX = RequestContext(project_id='p', user_id='me', overwrite=False)


class FakeCompute:
    """Records what hosts were told; ``error`` is raised instead."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self._host = ''

    def at(self, host: str) -> 'FakeCompute':
        self._host = host
        return self

    def set_host_enabled(self, context: RequestContext, enabled: bool) -> None:
        self.told.append((self._host, enabled))
        if self.error is not None:
            raise self.error

    def get_host_uptime(self, context: RequestContext) -> str:
        if self.error is not None:
            raise self.error
        return f'up of {self._host}'

    def host_power_action(self, context: RequestContext, action: str) -> str:
        self.told.append((self._host, action))
        return action

    def set_host_maintenance(self, context: RequestContext, on: bool) -> bool:
        self.told.append((self._host, on))
        return on

    def cache_images(self, context: RequestContext, image_ids: list[str]) -> dict[str, str]:
        self.told.append((self._host, *image_ids))
        if self.error is not None:
            raise self.error
        return dict.fromkeys(image_ids, 'cached')


class HostsWorld:
    """All that stands around the endpoints about hosts."""

    def __init__(self, conf: Any, api_db: Database, cell_db: Database, placement: Placement):
        self.conf, self.api_db, self.cell_db, self.placement = conf, api_db, cell_db, placement
        self.cell_id = cells.ensure_simple(api_db, conf).id
        self.compute = FakeCompute()
        self.started: list[str] = []
        self.aggregates = Aggregates(conf, api_db, cell_db, placement)
        self.services = Services(
            conf,
            api_db,
            cell_db,
            self.cell_id,
            placement,
            self.compute,  # type: ignore[arg-type]
            self.aggregates,
            lambda context, host: self.started.append(host),
        )
        # In the background it would add to what a test counts; tests call ``mirror_host``.
        self.services._mirror = lambda host: None  # type: ignore[method-assign]
        self.hypervisors = Hypervisors(conf, api_db, cell_db, self.compute)  # type: ignore[arg-type]
        self.table = Hosts(conf, api_db, cell_db, self.cell_id)

    def add_host(self, name: str, provider: bool = True, **fields: Any) -> ComputeNode:
        """Let a compute host start, report its node, and tell placement of it."""
        self.services.service_started(CTX, name, hosts.COMPUTE, 'compute', 7)
        node = self.services.update_compute_node(CTX, make_node(name, **fields))
        if provider:
            self.placement.ensure_provider(node.uuid, node.hypervisor_hostname)
        return node

    def add_server(self, host: str, **fields: Any) -> str:
        """Write a server's row as if it had been built."""
        now, made = utcnow(), str(uuid.uuid4())
        values: dict[str, Any] = {
            'uuid': made, 'name': f'on-{host}', 'project_id': 'p', 'user_id': 'me', 'host': host,
            'node': host, 'vm_state': 'active', 'flavor': {}, 'flavorid': 'f', 'vcpus': 2,
            'memory_mb': 1024, 'root_gb': 10, 'ephemeral_gb': 1, 'image': {}, 'image_id': 'i', 'metadata_': {},
            'system_metadata': {}, 'network_info': [], 'security_groups': [],
            'created_at': now, 'updated_at': now,
        }  # fmt: skip
        with self.cell_db.transaction() as session:
            session.add(InstanceRow(**values | fields))
        return made

    def version(self) -> int:
        with self.cell_db.reader() as session:
            return hosts.version(session)


def make_node(host: str, **fields: Any) -> ComputeNode:
    values: dict[str, Any] = {
        'uuid': str(uuid.uuid5(uuid.NAMESPACE_DNS, host)), 'host': host,
        'hypervisor_hostname': host, 'hypervisor_type': 'fake', 'hypervisor_version': 1,
        'vcpus': 8, 'memory_mb': 8192, 'local_gb': 100, 'reserved_host_memory_mb': 512,
        'cpu_info': {'arch': 'x86_64'}, 'supported_instances': [('x86_64', 'kvm', 'hvm')],
    }  # fmt: skip
    return ComputeNode(**values | fields)
