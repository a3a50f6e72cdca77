"""Host aggregates, and their mirror in placement.

The scheduler asks placement for the hosts of a zone, so a membership that placement does
not know would not count: it is undone when placement refuses or does not answer.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log as logging
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.clients import placement as placement_client
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.host import Aggregate
from kilonova.db import aggregates, cells, errors, hosts
from kilonova.db.engine import Database, affected, retry
from kilonova.db.models.api import AggregateHost, AggregateMetadata, AggregateRow
from kilonova.db.models.cell import ComputeNodeRow, ServiceRow

LOG = logging.getLogger(__name__)
ZONE = aggregates.ZONE
Ask = Callable[[Callable[[Session], Any]], list[Any]]


class Aggregates:
    """Endpoint.  Memberships are in the API database, hosts and servers in the cell's.

    ``ask`` puts a question to every cell's database: an aggregate may have hosts of several.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        api_db: Database,
        cell_db: Database,
        placement: placement_client.Placement,
        ask: Ask | None = None,
    ) -> None:
        self._conf, self._api, self._cell, self._placement = conf, api_db, cell_db, placement
        self._ask = ask or self._ask_own

    def _ask_own(self, question: Callable[[Session], Any]) -> list[Any]:
        with self._cell.reader() as session:
            return [question(session)]

    @retry
    def list_aggregates(self, context: Ctx) -> list[Aggregate]:
        with self._api.reader() as session:
            return aggregates.find_all(session)

    @retry
    def get_aggregate(self, context: Ctx, aggregate_id: int) -> Aggregate:
        with self._api.reader() as session:
            return aggregates.to_aggregate(aggregates.get(session, aggregate_id))

    @retry
    def create_aggregate(self, context: Ctx, name: str, availability_zone: str | None) -> Aggregate:
        row = AggregateRow(uuid=str(uuid.uuid4()), name=name, hosts=[], items=[])
        if availability_zone:
            row.items.append(AggregateMetadata(key=ZONE, value=availability_zone))
        with _unique_name(name), self._api.transaction() as session:
            session.add(row)
            session.flush()
            return aggregates.to_aggregate(row)

    @retry
    def update_aggregate(
        self, context: Ctx, aggregate_id: int, changes: dict[str, Any]
    ) -> Aggregate:
        with _unique_name(changes.get('name')), self._api.transaction() as session:
            row = aggregates.get(session, aggregate_id, lock=True)
            if ZONE in changes:
                self._check_zone(session, row, changes[ZONE], 'update aggregate')
                _set_items(row, {ZONE: changes[ZONE]})
            if 'name' in changes:
                row.name = changes['name']
            session.flush()
            aggregate = aggregates.to_aggregate(row)
        self._bump()
        return aggregate

    @retry
    def set_aggregate_metadata(
        self, context: Ctx, aggregate_id: int, metadata: dict[str, str | None]
    ) -> Aggregate:
        with self._api.transaction() as session:
            row = aggregates.get(session, aggregate_id, lock=True)
            if ZONE in metadata:
                self._check_zone(session, row, metadata[ZONE], 'update aggregate metadata')
            _set_items(row, metadata)
            session.flush()
            aggregate = aggregates.to_aggregate(row)
        self._bump()
        return aggregate

    @retry
    def delete_aggregate(self, context: Ctx, aggregate_id: int) -> None:
        with self._api.transaction() as session:
            row = aggregates.get(session, aggregate_id, lock=True)
            if row.hosts:
                raise _refused('delete', aggregate_id, 'Host aggregate is not empty')
            session.delete(row)
        self._bump()

    # -- members

    def add_aggregate_host(self, context: Ctx, aggregate_id: int, host: str) -> Aggregate:
        nodes = self._nodes(host)
        aggregate = self._add_member(aggregate_id, host)
        try:
            for node in nodes:
                self._mirror(node, aggregate.uuid, member=True)
        except exception.KilonovaError:
            self._drop_member(aggregate_id, host)
            raise
        self._bump()
        return aggregate

    def remove_aggregate_host(self, context: Ctx, aggregate_id: int, host: str) -> Aggregate:
        aggregate = self._drop_member(aggregate_id, host, check=True)
        try:
            for node in self._nodes(host, must_exist=False):
                self._mirror(node, aggregate.uuid, member=False)
        except exception.KilonovaError:
            self._add_member(aggregate_id, host, check=False)
            raise
        self._bump()
        return aggregate

    def mirror_host(self, host: str) -> None:
        """Tell placement again of all the aggregates that a host is in."""
        with self._api.reader() as session:
            uuids = [row.uuid for row in aggregates.of_host(session, host)]
        for node in self._nodes(host, must_exist=False) if uuids else ():
            for aggregate in uuids:
                self._mirror(node, aggregate, member=True)

    def leave_all(self, host: str) -> None:
        """Take a host that goes away out of every aggregate; its providers are gone."""
        with self._api.transaction() as session:
            gone = affected(session, sa.delete(AggregateHost).where(AggregateHost.host == host))
        if gone:
            self._bump()

    @retry
    def _nodes(self, host: str, must_exist: bool = True) -> list[str]:
        """Return the uuids of a host's nodes, which are its resource providers."""
        with self._cell.reader() as session:
            nodes = list(
                session.scalars(sa.select(ComputeNodeRow.uuid).where(ComputeNodeRow.host == host))
            )
            known = session.scalar(
                sa.select(sa.func.count(ServiceRow.id)).where(
                    ServiceRow.host == host, ServiceRow.binary == hosts.COMPUTE
                )
            )
        if must_exist and not known:
            with self._api.reader() as session:
                cells.host_mapping(session, host)
            raise exception.ComputeHostNotFound(host=host)
        return nodes

    @retry
    def _add_member(self, aggregate_id: int, host: str, check: bool = True) -> Aggregate:
        with self._api.transaction() as session:
            row = aggregates.get(session, aggregate_id, lock=True)
            cells.host_mapping(session, host)
            if host in {member.host for member in row.hosts}:
                raise exception.AggregateHostExists(aggregate_id=aggregate_id, host=host)
            zone = aggregates.to_aggregate(row).availability_zone
            if check and zone is not None:
                self._check_conflict(session, row.id, zone, [host], 'add host to aggregate')
                self._check_move(session, row.id, zone, host, 'add host to aggregate')
            row.hosts.append(AggregateHost(host=host))
            session.flush()
            return aggregates.to_aggregate(row)

    @retry
    def _drop_member(self, aggregate_id: int, host: str, check: bool = False) -> Aggregate:
        with self._api.transaction() as session:
            row = aggregates.get(session, aggregate_id, lock=True)
            found = [member for member in row.hosts if member.host == host]
            if not found:
                raise exception.AggregateHostNotFound(aggregate_id=aggregate_id, host=host)
            zone = aggregates.to_aggregate(row).availability_zone
            if check and zone is not None:
                # Without this aggregate the host has the zone of another one, or the default.
                default = self._conf.default_availability_zone
                left = aggregates.zones(session, [host], beside=row.id).get(host, {default})
                if zone not in left:
                    self._check_empty([host], row.id, 'remove host from aggregate')
            row.hosts.remove(found[0])
            session.flush()
            return aggregates.to_aggregate(row)

    # -- rules of zones

    def _check_zone(
        self, session: Session, row: AggregateRow, zone: str | None, action: str
    ) -> None:
        """Refuse a zone that hosts of the aggregate cannot be in (yet)."""
        aggregate = aggregates.to_aggregate(row)
        if zone == '':
            raise _refused(action, row.id, 'empty name for availability zone')
        if zone == aggregate.availability_zone or not aggregate.hosts:
            return
        if zone is not None:
            self._check_conflict(session, row.id, zone, aggregate.hosts, action)
        self._check_empty(aggregate.hosts, row.id, action)

    @staticmethod
    def _check_conflict(
        session: Session, aggregate_id: int, zone: str, names: Iterable[str], action: str
    ) -> None:
        """A host is in one zone only, in however many aggregates it is."""
        given = aggregates.zones(session, names, beside=aggregate_id)
        others = sorted({other for found in given.values() for other in found} - {zone})
        if others:
            raise _refused(
                action,
                aggregate_id,
                f'One or more hosts already in availability zone(s) {others}',
            )

    def _check_move(
        self, session: Session, aggregate_id: int, zone: str, host: str, action: str
    ) -> None:
        """Servers do not change their zone because their host does."""
        default = self._conf.default_availability_zone
        now = aggregates.zones(session, [host], beside=aggregate_id).get(host, {default})
        if zone not in now:
            self._check_empty([host], aggregate_id, action)

    def _check_empty(self, names: Iterable[str], aggregate_id: int, action: str) -> None:
        wanted = list(names)
        if any(self._ask(lambda session: hosts.hosts_with_servers(session, wanted))):
            raise _refused(action, aggregate_id, 'One or more hosts contain instances in this zone')

    # -- the mirror

    def _mirror(self, node: str, aggregate: str, member: bool) -> None:
        try:
            if member:
                self._placement.add_aggregate(node, aggregate)
            else:
                self._placement.remove_aggregate(node, aggregate)
        except placement_client.ProviderNotFound:
            # A node that has not told placement of itself; it is mirrored when it starts.
            LOG.warning('Placement has no provider %s to mirror an aggregate to', node)

    @retry
    def _bump(self) -> None:
        with self._cell.transaction() as session:
            hosts.bump(session)


def _set_items(row: AggregateRow, metadata: dict[str, Any]) -> None:
    known = {item.key: item for item in row.items}
    for key, value in metadata.items():
        if value is None:
            if key in known:
                row.items.remove(known[key])
        elif key in known:
            known[key].value = value
        else:
            row.items.append(AggregateMetadata(key=key, value=value))


def _refused(action: str, aggregate_id: int, reason: str) -> exception.InvalidAggregateAction:
    return exception.InvalidAggregateAction(action=action, aggregate_id=aggregate_id, reason=reason)


@contextlib.contextmanager
def _unique_name(name: str | None) -> Iterator[None]:
    """Say it in a user's words when the name is taken."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        if not errors.is_duplicate(error):
            raise
        raise exception.AggregateNameExists(aggregate_name=name) from error
