"""Lists of what several cells know of hosts, put together."""

import datetime

import sqlalchemy as sa

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.host import HostTable, Hypervisor, Service
from kilonova.common.objects.host_changes import HostChanges, HostMark
from kilonova.common.objects.usage import UsageAudit
from kilonova.conductor.cells.cell import Cell
from kilonova.conductor.cells.fleet import Fleet
from kilonova.db import hosts
from kilonova.db.engine import retry
from kilonova.db.models.api import HostMapping


def list_services(
    fleet: Fleet,
    context: Ctx,
    host: str | None = None,
    binary: str | None = None,
    disabled: bool | None = None,
    unreachable: bool = False,
) -> list[Service]:
    """Cell by cell; of one that is down only its hosts are known."""
    answers = fleet.gather(
        lambda cell: cell.services.list_services(context, host, binary, disabled)
    )
    found = [service for _, part in answers for service in part]
    there = {cell.id for cell, _ in answers}
    missing = [cell for cell in fleet.cells if cell.id not in there]
    if missing and unreachable and binary in (None, hosts.COMPUTE) and disabled is None:
        found += _mapped(fleet, missing, host)
    return found


def discover_hosts(fleet: Fleet, context: Ctx) -> list[str]:
    answers = fleet.gather(lambda cell: cell.method('discover_hosts')(context))
    return [host for _, part in answers for host in part]


@retry
def _mapped(fleet: Fleet, missing: list[Cell], host: str | None) -> list[Service]:
    query = sa.select(HostMapping.host).where(
        HostMapping.cell_id.in_([cell.id for cell in missing])
    )
    if host is not None:
        query = query.where(HostMapping.host == host)
    with fleet.api_db.reader() as session:
        names = list(session.scalars(query.order_by(HostMapping.id)))
    return [
        Service(id=0, uuid='', host=name, binary=hosts.COMPUTE, unreachable=True) for name in names
    ]


def find_service(fleet: Fleet, context: Ctx, service_id: str) -> tuple[Cell, Service]:
    """Return a service and its cell.  Raises ServiceNotFound, ServiceNotUnique."""

    def look(cell: Cell) -> Service | None:
        try:
            return cell.services.get_service(context, service_id)
        except exception.ServiceNotFound:
            return None

    found = [(cell, one) for cell, one in fleet.gather(look) if one is not None]
    if len(found) > 1:
        raise exception.ServiceNotUnique
    if not found:
        raise exception.ServiceNotFound(service_id=service_id)
    return found[0]


def list_hypervisors(
    fleet: Fleet,
    context: Ctx,
    with_servers: bool = False,
    limit: int | None = None,
    marker: str | None = None,
    hostname_pattern: str | None = None,
    with_uptime: bool = False,
) -> list[Hypervisor]:
    """One cell after the other, each by its numbers; a page goes on in the marker's cell."""
    found: list[Hypervisor] = []
    for cell in fleet.cells:
        if limit is not None and len(found) >= limit:
            break
        values = {
            'with_servers': with_servers,
            'limit': None if limit is None else limit - len(found),
            'marker': marker,
            'hostname_pattern': hostname_pattern,
            'with_uptime': with_uptime,
        }
        try:
            found += cell.call('list_hypervisors', context, values)
        except exception.MarkerNotFound:
            continue
        except exception.ServiceUnavailable:
            if not cell.is_down:
                raise
            continue
        marker = None
    if marker is not None:
        raise exception.MarkerNotFound(marker=marker)
    return found


def get_usage_audit(fleet: Fleet, context: Ctx, before: datetime.datetime | None) -> UsageAudit:
    """All cells have the same periods."""
    answers = fleet.gather(lambda cell: cell.method('get_usage_audit')(context, before))
    parts: list[UsageAudit] = [part for _, part in answers]
    if not parts:
        raise exception.ServiceUnavailable('No cell answers.')
    return UsageAudit(
        period_beginning=parts[0].period_beginning,
        period_ending=parts[0].period_ending,
        hosts=sorted(host for part in parts for host in part.hosts),
        logs=sorted((log for part in parts for log in part.logs), key=lambda log: log.host),
    )


def get_host_table(fleet: Fleet, context: Ctx, image_properties: bool = False) -> HostTable:
    """The hosts of all cells that are enabled."""
    fleet.refresh()
    # The version first, as in each cell.
    version = fleet.table_version()
    wanted = [cell for cell in fleet.cells if not cell.disabled]
    answers = fleet.gather(
        lambda cell: cell.method('get_host_table')(context, image_properties), wanted
    )
    return HostTable(version=version, hosts=[host for _, table in answers for host in table.hosts])


def get_host_changes(fleet: Fleet, context: Ctx, marks: dict[str, HostMark]) -> list[HostChanges]:
    """The news of all cells that are enabled and answer; the others' hosts are not to be used."""
    fleet.refresh()
    version = fleet.table_version()
    wanted = [cell for cell in fleet.cells if not cell.disabled]
    answers = fleet.gather(lambda cell: cell.method('get_host_changes')(context, marks), wanted)
    found = [one for _, part in answers for one in part]
    for one in found:
        one.table = version
    return found
