"""Lists of what several cells know of servers, put together; and servers of a cell that is down."""

import datetime
import heapq
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.migration import Migration, MigrationQuery
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.objects.server import Server, ServerQuery
from kilonova.common.objects.usage import ServerUsage, UsagePage
from kilonova.conductor import usage as usage_endpoint
from kilonova.conductor.cells.cell import Cell
from kilonova.conductor.cells.fleet import Fleet
from kilonova.db import server_groups, server_list, server_migrations, usage
from kilonova.db.engine import retry
from kilonova.db.models.api import InstanceMapping, RequestSpecRow

NO_FLAVOR = Flavor(flavorid='', name='', memory_mb=0, vcpus=0)
UNREACHABLE = 'unreachable'


def all_answered(fleet: Fleet, answers: Sequence[tuple[Cell, Any]]) -> list[Cell]:
    """Return the cells that have not answered.  Raises ServiceUnavailable if none may be missing."""
    there = {cell.id for cell, _ in answers}
    missing = [cell for cell in fleet.cells if cell.id not in there]
    if missing and not fleet.skips_down_cells:
        raise exception.ServiceUnavailable(
            f'Cell {missing[0].uuid} is not responding but configured to not skip down cells.'
        )
    return missing


# -- servers


def list_servers(fleet: Fleet, context: Ctx, query: ServerQuery) -> list[Server]:
    """Each cell gives its part of the page; the marker may be in any of them."""
    after = _marker(fleet, query)
    answers = fleet.gather(lambda cell: cell.show.page(query, after))
    if query.unreachable:
        there = {cell.id for cell, _ in answers}
        missing = [cell for cell in fleet.cells if cell.id not in there]
    else:
        missing = all_answered(fleet, answers)
    found = _merge(query, answers)
    if query.unreachable and missing:
        known = {server.uuid for server in found}
        found += [one for one in _unreachable(fleet, missing, query) if one.uuid not in known]
    return found[: query.limit]


def _marker(fleet: Fleet, query: ServerQuery) -> Sequence[Any] | None:
    if not query.marker:
        return None
    cell = fleet.of_server(query.marker)
    if cell is None:
        raise exception.MarkerNotFound(marker=query.marker)
    with cell.reached():
        return cell.show.marker(query)


def _merge(
    query: ServerQuery, answers: Sequence[tuple[Cell, list[tuple[Sequence[Any], Server]]]]
) -> list[Server]:
    parts = [[(server_list.Rank(query, key), one) for key, one in page] for _, page in answers]
    found: dict[str, Server] = {}
    for _, server in heapq.merge(*parts, key=lambda pair: pair[0]):
        if len(found) == query.limit:
            break
        # One that goes from cell0 to its cell is in both for a moment.
        found[server.uuid] = server
    return list(found.values())


@retry
def _unreachable(fleet: Fleet, missing: list[Cell], query: ServerQuery) -> list[Server]:
    mapping, project = InstanceMapping, query.filters.get('project_id')
    wanted = sa.select(mapping).where(
        mapping.cell_id.in_([cell.id for cell in missing]), mapping.queued_for_delete.is_(False)
    )
    if project is not None:
        wanted = wanted.where(mapping.project_id == project)
    with fleet.api_db.reader() as session:
        rows = session.scalars(wanted.order_by(mapping.id).limit(query.limit))
        return [_known(row) for row in rows]


def _known(row: InstanceMapping) -> Server:
    return Server(
        uuid=row.instance_uuid,
        name='',
        project_id=row.project_id,
        user_id=row.user_id or '',
        flavor=NO_FLAVOR,
        created_at=row.created_at,
        unreachable=True,
    )


def get_server(
    fleet: Fleet,
    context: Ctx,
    uuid: str,
    project_id: str | None = None,
    expand: list[str] | None = None,
) -> Server:
    """Ask the server's cell; with ``unreachable`` in ``expand``, the API database must do."""
    values = {'uuid': uuid, 'project_id': project_id, 'expand': expand}
    cell = fleet.of_server(uuid)
    if cell is None:
        raise exception.InstanceNotFound(instance_id=uuid)
    try:
        found: Server = cell.call('get_server', context, values)
    except exception.ServiceUnavailable:
        if not cell.is_down or UNREACHABLE not in (expand or ()):
            raise
        return _get_unreachable(fleet, uuid, project_id)
    except exception.InstanceNotFound:
        now = fleet.gone_to(uuid, cell)
        if now is None:
            raise
        found = now.call('get_server', context, values)
    return found


@retry
def _get_unreachable(fleet: Fleet, uuid: str, project_id: str | None) -> Server:
    with fleet.api_db.reader() as session:
        row = session.scalars(
            sa.select(InstanceMapping).where(
                InstanceMapping.instance_uuid == uuid, InstanceMapping.queued_for_delete.is_(False)
            )
        ).one_or_none()
        if row is None or project_id not in (None, row.project_id):
            raise exception.InstanceNotFound(instance_id=uuid)
        server = _known(row)
        _add_spec(session, server)
        server.server_groups = server_groups.groups_of(session, uuid)
    return server


def _add_spec(session: Session, server: Server) -> None:
    stored = session.scalar(
        sa.select(RequestSpecRow.spec).where(RequestSpecRow.instance_uuid == server.uuid)
    )
    if stored is not None:
        spec = msgspec.convert(stored, RequestSpec)
        server.flavor, server.image = spec.flavor, spec.image
        server.availability_zone = spec.availability_zone


# -- moves and usage


def list_migrations(fleet: Fleet, context: Ctx, query: MigrationQuery) -> list[Migration]:
    """Newest first; numbers are each cell's own."""

    def begin(cell: Cell) -> list[Any] | None:
        with cell.database.reader() as session:
            try:
                return server_migrations.marker_values(session, query)
            except exception.MarkerNotFound:
                return None

    after = None
    if query.marker is not None:
        found = [values for _, values in fleet.gather(begin) if values is not None]
        if not found:
            raise exception.MarkerNotFound(marker=query.marker)
        after = found[0]

    def page(cell: Cell) -> list[Migration]:
        with cell.database.reader() as session:
            return server_migrations.page(session, query, after)

    answers = fleet.gather(page)
    all_answered(fleet, answers)
    merged = heapq.merge(*(part for _, part in answers), key=_age, reverse=True)
    return list(merged)[: query.limit]


def _age(move: Migration) -> tuple[datetime.datetime, int]:
    return move.created_at or datetime.datetime.min, move.id


def get_usage(
    fleet: Fleet,
    context: Ctx,
    start: datetime.datetime,
    end: datetime.datetime,
    project_id: str | None = None,
    detailed: bool = False,
    limit: int | None = None,
    marker: str | None = None,
) -> UsagePage:
    """By project and uuid, over all cells."""
    after = _usage_marker(fleet, marker, project_id) if marker is not None else None

    def part(cell: Cell) -> list[ServerUsage]:
        with cell.database.reader() as session:
            found = usage.servers(
                session, start, end, project_id=project_id, limit=limit, after=after
            )
            return list(found)

    answers = fleet.gather(part)
    all_answered(fleet, answers)
    merged = heapq.merge(*(one for _, one in answers), key=lambda s: (s.project_id, s.uuid))
    return usage_endpoint.add_up(list(merged)[:limit], start, end, detailed)


def _usage_marker(fleet: Fleet, marker: str, project_id: str | None) -> tuple[str, str]:
    cell = fleet.of_server(marker)
    if cell is None:
        raise exception.MarkerNotFound(marker=marker)
    with cell.reached(), cell.database.reader() as session:
        return usage.project_of(session, marker, project_id), marker
