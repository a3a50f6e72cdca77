"""Services, hypervisors, aggregates."""

from typing import Any

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.host import (
    Aggregate,
    HostResources,
    Hypervisor,
    Service,
)


class HostsInterface(rpc.Interface):
    """Services, hypervisors, aggregates."""

    @rpc.call()
    def list_services(
        self,
        context: Ctx,
        host: str | None = None,
        binary: str | None = None,
        disabled: bool | None = None,
        unreachable: bool = False,
    ) -> list[Service]:
        """Return services, with their zone and whether they are up.

        ``unreachable``: of cells that are down, the hosts that are mapped to them.
        """

    @rpc.call()
    def get_service(self, context: Ctx, service_id: str) -> Service:
        """By uuid or by number.  Raises ServiceNotFound, ServiceNotUnique (a number in two cells)."""

    @rpc.call(timeout=90)
    def update_service(
        self,
        context: Ctx,
        service_id: str,
        disabled: bool | None = None,
        disabled_reason: str | None = None,
        forced_down: bool | None = None,
    ) -> Service:
        """Enable, disable, force down; the host's COMPUTE_STATUS_DISABLED trait follows."""

    @rpc.call()
    def delete_service(self, context: Ctx, service_id: str) -> None:
        """Delete a service, its nodes, host mapping and resource providers.

        Raises Conflict when servers are on the host.
        """

    @rpc.call(timeout=90)
    def list_hypervisors(
        self,
        context: Ctx,
        with_servers: bool = False,
        limit: int | None = None,
        marker: str | None = None,
        hostname_pattern: str | None = None,
        with_uptime: bool = False,
    ) -> list[Hypervisor]:
        """Return compute nodes, ordered by id.  Marker: node uuid (or id).  Raises MarkerNotFound.

        ``with_uptime``: their hosts are asked, all at once; one that does not answer has none.
        """

    @rpc.call(timeout=90)
    def get_hypervisor(
        self, context: Ctx, node_id: str, with_servers: bool = False, with_uptime: bool = False
    ) -> Hypervisor:
        """By node uuid or number.  Raises ComputeHostNotFound."""

    @rpc.call(timeout=30)
    def get_hypervisor_uptime(self, context: Ctx, node_id: str) -> Hypervisor:
        """As get_hypervisor, with its host's ``uptime`` line.

        Raises ComputeServiceUnavailable and NotSupported as well.
        """

    @rpc.call()
    def get_host_resources(self, context: Ctx, host: str) -> HostResources:
        """Return what a host has and what its servers use.  Raises ComputeHostNotFound."""

    @rpc.call(timeout=90)
    def host_power_action(self, context: Ctx, host: str, action: str) -> str:
        """'startup', 'shutdown' or 'reboot' a host; returns what its driver says of it.

        Raises ComputeHostNotFound, ComputeServiceUnavailable, NotSupported.
        """

    @rpc.call(timeout=90)
    def set_host_maintenance(self, context: Ctx, host: str, on: bool) -> bool:
        """Put a host into maintenance or back; returns whether it is.  Raises likewise."""

    @rpc.call()
    def list_aggregates(self, context: Ctx) -> list[Aggregate]:
        """Return all aggregates by id."""

    @rpc.call()
    def get_aggregate(self, context: Ctx, aggregate_id: int) -> Aggregate:
        """Raises AggregateNotFound."""

    @rpc.call()
    def create_aggregate(self, context: Ctx, name: str, availability_zone: str | None) -> Aggregate:
        """Raises AggregateNameExists, Invalid."""

    @rpc.call()
    def update_aggregate(
        self, context: Ctx, aggregate_id: int, changes: dict[str, Any]
    ) -> Aggregate:
        """Change ``name`` and/or ``availability_zone``.  Raises InvalidAggregateAction."""

    @rpc.call()
    def delete_aggregate(self, context: Ctx, aggregate_id: int) -> None:
        """Raises AggregateNotFound, InvalidAggregateAction when it still has hosts."""

    @rpc.call(timeout=60)
    def add_aggregate_host(self, context: Ctx, aggregate_id: int, host: str) -> Aggregate:
        """Also in placement.  Raises AggregateHostExists, HostMappingNotFound, InvalidAggregateAction."""

    @rpc.call(timeout=60)
    def remove_aggregate_host(self, context: Ctx, aggregate_id: int, host: str) -> Aggregate:
        """Raises AggregateHostNotFound, InvalidAggregateAction."""

    @rpc.call()
    def set_aggregate_metadata(
        self, context: Ctx, aggregate_id: int, metadata: dict[str, str | None]
    ) -> Aggregate:
        """Set items; a None removes one.  Raises InvalidAggregateAction (zone with servers)."""

    @rpc.call()
    def cache_images(self, context: Ctx, aggregate_id: int, image_ids: list[str]) -> None:
        """Have the hosts of an aggregate fetch images, in the background.

        Raises AggregateNotFound.
        """
