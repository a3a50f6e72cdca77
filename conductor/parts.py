"""What the conductor's endpoints and operations work with."""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any, Protocol

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import orm

from kilonova.common.clients.cinder import Cinder
from kilonova.common.clients.placement import Allocations
from kilonova.common.context import RequestContext as Ctx
from kilonova.compute.interface import ComputeInterface
from kilonova.db import hosts, types
from kilonova.db.engine import Database
from kilonova.db.models.cell import ServiceRow
from kilonova.scheduler.interface import SchedulerInterface


class Claims(Protocol):
    """What is used of placement (``common.clients.placement.Placement``)."""

    def claim(
        self, consumer: str, allocations: dict[str, Any], project_id: str, user_id: str
    ) -> int:
        """Take resources in place of what the consumer holds.  Raises Conflict."""

    def delete_allocations(self, consumer: str) -> bool:
        """Give back all that the consumer holds; no error when it holds nothing."""

    def get_allocations(self, consumer: str) -> Allocations:
        """Return what a consumer holds."""

    def move_allocations(self, source: str, target: str) -> None:
        """Hand what one consumer holds to another, in place of what that holds.  Raises Conflict."""


class Ports(Protocol):
    """What is used of Neutron (``common.clients.neutron.Neutron``)."""

    def ports_of(self, device_id: str) -> list[dict[str, Any]]: ...

    def find(self, resource: str, **filters: Any) -> list[dict[str, Any]]: ...

    def delete_port(self, port_id: str) -> bool: ...

    def update_port(self, port_id: str, changes: dict[str, Any]) -> dict[str, Any]: ...

    def has_extension(self, alias: str) -> bool: ...

    def add_binding(self, port: dict[str, Any], host: str) -> dict[str, Any]: ...

    def activate_binding(self, port_id: str, host: str) -> None: ...

    def delete_binding(self, port_id: str, host: str) -> None: ...


@dataclasses.dataclass
class Parts:
    """Databases, configuration, and the others that we speak to."""

    conf: cfg.ConfigOpts
    api_db: Database
    cell_db: Database
    scheduler: SchedulerInterface
    compute: ComputeInterface
    placement: Claims
    neutron: Ports
    volumes: Callable[[Ctx | None], Cinder]
    """Cinder as a user sees it, or for None as the service does."""
    cell_id: int | None = None
    """The cell's mapping in the API database."""

    def is_up(self, session: orm.Session, host: str) -> bool:
        """Tell whether a compute host lives; ``session`` is one of the cell's."""
        row = session.scalars(
            sa.select(ServiceRow).where(ServiceRow.host == host, ServiceRow.binary == hosts.COMPUTE)
        ).one_or_none()
        return row is not None and hosts.is_up(row, self.conf.service_down_time)

    def later(self, seconds: float) -> datetime.datetime:
        """Return the time some seconds from now."""
        return types.utcnow() + datetime.timedelta(seconds=seconds)

    def lease(self) -> datetime.datetime:
        """Return when a lease that is given now runs out."""
        return self.later(self.conf.operations.lease)
