"""The scheduler, placement, Neutron and Cinder around a conductor, in memory."""

from collections.abc import Callable
from typing import Any, cast

from kilonova.common import exception
from kilonova.common.clients.cinder import Cinder
from kilonova.common.clients.placement import Allocations
from kilonova.common.objects.network import VIF, FixedIP
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.tests.unit.conductor.crashing import CrashingCinder, Killed


class Fellows:
    """What they answer, and each contact with them."""

    hosts: dict[str, Any]
    """The hosts of the cloud by name."""

    def __init__(self) -> None:
        self.contacts: list[str] = []
        self.kill_at: int | None = None
        self.calls: list[str] = []
        self.down: set[str] = set()
        self.cinder: Cinder | None = None
        self.allocations: dict[str, str] = {}
        self.refused: set[str] = set()
        self.ports: dict[str, str] = {}
        self.bound: dict[str, str] = {}
        self.bindings: set[tuple[str, str]] = set()
        self.binds_ahead = True
        self.selected: list[tuple[str, ...]] = []
        self.scheduler_error: Exception | None = None
        self.placement_error: Exception | None = None
        self.before_select: Callable[[], None] | None = None

    def contact(self, what: str) -> None:
        self.contacts.append(what)
        if self.kill_at is not None and len(self.contacts) == self.kill_at:
            raise Killed(what)

    def check_rebuild(self, context: Any, spec: Any, table_version: int) -> None:
        """Every host may have every image."""

    def select_destinations(
        self,
        context: Any,
        spec: RequestSpec,
        uuids: list[str],
        table_version: int,
        alternates: int = 0,
    ) -> list[list[Selection]]:
        self.contact('select')
        self.calls.append('call select_destinations')
        if self.before_select is not None:
            hook, self.before_select = self.before_select, None
            hook()
        if self.scheduler_error is not None:
            raise self.scheduler_error
        usable = [h for h in self.hosts if h not in self.down and h not in spec.ignore_hosts]
        if not usable:
            raise exception.NoValidHost(reason='All 4 hosts were filtered out by ComputeFilter.')
        found = []
        for uuid in uuids:
            self.selected.append((uuid, usable[0]))
            self.allocations[uuid] = usable[0]
            found.append([self._selection(host) for host in usable[: alternates + 1]])
        self.contact('select: claimed')
        return found

    @staticmethod
    def _selection(host: str) -> Selection:
        return Selection(
            host=host,
            node=f'{host}.node',
            compute_node_uuid=host,
            availability_zone='nova',
            allocations={host: {'resources': {'VCPU': 1}}},
        )

    def claim(self, consumer: str, allocations: dict[str, Any], project: str, user: str) -> int:
        self.contact('claim')
        host = next(iter(allocations))
        if host in self.refused:
            raise exception.Conflict('full')
        self.allocations[consumer] = host
        self.contact('claim: done')
        return 1

    def delete_allocations(self, consumer: str) -> bool:
        self.contact('delete allocations')
        if self.placement_error is not None:
            raise self.placement_error
        held = self.allocations.pop(consumer, None)
        self.contact('delete allocations: done')
        return held is not None

    def get_allocations(self, consumer: str) -> Allocations:
        self.contact('get allocations')
        host = self.allocations.get(consumer)
        held = {host: {'resources': {'VCPU': 1}}} if host else {}
        return Allocations(allocations=held)

    def move_allocations(self, source: str, target: str) -> None:
        self.contact('move allocations')
        if self.placement_error is not None:
            raise self.placement_error
        if source not in self.allocations:
            raise exception.Conflict('it holds nothing')
        self.allocations[target] = self.allocations.pop(source)
        self.contact('move allocations: done')

    def make_port(self, server_uuid: str) -> list[VIF]:
        port_id = f'port-{server_uuid}'
        self.ports[port_id] = server_uuid
        ip = FixedIP(address='10.0.0.5')
        return [VIF(id=port_id, address='fa:16:3e:00:00:01', network_id='n', fixed_ips=[ip])]

    def remove_ports(self, server_uuid: str) -> None:
        self.ports = {port: owner for port, owner in self.ports.items() if owner != server_uuid}

    def ports_of(self, device_id: str) -> list[dict[str, Any]]:
        self.contact('list ports')
        return [{'id': port} for port, owner in self.ports.items() if owner == device_id]

    def find(self, resource: str, **filters: Any) -> list[dict[str, Any]]:
        self.contact(f'list {resource}')
        return [{'id': f'subnet of {network}'} for network in filters.values()]

    def delete_port(self, port_id: str) -> bool:
        return self.ports.pop(port_id, None) is not None

    def update_port(self, port_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        if 'device_id' in changes:
            self.ports[port_id] = changes['device_id']
        if 'binding:host_id' in changes:
            self.contact('bind port')
            self.bound[port_id] = changes['binding:host_id']
        return {}

    def ask_cinder(self, context: Any) -> Cinder:
        """Nobody asks for volumes unless a test puts a Cinder here."""
        assert self.cinder is not None, 'Cinder was asked'
        return cast(Cinder, CrashingCinder(self.cinder, self))

    def has_extension(self, alias: str) -> bool:
        self.contact('list extensions')
        return self.binds_ahead

    def add_binding(
        self, port: dict[str, Any], host: str, profile: dict[str, Any]
    ) -> dict[str, Any]:
        self.contact('add binding')
        self.bindings.add((port['id'], host))
        return {}

    def activate_binding(self, port_id: str, host: str) -> None:
        self.contact('activate binding')
        self.bound[port_id] = host

    def delete_binding(self, port_id: str, host: str) -> None:
        self.contact('delete binding')
        self.bindings.discard((port_id, host))
