"""What has changed of the host table since a scheduler looked last.

A look costs a handful of statements, and reads no more rows than have changed: nodes and servers
carry the time of their last change, and the table's version tells of the rest.
"""

import datetime
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.host import HostState, Service
from kilonova.common.objects.host_changes import HostChanges, HostMark, Occupied, ServerPlace
from kilonova.conductor.hypervisors import node_query
from kilonova.db import aggregates, hosts, layouts, types
from kilonova.db.engine import Database, retry
from kilonova.db.models.cell import ComputeNodeRow, ServiceRow
from kilonova.db.models.servers import InstanceRow, table_of

PAGE = 1000
"""Nodes in one answer of a first look."""

OVERLAP = datetime.timedelta(seconds=30)
"""A transaction may end this long after it has taken the time that it writes down."""

INSTANCES = table_of(InstanceRow)


class HostTableChanges:
    """Endpoint."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        api_db: Database,
        cell_db: Database,
        cell_id: int | None = None,
    ) -> None:
        self._conf, self._api, self._cell, self._cell_id = conf, api_db, cell_db, cell_id

    @retry
    def get_host_changes(self, context: Ctx, marks: dict[str, HostMark]) -> list[HostChanges]:
        mark = marks.get(str(self._cell_id))
        if mark is None or mark.after is not None:
            return [self._page(mark)]
        return [self._since(mark)]

    def _page(self, mark: HostMark | None) -> HostChanges:
        """Return the next nodes of a first look; servers come with the last."""
        after = mark.after if mark is not None else None
        with self._cell.reader() as session:
            at = mark.at if mark else types.utcnow() - OVERLAP
            version = mark.version if mark else hosts.version(session)
            query = node_query().where(ComputeNodeRow.id > (after or 0)).limit(PAGE)
            rows = session.execute(query).all()
            found = HostChanges(
                cell_id=self._cell_id,
                mark=HostMark(version=version, at=at),
                first=after is None,
                hosts=self._states(rows),
            )
            if len(rows) == PAGE:
                found.mark.after = rows[-1][0].id
                return found
            self._complete(session, found, None)
        return found

    def _since(self, mark: HostMark) -> HostChanges:
        with self._cell.reader() as session:
            now = types.utcnow() - OVERLAP
            # The version first: what changes while we read makes the table newer than it says.
            version = hosts.version(session)
            found = HostChanges(cell_id=self._cell_id, mark=HostMark(version=version, at=now))
            if version != mark.version:
                changed = sa.or_(
                    ComputeNodeRow.updated_at >= mark.at, ComputeNodeRow.created_at >= mark.at
                )
                found.hosts = self._states(session.execute(node_query().where(changed)).all())
            self._complete(session, found, mark)
        return found

    def _complete(self, session: Session, found: HostChanges, mark: HostMark | None) -> None:
        found.nodes = session.scalar(sa.select(sa.func.count()).select_from(_joined())) or 0
        found.servers, laid_out = _places(session, mark.at if mark else None)
        found.troubled = self._troubled(session)
        if laid_out or mark is None:
            found.occupied = _occupied(session)
        if mark is None or found.mark.version != mark.version:
            with self._api.reader() as api:
                found.aggregates = aggregates.find_all(api)
            found.default_zone = self._conf.default_availability_zone

    def _states(self, rows: Any) -> list[HostState]:
        return [
            HostState(
                node=hosts.to_node(node),
                service=hosts.to_service(service, self._conf.service_down_time),
                failed_builds=node.failed_builds,
            )
            for node, service in rows
        ]

    def _troubled(self, session: Session) -> list[Service]:
        """Return compute services that are disabled, forced down or silent."""
        down_time = self._conf.service_down_time
        since = types.utcnow() - datetime.timedelta(seconds=down_time)
        query = sa.select(ServiceRow).where(
            ServiceRow.binary == hosts.COMPUTE,
            sa.or_(
                ServiceRow.disabled.is_(True),
                ServiceRow.forced_down.is_(True),
                ServiceRow.last_seen_up.is_(None),
                ServiceRow.last_seen_up < since,
            ),
        )
        return [hosts.to_service(row, down_time) for row in session.scalars(query)]


def _joined() -> Any:
    return sa.join(
        ComputeNodeRow,
        ServiceRow,
        sa.and_(ServiceRow.host == ComputeNodeRow.host, ServiceRow.binary == hosts.COMPUTE),
    )


def _places(session: Session, since: datetime.datetime | None) -> tuple[list[ServerPlace], bool]:
    """Return where servers are, and whether any of them has nodes or devices of its own."""
    c = INSTANCES.c
    disk = sa.case((c.image_id == '', 0), else_=c.root_gb) + c.ephemeral_gb
    busy = sa.case((sa.or_(c.vm_state == 'building', c.task_state.in_(hosts.IO_TASKS)), 1), else_=0)
    special = sa.case(
        (sa.or_(c.numa_topology.is_not(None), c.pci_devices.is_not(None)), 1), else_=0
    )
    query = sa.select(
        c.uuid, c.host, c.node, c.project_id, c.vcpus, c.memory_mb, disk, busy, c.deleted, special
    )
    if since is None:
        query = query.where(c.deleted == 0, c.host.is_not(None))
    else:
        query = query.where(c.updated_at >= since)
    places, laid_out = [], False
    for (
        uuid,
        host,
        node,
        project_id,
        vcpus,
        memory_mb,
        disk_gb,
        is_busy,
        deleted,
        own,
    ) in session.execute(query):
        laid_out = laid_out or bool(own)
        if deleted or not host:
            places.append(ServerPlace(uuid, deleted=bool(deleted)))
        else:
            places.append(
                ServerPlace(
                    uuid, host, node or '', project_id, vcpus, memory_mb, disk_gb, bool(is_busy)
                )
            )
    return places, laid_out


def _occupied(session: Session) -> list[Occupied]:
    return [
        Occupied(
            host=host,
            node=node,
            guests=list(taken.guests.values()),
            devices=sorted(taken.devices),
        )
        for (host, node), taken in layouts.taken(session).items()
    ]
