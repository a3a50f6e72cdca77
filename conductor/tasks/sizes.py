"""What a server that changes its flavor counts for its project's quota.

While both flavors are held the larger one counts, so that neither way may fail for want of
quota.  Booking and server are in two databases: the sweep corrects what a conductor that
died in between has left.
"""

import datetime

import msgspec
import sqlalchemy as sa
from oslo_log import log as logging

from kilonova.common import resources
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.objects.server import Server
from kilonova.conductor.parts import Parts
from kilonova.db import quotas, server_migrations, types, unified_limits
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
    """Count the larger of two flavors.  Raises QuotaExceeded."""
    old = server.flavor
    had, gets = taken(server, old), taken(server, flavor)
    larger = {name: max(had.get(name, 0), gets.get(name, 0)) for name in had | gets}
    with parts.api_db.transaction() as session:
        quotas.check_growth(
            session,
            parts.conf,
            server.project_id,
            server.user_id,
            vcpus=flavor.vcpus - old.vcpus,
            memory_mb=flavor.memory_mb - old.memory_mb,
            resources={name: amount - had.get(name, 0) for name, amount in gets.items()},
        )
        session.execute(
            sa.update(MAPPINGS)
            .where(MAPPINGS.c.instance_uuid == server.uuid)
            .values(
                vcpus=max(old.vcpus, flavor.vcpus),
                memory_mb=max(old.memory_mb, flavor.memory_mb),
                resources=unified_limits.encode(larger),
                updated_at=types.utcnow(),
            )
        )


@retry
def count(parts: Parts, server: Server, flavor: Flavor) -> None:
    """Count one flavor."""
    resources_now = unified_limits.encode(taken(server, flavor))
    with parts.api_db.transaction() as session:
        session.execute(
            sa.update(MAPPINGS)
            .where(MAPPINGS.c.instance_uuid == server.uuid)
            .values(
                vcpus=flavor.vcpus,
                memory_mb=flavor.memory_mb,
                resources=resources_now,
                updated_at=types.utcnow(),
            )
        )


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
            for uuid, size in self._sizes(uuids[start : start + BATCH]).items()
            if size != booked[uuid]
        }
        for uuid, size in wrong.items():
            LOG.warning('Server %s is booked as %s, but is %s', uuid, booked[uuid], size)
            self._correct(uuid, size)
        self._since = until - age
        return len(wrong)

    @retry
    def _booked(
        self, since: datetime.datetime | None, until: datetime.datetime
    ) -> dict[str, tuple[int, int]]:
        c = MAPPINGS.c
        query = sa.select(c.instance_uuid, c.vcpus, c.memory_mb).where(
            c.queued_for_delete.is_(False), c.updated_at <= until
        )
        if self._parts.cell_id is not None:
            query = query.where(c.cell_id == self._parts.cell_id)
        if since is not None:
            query = query.where(c.updated_at >= since)
        with self._parts.api_db.reader() as session:
            return {uuid: (vcpus, ram) for uuid, vcpus, ram in session.execute(query)}

    @retry
    def _sizes(self, uuids: list[str]) -> dict[str, tuple[int, int]]:
        """Return the sizes of servers that do not move."""
        c, m = table_of(InstanceRow).c, server_migrations.MIGRATIONS.c
        moving = sa.select(m.instance_uuid).where(
            m.instance_uuid.in_(uuids), m.status.in_(server_migrations.OPEN)
        )
        query = sa.select(c.uuid, c.vcpus, c.memory_mb).where(
            c.uuid.in_(uuids), c.deleted == 0, c.uuid.not_in(moving)
        )
        with self._parts.cell_db.reader() as session:
            return {uuid: (vcpus, ram) for uuid, vcpus, ram in session.execute(query)}

    @retry
    def _correct(self, uuid: str, size: tuple[int, int]) -> None:
        with self._parts.api_db.transaction() as session:
            session.execute(
                sa.update(MAPPINGS)
                .where(MAPPINGS.c.instance_uuid == uuid)
                .values(vcpus=size[0], memory_mb=size[1], resources=None, updated_at=types.utcnow())
            )
