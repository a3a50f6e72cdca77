"""What the conductor's endpoints and operations work with."""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import orm

from kilonova.common.clients.cinder import Cinder
from kilonova.common.clients.placement import Allocations, Candidates, Resources
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.notifications.notifier import Notifier
from kilonova.compute.interface import ComputeInterface
from kilonova.conductor.tasks.work import Work
from kilonova.db import hosts, types
from kilonova.db.engine import Database
from kilonova.db.models.cell import ServiceRow
from kilonova.scheduler.interface import SchedulerInterface

T = TypeVar('T')


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

    def get_candidates(self, query: str) -> Candidates:
        """Return ways to serve a request."""

    def exchange(self, consumer: str, held: Allocations, wanted: Resources) -> None:
        """Let a consumer hold something else, if it holds ``held``.  Raises Conflict."""

    def move_allocations(self, source: str, target: str) -> None:
        """Hand what one consumer holds to another, in place of what that holds.  Raises Conflict."""


class Ports(Protocol):
    """What is used of Neutron (``common.clients.neutron.Neutron``)."""

    def ports_of(self, device_id: str) -> list[dict[str, Any]]: ...

    def find(self, resource: str, **filters: Any) -> list[dict[str, Any]]: ...

    def delete_port(self, port_id: str) -> bool: ...

    def update_port(self, port_id: str, changes: dict[str, Any]) -> dict[str, Any]: ...

    def has_extension(self, alias: str) -> bool: ...

    def add_binding(
        self, port: dict[str, Any], host: str, profile: dict[str, Any]
    ) -> dict[str, Any]: ...

    def activate_binding(self, port_id: str, host: str) -> None: ...

    def delete_binding(self, port_id: str, host: str) -> None: ...


class Fleet(Protocol):
    """All cells of the deployment."""

    @property
    def several(self) -> bool:
        """Whether there is more than one cell for servers, so that they wait in cell0 for one."""

    @property
    def cell0_id(self) -> int | None:
        """The mapping of the cell for servers without a host."""

    @property
    def complete(self) -> bool:
        """Whether every cell answers."""

    def ask(self, question: Callable[[orm.Session], T]) -> list[T]:
        """Put a question to the database of each cell that answers."""

    def table_version(self) -> int:
        """Return the version of the host table of all cells."""

    def move(
        self, build: Work, cell_id: int, place: Callable[[orm.Session, orm.Session], bool]
    ) -> bool | None:
        """Hand a server that waits in cell0 to another cell, which goes on with its build.

        ``place`` gets transactions of the API database and of that cell, and writes down the
        host.  False: it did not want to; None: the build does not own the server any more.
        Raises ServiceUnavailable.
        """

    def is_here(self, uuid: str, cell_id: int) -> bool:
        """Tell whether a server is a cell's own; what a move that was cut off has left goes."""


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
    notifier: Notifier | None = None
    fleet: Fleet | None = None
    """Where other cells are found; None: there are none."""

    def is_up(self, session: orm.Session, host: str) -> bool:
        """Tell whether a compute host lives; ``session`` is one of the cell's."""
        row = session.scalars(
            sa.select(ServiceRow).where(ServiceRow.host == host, ServiceRow.binary == hosts.COMPUTE)
        ).one_or_none()
        return row is not None and hosts.is_up(row, self.conf.service_down_time)

    @property
    def several_cells(self) -> bool:
        """Whether there are more cells than this one."""
        return self.fleet is not None and self.fleet.several

    @property
    def is_cell0(self) -> bool:
        """Whether servers wait here until it is known in which cell they are to be."""
        return self.fleet is not None and self.fleet.cell0_id == self.cell_id

    def ask(self, question: Callable[[orm.Session], T]) -> list[T]:
        """Put a question to the database of each cell that answers."""
        if self.fleet is not None and self.fleet.several:
            return self.fleet.ask(question)
        with self.cell_db.reader() as session:
            return [question(session)]

    def table_version(self) -> int:
        """Return how new the scheduler's copy of the hosts has to be."""
        if self.fleet is not None and self.fleet.several:
            return self.fleet.table_version()
        with self.cell_db.reader() as session:
            return hosts.version(session)

    def later(self, seconds: float) -> datetime.datetime:
        """Return the time some seconds from now."""
        return types.utcnow() + datetime.timedelta(seconds=seconds)

    def lease(self) -> datetime.datetime:
        """Return when a lease that is given now runs out."""
        return self.later(self.conf.operations.lease)
