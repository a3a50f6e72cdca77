"""What a server counts for its project's quota, once it is there.

Our own limits count a server's processors and memory for as long as it exists, of two flavors
that it holds the larger one, so that neither way may fail for want of quota.  Those of
Keystone count what it has claimed in placement: nothing without a host, both flavors until a
resize has ended.  Booking and server are in two databases: the sweep corrects what a
conductor that died in between has left.
"""

import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import resources
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Parts
from kilonova.db import quotas, server_migrations, servers, types, unified_limits
from kilonova.db.engine import retry
from kilonova.db.models.api import InstanceMapping, RequestSpecRow
from kilonova.db.models.servers import InstanceRow, table_of

LOG = logging.getLogger(__name__)

MAPPINGS = table_of(InstanceMapping)
BATCH = 500


def request_spec(parts: Parts, server: Server) -> RequestSpec:
    """Return what was asked for, as it is now: without the host that it was forced to."""
    with parts.api_db.reader() as session:
        stored = session.scalar(
            sa.select(RequestSpecRow.spec).where(RequestSpecRow.instance_uuid == server.uuid)
        )
    flavor = server.flavor
    if stored is None:
        spec = RequestSpec(
            flavor=flavor,
            image=server.image,
            project_id=server.project_id,
            user_id=server.user_id,
            availability_zone=server.requested_zone,
            scheduler_hints=server.scheduler_hints,
        )
    else:
        spec = msgspec.convert(stored, RequestSpec)
    return with_flavor(
        msgspec.structs.replace(
            spec,
            availability_zone=server.requested_zone,
            forced_host=None,
            forced_node=None,
            requested_host=None,
            requested_hypervisor_hostname=None,
            ignore_hosts=[],
            is_bfv=server.boots_from_volume,
        ),
        flavor,
    )


def with_flavor(spec: RequestSpec, flavor: Flavor) -> RequestSpec:
    """Return the request for another flavor."""
    return msgspec.structs.replace(
        spec, flavor=flavor, swap_mb=flavor.swap, ephemeral_gb=flavor.ephemeral_gb
    )


def taken(server: Server, flavor: Flavor) -> dict[str, int]:
    """Return what a server takes of placement's resource classes with a flavor."""
    spec = RequestSpec(
        flavor=flavor,
        image=server.image,
        project_id=server.project_id,
        user_id=server.user_id,
        is_bfv=server.boots_from_volume,
    )
    return resources.total(spec)


@retry
def book(parts: Parts, server: Server, flavor: Flavor) -> None:
    """Count a second flavor beside the server's own.  Raises QuotaExceeded."""
    old, gets = server.flavor, taken(server, flavor)
    with parts.api_db.transaction() as session:
        if flavor.id != old.id:
            quotas.check_growth(
                session,
                parts.conf,
                server.project_id,
                server.user_id,
                vcpus=flavor.vcpus - old.vcpus,
                memory_mb=flavor.memory_mb - old.memory_mb,
                resources=gets,
            )
        _write(
            session,
            server.uuid,
            vcpus=max(old.vcpus, flavor.vcpus),
            memory_mb=max(old.memory_mb, flavor.memory_mb),
            resources=unified_limits.encode(taken(server, old), gets),
        )


@retry
def book_again(parts: Parts, server: Server) -> None:
    """Count what a server without a host is about to claim.  Raises ProjectOverLimit."""
    gets = taken(server, server.flavor)
    with parts.api_db.transaction() as session:
        quotas.check_growth(
            session,
            parts.conf,
            server.project_id,
            server.user_id,
            vcpus=0,
            memory_mb=0,
            resources=gets,
        )
        _write(session, server.uuid, resources=unified_limits.encode(gets))


@retry
def count(parts: Parts, server: Server, flavor: Flavor) -> None:
    """Count one flavor."""
    resources_now = unified_limits.encode(taken(server, flavor))
    with parts.api_db.transaction() as session:
        _write(
            session,
            server.uuid,
            vcpus=flavor.vcpus,
            memory_mb=flavor.memory_mb,
            resources=resources_now,
        )


