"""All cells of the deployment: found in the API database, opened, asked together.

Mappings are read again now and then, so a cell that is mapped while we run is served soon.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import sqlalchemy as sa
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import concurrency, exception, rpc
from kilonova.conductor.cells import moving
from kilonova.conductor.cells.cell import Cell, Place, Shared
from kilonova.conductor.tasks.work import Work
from kilonova.db import cells, hosts
from kilonova.db.engine import Database, impatient, retry
from kilonova.db.models.api import CellMapping, HostMapping, InstanceMapping

LOG = logging.getLogger(__name__)
T = TypeVar('T')

TIME_LIMIT = 10.0
"""Seconds that a cell has for its part of a list."""

REMEMBERED = 100_000
HOSTS_AGE = 60.0
"""Seconds until the mapping of a host is read again: an operator may move a host."""


class Fleet:
    """The cells; ``own`` is the one of ``[database]connection``.

    ``on_new(cell)`` runs for each cell that is found later.
    """

    def __init__(
        self,
        shared: Shared,
        own: CellMapping,
        database: Database,
        on_new: Callable[[Cell], None] = lambda cell: None,
    ) -> None:
        self._shared, self._on_new = shared, on_new
        self.api_db = shared.api_db
        self._changing = threading.Lock()
        self._servers: dict[str, int] = {}
        self._hosts: dict[str, int] = {}
        self._hosts_read = time.monotonic()
        self._versions: dict[int, int] = {}
        place = Place(own.id, own.uuid, own.name, database, shared.transport)
        self.own = Cell(shared, place, self)
        self._cells = {own.id: self.own}

    # -- which there are

    @retry
    def refresh(self) -> None:
        """Look which cells are mapped; cell0 counts from the second one on."""
        with self.api_db.reader() as session:
            mappings = cells.find_all(session)
        with self._changing:
            several = len(mappings) > 2 or self.own.uuid == cells.CELL0_UUID
            for mapping in mappings:
                if mapping.id not in self._cells and several:
                    self._open(mapping)
                if mapping.id in self._cells:
                    self._cells[mapping.id].disabled = mapping.disabled
            for gone in self._cells.keys() - {mapping.id for mapping in mappings}:
                if gone != self.own.id:
                    self._cells.pop(gone).stop(0)

    def _open(self, mapping: CellMapping) -> None:
        conf = self._shared.conf
        try:
            database = Database(cells.database_url(conf, mapping), conf.database)
            cell = Cell(self._shared, self._place(mapping, database), self)
        except (ValueError, ImportError, sa.exc.ArgumentError, exception.KilonovaError) as error:
            LOG.error('Cell %s cannot be used: %s', mapping.name or mapping.uuid, error)
            return
        self._cells[mapping.id] = cell
        cell.start()
        self._on_new(cell)
        LOG.info('Cell %s is served', cell.name)

    def _place(self, mapping: CellMapping, database: Database) -> Place:
        conf, own = self._shared.conf, self._shared.transport
        url = cells.expand(mapping.transport_url or '', conf.transport_url)
        is_ours = mapping.uuid == cells.CELL0_UUID or url in ('', conf.transport_url)
        transport = own if is_ours else rpc.get_transport(conf, url)
        return Place(mapping.id, mapping.uuid, mapping.name, database, transport)

    @property
    def cells(self) -> list[Cell]:
        """All cells, cell0 first."""
        found = sorted(self._cells.values(), key=lambda cell: cell.id)
        return sorted(found, key=lambda cell: cell.uuid != cells.CELL0_UUID)

    @property
    def several(self) -> bool:
        return len(self._cells) > 1 or self.own.uuid == cells.CELL0_UUID

    @property
    def cell0(self) -> Cell:
        """Raises CellMappingNotFound."""
        for cell in self._cells.values():
            if cell.uuid == cells.CELL0_UUID:
                return cell
        raise exception.CellMappingNotFound(uuid=cells.CELL0_UUID)

    @property
    def cell0_id(self) -> int | None:
        found = [cell.id for cell in self._cells.values() if cell.uuid == cells.CELL0_UUID]
        return found[0] if found else None

    @property
    def complete(self) -> bool:
        return not any(cell.is_down for cell in self._cells.values())

    @property
    def skips_down_cells(self) -> bool:
        """Whether lists leave out what is in a cell that is down."""
        skips: bool = self._shared.conf.api.list_records_by_skipping_down_cells
        return skips

    def stop(self, timeout: float | None = None) -> None:
        """Stop all of them."""
        for cell in self._cells.values():
            cell.stop(timeout)

    # -- what is where

    def of_server(self, uuid: str) -> Cell | None:
        """Return the cell in which a server is, deleted or not; None: it is not mapped."""
        number = self._servers.get(uuid) or self._look_up_server(uuid)
        return self._cells.get(number) if number is not None else None

    @retry
    def _look_up_server(self, uuid: str) -> int | None:
        query = sa.select(InstanceMapping.cell_id).where(InstanceMapping.instance_uuid == uuid)
        with self.api_db.reader() as session:
            number = session.scalar(query)
        # Only what is in cell0 may still go to another cell.
        if number is not None and number != self.cell0_id:
            if len(self._servers) >= REMEMBERED:
                self._servers.clear()
            self._servers[uuid] = number
        return number

    def gone_to(self, uuid: str, cell: Cell) -> Cell | None:
        """Return where a server is that was not found in ``cell``; None: nowhere else.

        While one leaves cell0 its mapping is locked, and says afterwards where it went.
        """
        if cell.id == self.cell0_id:
            self._wait_for_move(uuid)
        now = self.of_server(uuid)
        return None if now is cell else now

    @retry
    def _wait_for_move(self, uuid: str) -> None:
        with self.api_db.transaction() as session:
            moving.lock(session, uuid)

    @retry
    def of_servers(self, uuids: Iterable[str]) -> dict[str, Cell]:
        """Return the cells of those servers that are mapped: one statement."""
        wanted = sa.select(InstanceMapping.instance_uuid, InstanceMapping.cell_id).where(
            InstanceMapping.instance_uuid.in_(set(uuids))
        )
        with self.api_db.reader() as session:
            rows = session.execute(wanted).all()
        return {uuid: self._cells[cell] for uuid, cell in rows if cell in self._cells}

    def of_host(self, host: str) -> Cell | None:
        """Return the cell of a compute host; None: it is not mapped."""
        if time.monotonic() - self._hosts_read > HOSTS_AGE:
            self._hosts, self._hosts_read = {}, time.monotonic()
        number = self._hosts.get(host) or self._look_up_host(host)
        return self._cells.get(number) if number is not None else None

    @retry
    def _look_up_host(self, host: str) -> int | None:
        with self.api_db.reader() as session:
            number = session.scalar(sa.select(HostMapping.cell_id).where(HostMapping.host == host))
        if number is not None:
            self._hosts[host] = number
        return number

    def forget_host(self, host: str) -> None:
        """Read a host's mapping again when it is needed."""
        self._hosts.pop(host, None)

    # -- asking several

    def gather(
        self, question: Callable[[Cell], T], among: list[Cell] | None = None
    ) -> list[tuple[Cell, T]]:
        """Ask cells at the same time; those that are down, or too slow, are left out.

        cell0 is asked before the others: a server that leaves it is in the other cell first.
        """
        asked = [cell for cell in self.cells if among is None or cell in among]
        first = [cell for cell in asked if cell.id == self.cell0_id]
        rest = [cell for cell in asked if cell.id != self.cell0_id]
        return [*self._gather(question, first), *self._gather(question, rest)]

    @staticmethod
    def _gather(question: Callable[[Cell], T], asked: list[Cell]) -> list[tuple[Cell, T]]:
        def ask(cell: Cell) -> T:
            with impatient(), cell.reached():
                return question(cell)

        found: list[tuple[Cell, T]] = []
        if len(asked) == 1:
            with contextlib.suppress(exception.ServiceUnavailable):
                found.append((asked[0], ask(asked[0])))
            return found
        deadline = time.monotonic() + TIME_LIMIT
        waiting = [(cell, concurrency.spawn(ask, cell)) for cell in asked if not cell.is_down]
        for cell, future in waiting:
            try:
                found.append((cell, future.result(max(deadline - time.monotonic(), 0))))
            except exception.ServiceUnavailable:
                continue
            except TimeoutError:
                cell.mark_down(f'no answer within {TIME_LIMIT} seconds')
        return found

    def ask(self, question: Callable[[Session], T]) -> list[T]:
        def run(cell: Cell) -> T:
            with cell.database.reader() as session:
                return question(session)

        return [answer for _, answer in self.gather(run)]

    def table_version(self) -> int:
        """Sum the cells' versions up; of one that is down the last one known counts."""

        def read(cell: Cell) -> int:
            with cell.database.reader() as session:
                return hosts.version(session)

        for cell, version in self.gather(read):
            self._versions[cell.id] = version
        return sum(self._versions[cell.id] for cell in self.cells if cell.id in self._versions)

    # -- from cell0 to where the host is

    @contextlib.contextmanager
    def _reaching(self, number: int) -> Iterator[Cell]:
        cell = self._cells.get(number)
        if cell is None:
            raise exception.ServiceUnavailable(f'Cell {number} is not served.')
        with cell.reached():
            yield cell

    def move(
        self, build: Work, cell_id: int, place: Callable[[Session, Session], bool]
    ) -> bool | None:
        uuid, fence = build.server.uuid, build.operation.fence
        with self._reaching(cell_id) as target:
            moved = moving.move(self.api_db, self.cell0, target, uuid, fence, place)
        if moved:
            target.build.arrived(build)
        return moved

    def is_here(self, uuid: str, cell_id: int) -> bool:
        cell = self._cells[cell_id]
        return moving.settle(self.api_db, self.cell0, cell, uuid)
