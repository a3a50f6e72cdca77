"""Quota that was booked for servers which were then never recorded.

Quota and server are in two databases; a conductor that dies between the two transactions
leaves a mapping without a server.  Nothing had been promised, so it is removed.
"""

import datetime

import sqlalchemy as sa
from oslo_log import log as logging

from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import reserve
from kilonova.db import server_groups, types
from kilonova.db.engine import retry
from kilonova.db.models.api import InstanceMapping, RequestSpecRow
from kilonova.db.models.servers import InstanceRow

LOG = logging.getLogger(__name__)

BATCH = 500
OVERLAP = datetime.timedelta(minutes=10)


class Bookings:
    """Looks now and then; each look begins a little before the end of the last."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._since: datetime.datetime | None = None

    def sweep(self) -> int:
        """Remove what is old enough; returns how many bookings."""
        age = datetime.timedelta(seconds=self._parts.conf.operations.booking_time)
        until = types.utcnow() - age
        if self._since is not None and until < self._since:
            return 0
        if self._parts.fleet is not None and not self._parts.fleet.complete:
            return 0  # a cell that is down may have the server
        found = self._find(self._since, until)
        lost = [uuid for start in range(0, len(found), BATCH)
                for uuid in self._without_server(found[start : start + BATCH])]  # fmt: skip
        if lost:
            LOG.warning('Booked quota is given back for servers %s', ', '.join(lost))
            left = self._release_volumes(lost)
            self._remove([uuid for uuid in lost if uuid not in left])
            if left:
                return len(lost) - len(left)  # the next look begins where this one did
        self._since = until - OVERLAP
        return len(lost)

    @retry
    def _find(self, since: datetime.datetime | None, until: datetime.datetime) -> list[str]:
        mapping = InstanceMapping
        query = sa.select(mapping.instance_uuid).where(
            mapping.queued_for_delete.is_(False), mapping.created_at <= until
        )
        if self._parts.cell_id is not None:
            query = query.where(mapping.cell_id == self._parts.cell_id)
        if since is not None:
            query = query.where(mapping.created_at >= since)
        with self._parts.api_db.reader() as session:
            return list(session.scalars(query))

    @retry
    def _without_server(self, uuids: list[str]) -> list[str]:
        query = sa.select(InstanceRow.uuid).where(InstanceRow.uuid.in_(uuids))
        # What was booked for cell0 may be on its way to any cell.
        answers = self._parts.ask(lambda session: set(session.scalars(query)))
        known = set().union(*answers)
        return [uuid for uuid in uuids if uuid not in known]

    @retry
    def _release_volumes(self, uuids: list[str]) -> list[str]:
        """Free what had been reserved before the servers were recorded; returns for whom it failed."""
        with self._parts.api_db.reader() as session:
            query = sa.select(RequestSpecRow.instance_uuid, RequestSpecRow.spec)
            rows = session.execute(query.where(RequestSpecRow.instance_uuid.in_(uuids)))
            having = [uuid for uuid, spec in rows if spec.get('has_volumes')]
        return [uuid for uuid in having if not reserve.undo(self._parts, [uuid])]

    @retry
    def _remove(self, uuids: list[str]) -> None:
        with self._parts.api_db.transaction() as session:
            server_groups.leave(session, uuids)
            for model in (RequestSpecRow, InstanceMapping):
                session.execute(sa.delete(model).where(model.instance_uuid.in_(uuids)))