@retry
def set_aside(parts: Parts, uuid: str) -> None:
    """Count nothing of placement for a server that has given back what it claimed."""
    with parts.api_db.transaction() as session:
        _write(session, uuid, resources=unified_limits.NOTHING)


def _write(session: Session, uuid: str, **values: Any) -> None:
    session.execute(
        sa.update(MAPPINGS)
        .where(MAPPINGS.c.instance_uuid == uuid)
        .values(updated_at=types.utcnow(), **values)
    )


class Booking(NamedTuple):
    """``resources``: None when an older release has booked it."""

    vcpus: int
    memory_mb: int
    resources: str | None


class Size(NamedTuple):
    """What a server is that neither moves nor is worked on."""

    vcpus: int
    memory_mb: int
    has_host: bool

    def fits(self, booking: Booking) -> bool:
        if (self.vcpus, self.memory_mb) != booking[:2]:
            return False
        nothing = booking.resources == unified_limits.NOTHING
        return nothing != self.has_host and not unified_limits.is_double(booking.resources)


@retry
def _at_rest(parts: Parts, uuids: list[str]) -> dict[str, Size]:
    """Return the sizes of those servers that neither move nor are worked on."""
    c, m = table_of(InstanceRow).c, server_migrations.MIGRATIONS.c
    moving = sa.select(m.instance_uuid).where(
        m.instance_uuid.in_(uuids), m.status.in_(server_migrations.OPEN)
    )
    query = sa.select(c.uuid, c.vcpus, c.memory_mb, c.host.is_not(None)).where(
        c.uuid.in_(uuids), c.deleted == 0, c.operation.is_(None), c.uuid.not_in(moving)
    )
    with parts.cell_db.reader() as session:
        return {uuid: Size(*size) for uuid, *size in session.execute(query)}


@retry
def _correct(parts: Parts, uuid: str, size: Size) -> None:
    now = unified_limits.NOTHING
    if size.has_host:
        with parts.cell_db.reader() as session:
            server = servers.get(session, uuid)
        now = unified_limits.encode(taken(server, server.flavor))
    with parts.api_db.transaction() as session:
        _write(session, uuid, vcpus=size.vcpus, memory_mb=size.memory_mb, resources=now)


def settle(parts: Parts, uuid: str) -> None:
    """Take back what was booked for a request that was then refused.

    Where another request was quicker, that one ends with the right booking.
    """
    for size in _at_rest(parts, [uuid]).values():
        _correct(parts, uuid, size)


class Sizes:
    """Looks now and then at the bookings that have changed since the last look."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._since: datetime.datetime | None = None

    def sweep(self) -> int:
        """Correct what is not the server's size and not that of a move; returns how many."""
        age = datetime.timedelta(seconds=self._parts.conf.operations.booking_time)
        until = types.utcnow() - age
        if self._since is not None and until < self._since:
            return 0
        booked = self._booked(self._since, until)
        uuids = list(booked)
        wrong = {
            uuid: size
            for start in range(0, len(uuids), BATCH)
            for uuid, size in _at_rest(self._parts, uuids[start : start + BATCH]).items()
            if not size.fits(booked[uuid])
        }
        for uuid, size in wrong.items():
            LOG.warning('Server %s is booked as %s, but is %s', uuid, booked[uuid], size)
            _correct(self._parts, uuid, size)
        self._since = until - age
        return len(wrong)

    @retry
    def _booked(
        self, since: datetime.datetime | None, until: datetime.datetime
    ) -> dict[str, Booking]:
        c = MAPPINGS.c
        query = sa.select(c.instance_uuid, c.vcpus, c.memory_mb, c.resources).where(
            c.queued_for_delete.is_(False), c.updated_at <= until
        )
        if self._parts.cell_id is not None:
            query = query.where(c.cell_id == self._parts.cell_id)
        if since is not None:
            query = query.where(c.updated_at >= since)
        with self._parts.api_db.reader() as session:
            return {uuid: Booking(*booking) for uuid, *booking in session.execute(query)}
